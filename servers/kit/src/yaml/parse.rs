//! Text to tree: the first document of a file.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle};

use super::{ConfigError, Key, Kind, Node};

/// Most nodes of a document, those that aliases repeat included.
pub const MAX_NODES: usize = 4_000_000;

/// A collection that is being read.
struct Open {
    node: Node,
    /// The key whose value comes next, in a mapping.
    key: Option<Key>,
    anchor: usize,
    size: usize,
}

/// Reads the first document of `text`; an empty text is `null`.
///
/// # Errors
/// What is no YAML, duplicate keys, keys that are no scalars, bad `!!binary`, too many nodes.
pub fn parse(text: &str) -> Result<Node, ConfigError> {
    let mut stack: Vec<Open> = Vec::new();
    let mut anchors: HashMap<usize, (Node, usize)> = HashMap::new();
    let mut total = 0usize;
    let mut root = Node { line: 1, column: 1, kind: Kind::Null };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| {
            let marker = e.marker();
            ConfigError {
                file: String::new(),
                line: marker.line() as u32,
                column: marker.col() as u32 + 1,
                field: String::new(),
                message: format!("yaml: {}", e.info()),
            }
        })?;
        let (line, column) = (span.start.line() as u32, span.start.col() as u32 + 1);
        let place = |kind| Node { line, column, kind };
        let (node, size, anchor) = match event {
            Event::DocumentEnd => break,
            Event::Scalar(value, style, anchor, tag) => {
                let tag = tag.map(|tag| tag.to_string()).unwrap_or_default();
                (
                    place(scalar(&value, style, &tag).map_err(|message| ConfigError::at(&place(Kind::Null), message))?),
                    1,
                    anchor,
                )
            }
            Event::Alias(id) => {
                let (mut node, size) = anchors
                    .get(&id)
                    .cloned()
                    .ok_or_else(|| ConfigError::at(&place(Kind::Null), "yaml: an alias inside its own anchor"))?;
                (node.line, node.column) = (line, column);
                (node, size, 0)
            }
            Event::SequenceStart(_, anchor, _) => {
                stack.push(Open { node: place(Kind::Sequence(Vec::new())), key: None, anchor, size: 1 });
                continue;
            }
            Event::MappingStart(_, anchor, _) => {
                stack.push(Open { node: place(Kind::Mapping(Vec::new())), key: None, anchor, size: 1 });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(mut open) = stack.pop() else { continue };
                merge(&mut open.node)?;
                (open.node, open.size, open.anchor)
            }
            _ => continue,
        };
        total += size;
        if total > MAX_NODES {
            return Err(ConfigError::at(&node, format!("yaml: more than {MAX_NODES} values")));
        }
        if anchor != 0 {
            anchors.insert(anchor, (node.clone(), size));
        }
        match stack.last_mut() {
            None => root = node,
            Some(open) => {
                open.size += size;
                attach(open, node)?;
            }
        }
    }
    Ok(root)
}

fn attach(open: &mut Open, node: Node) -> Result<(), ConfigError> {
    match &mut open.node.kind {
        Kind::Sequence(items) => items.push(node),
        Kind::Mapping(pairs) => match open.key.take() {
            Some(key) => pairs.push((key, node)),
            None => {
                let text = match node.kind {
                    Kind::Scalar { text, .. } => text,
                    Kind::Null => "null".to_owned(),
                    Kind::Bytes(bytes) => {
                        let shown = bytes.escape_ascii().to_string();
                        return Err(ConfigError {
                            line: node.line,
                            column: node.column,
                            ..ConfigError::plain(format!("\"{shown}\" is not valid UTF-8"))
                        });
                    }
                    _ => return Err(ConfigError::at(&node, "yaml: a key has to be a scalar")),
                };
                if text != "<<" && pairs.iter().any(|(key, _)| key.text == text) {
                    return Err(ConfigError {
                        line: node.line,
                        column: node.column,
                        ..ConfigError::plain(format!("field {text} already set: the key is given twice"))
                    });
                }
                open.key = Some(Key { line: node.line, column: node.column, text });
            }
        },
        _ => {}
    }
    Ok(())
}

/// Applies merge keys: `<<` brings the pairs of a mapping, or of several, that are not there already.
fn merge(node: &mut Node) -> Result<(), ConfigError> {
    let Kind::Mapping(pairs) = &mut node.kind else { return Ok(()) };
    if !pairs.iter().any(|(key, _)| key.text == "<<") {
        return Ok(());
    }
    let (merges, mut own): (Vec<_>, Vec<_>) = std::mem::take(pairs).into_iter().partition(|(key, _)| key.text == "<<");
    let mut add = |source: Node| match source.kind {
        Kind::Mapping(more) => {
            for (key, value) in more {
                if !own.iter().any(|(k, _)| k.text == key.text) {
                    own.push((key, value));
                }
            }
            Ok(())
        }
        _ => Err(ConfigError::at(&source, "yaml: a merge key needs a mapping")),
    };
    for (_, source) in merges {
        match source.kind {
            Kind::Sequence(items) => items.into_iter().try_for_each(&mut add)?,
            _ => add(source)?,
        }
    }
    *pairs = own;
    Ok(())
}

fn scalar(value: &str, style: ScalarStyle, tag: &str) -> Result<Kind, String> {
    if tag.ends_with("binary") {
        let compact: String = value.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let bytes = STANDARD.decode(compact).map_err(|_| "!!binary value contains invalid base64 data".to_owned())?;
        return Ok(match String::from_utf8(bytes) {
            Ok(text) => Kind::Scalar { text, plain: false },
            Err(e) => Kind::Bytes(e.into_bytes()),
        });
    }
    let plain = matches!(style, ScalarStyle::Plain) && !tag.ends_with("str");
    if plain && matches!(value, "" | "~" | "null" | "Null" | "NULL") {
        return Ok(Kind::Null);
    }
    Ok(Kind::Scalar { text: value.to_owned(), plain })
}
