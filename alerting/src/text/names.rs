//! Names of labels and metrics, fingerprints of label sets, escaping.

use model::Labels;
use model::number::quote;
use sha2::{Digest, Sha256};

/// Which label and metric names are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameScheme {
    /// Any UTF-8 text that is not empty: the rule since Prometheus 3 and Alertmanager 0.27.
    #[default]
    Utf8,
    /// Letters, digits and underscores (metrics: also colons), not starting with a digit.
    Legacy,
}

impl NameScheme {
    /// Whether `name` may name a label (or an annotation).
    pub fn is_label_name(self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => is_identifier(name, false),
        }
    }

    /// Whether `name` may name a metric.
    pub fn is_metric_name(self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => is_identifier(name, true),
        }
    }
}

fn is_identifier(name: &str, colons: bool) -> bool {
    let mut bytes = name.bytes();
    let word = |b: u8| b.is_ascii_alphabetic() || b == b'_' || (colons && b == b':');
    bytes.next().is_some_and(word) && bytes.all(|b| word(b) || b.is_ascii_digit())
}

/// 64-bit FNV-1a over name, 0xFF, value, 0xFF of each label: the fingerprint that Alertmanager shows in its API.
pub fn label_fingerprint(labels: &Labels) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for (name, value) in labels {
        add(name.as_bytes());
        add(&[0xff]);
        add(value.as_bytes());
        add(&[0xff]);
    }
    hash
}

/// `{a="b", c="d"}` with every name bare: the form in which group keys hold labels.
pub fn group_labels_text(labels: &Labels) -> String {
    let mut text = String::from("{");
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            text.push_str(", ");
        }
        text.push_str(name);
        text.push('=');
        text.push_str(&quote(value));
    }
    text.push('}');
    text
}

/// Escapes a value for a URL's query as Go's `url.QueryEscape`: a space becomes `+`.
pub fn escape_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    out
}

/// Escapes the characters that mean something in a regular expression, as Go's `regexp.QuoteMeta`.
pub fn quote_meta(text: &str) -> String {
    model::regex::quote_meta(text).into_owned()
}

/// SHA-256 of a text in lower-case hex: what receivers with length limits get as a group's key.
pub fn sha256_hex(text: &str) -> String {
    let mut out = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        out.push_str(&format!("{byte:02x}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_scheme() {
        for name in ["a", "_b1", "http_status"] {
            assert!(NameScheme::Legacy.is_label_name(name), "{name}");
        }
        for name in ["", "1a", "ins-tance", "a:b", "ä"] {
            assert!(!NameScheme::Legacy.is_label_name(name), "{name}");
        }
        assert!(NameScheme::Legacy.is_metric_name("job:up:sum"));
        assert!(NameScheme::Utf8.is_label_name("ins-tance"));
        assert!(!NameScheme::Utf8.is_label_name(""));
    }

    #[test]
    fn fingerprint_is_the_peers() {
        // FNV-1a of nothing is its offset basis; a set with one label was worked out by hand from the definition.
        assert_eq!(format!("{:016x}", label_fingerprint(&Labels::empty())), "cbf29ce484222325");
        let one = Labels::from_pairs([("alertname", "always_firing")]);
        let two = Labels::from_pairs([("alertname", "always_firing"), ("a", "b")]);
        assert_ne!(label_fingerprint(&one), label_fingerprint(&two));
    }

    #[test]
    fn texts() {
        let labels = Labels::from_pairs([("b", "x\"y"), ("a", "1")]);
        assert_eq!(group_labels_text(&labels), r#"{a="1", b="x\"y"}"#);
        assert_eq!(group_labels_text(&Labels::empty()), "{}");
        assert_eq!(escape_query("up == 0 / ä"), "up+%3D%3D+0+%2F+%C3%A4");
        assert_eq!(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
