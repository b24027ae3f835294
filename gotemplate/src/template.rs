//! Templates by name, and what their execution needs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use model::regex::{Flags, GoRegex, RegexError};

use crate::ast::{List, Node, Operand};
use crate::error::Error;
use crate::exec::Exec;
use crate::function::{CallResult, Functions, Run};
use crate::gotime::Zone;
use crate::parse::{Tree, parse};
use crate::value::{ObjectKind, Value};

/// What a key that a map does not have gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingKey {
    /// No value, printed as `<no value>`.
    #[default]
    Default,
    /// The zero value of the map's elements: an empty text for labels.
    Zero,
    /// An error.
    Error,
}

/// Bounds on one execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most evaluation steps: nodes, pipeline stages, rounds of a range.
    pub steps: u64,
    /// Most bytes of output, and of any one text on the way.
    pub output: usize,
    /// Most templates, branches and parentheses inside each other.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 1_000_000, output: 16 << 20, depth: 250 }
    }
}

/// Answers the functions that only the host can: queries, the line at hand, other templates.
pub trait Host {
    /// The result of the function `name`, or `None` if the host does not have it.
    fn call<'d>(&'d self, name: &str, args: &[Value<'d>]) -> Option<CallResult<'d>>;
}

/// A host without functions.
#[derive(Debug, Clone, Copy)]
pub struct NoHost;

impl Host for NoHost {
    fn call<'d>(&'d self, _name: &str, _args: &[Value<'d>]) -> Option<CallResult<'d>> {
        None
    }
}

/// Surroundings of one execution.
#[derive(Clone)]
pub struct Context<'d> {
    /// What `now` says.
    pub now: Timestamp,
    /// What Go calls the local zone; servers usually run in UTC.
    pub local: Zone,
    /// Answers the host's functions.
    pub host: &'d dyn Host,
    /// Bounds.
    pub limits: Limits,
}

impl Context<'_> {
    /// A context at `now` in UTC without a host.
    pub fn at(now: Timestamp) -> Self {
        Self { now, local: Zone::Utc, host: &NoHost, limits: Limits::default() }
    }
}

/// Templates that can call each other. Cloning is cheap; sets are immutable once parsed and can be shared by threads.
#[derive(Debug, Clone)]
pub struct TemplateSet {
    pub(crate) name: String,
    pub(crate) missing_key: MissingKey,
    functions: Functions,
    trees: BTreeMap<String, Entry>,
    pub(crate) regexes: Arc<Regexes>,
}

/// Patterns that functions of the set's templates have compiled. They are nearly always constants of the templates, so
/// that executing a template a million times compiles each once.
#[derive(Debug, Default)]
pub(crate) struct Regexes(Mutex<Vec<GoRegex>>);

/// Most patterns kept for a set; beyond that (patterns made of data) the oldest go.
const MAX_REGEXES: usize = 64;

impl Regexes {
    pub(crate) fn get(&self, pattern: &str) -> Result<GoRegex, RegexError> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().iter().find(|known| known.as_str() == pattern) {
            return Ok(known.clone());
        }
        let regex = GoRegex::new(pattern, Flags::SEARCH)?;
        let mut kept = lock();
        if kept.len() >= MAX_REGEXES {
            kept.remove(0);
        }
        kept.push(regex.clone());
        Ok(regex)
    }
}

#[derive(Debug, Clone)]
struct Entry {
    tree: Tree,
    /// The template is plain enough for the short way.
    plain: bool,
}

impl TemplateSet {
    /// An empty set whose main template will be called `name`.
    pub fn new(name: &str, functions: Functions) -> Self {
        Self {
            name: name.to_owned(),
            missing_key: MissingKey::Default,
            functions,
            trees: BTreeMap::new(),
            regexes: Arc::default(),
        }
    }

    /// The set with another rule for missing keys.
    #[must_use]
    pub fn missing_key(mut self, rule: MissingKey) -> Self {
        self.missing_key = rule;
        self
    }

    /// Parses `text` as the main template; templates it defines replace those of the same name, unless they are empty.
    ///
    /// # Errors
    /// With the line of the mistake. The set is then as it was.
    pub fn parse(&mut self, text: &str) -> Result<(), Error> {
        let name = self.name.clone();
        self.parse_named(&name, text)
    }

    /// Parses `text` as the template called `name`, as of a file of that name.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_named(&mut self, name: &str, text: &str) -> Result<(), Error> {
        for tree in parse(name, text, &self.functions)? {
            if tree.is_empty() && self.trees.contains_key(&tree.name) {
                continue;
            }
            let plain = is_plain(&tree.root);
            self.trees.insert(tree.name.clone(), Entry { tree, plain });
        }
        Ok(())
    }

    /// A set of one text: what `line_format` and annotations are.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn of(name: &str, text: &str, functions: &Functions, missing_key: MissingKey) -> Result<Self, Error> {
        let mut set = Self::new(name, functions.clone()).missing_key(missing_key);
        set.parse(text)?;
        Ok(set)
    }

    /// This set with `text` as its main template, under the name `name`; the way configured texts use shared templates.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn with_text(&self, name: &str, text: &str) -> Result<Self, Error> {
        let mut set = self.clone();
        set.name = name.to_owned();
        set.trees.remove(name);
        set.parse(text)?;
        Ok(set)
    }

    /// Names of the templates in the set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.trees.keys().map(String::as_str)
    }

    /// The name, if the main template is just `{{ .name }}`.
    pub fn single_field(&self) -> Option<&str> {
        let entry = self.trees.get(&self.name)?;
        match &entry.tree.root[..] {
            [Node::Action(_, pipe)] if entry.plain => match &pipe.commands[0].args[..] {
                [Operand::Field(_, names)] => names.first().map(|name| &**name),
                _ => None,
            },
            _ => None,
        }
    }

    /// Names of all fields the set's templates mention, each once: what a log pipeline has to extract.
    pub fn fields(&self) -> Vec<&str> {
        let mut fields = Vec::new();
        self.trees.values().for_each(|entry| crate::ast::fields(&entry.tree.root, &mut fields));
        fields.sort_unstable();
        fields.dedup();
        fields
    }

    pub(crate) fn tree(&self, name: &str) -> Option<&Tree> {
        self.trees.get(name).map(|entry| &entry.tree)
    }

    /// Appends to `out` what the main template writes for `data`. After an error `out` holds what was written before it.
    ///
    /// # Errors
    /// With the place in the template.
    pub fn execute<'d>(&'d self, out: &mut Vec<u8>, data: Value<'d>, context: &'d Context<'d>) -> Result<(), Error> {
        self.execute_named(&self.name, out, data, context)
    }

    /// [`Self::execute`] for the template called `name`.
    ///
    /// # Errors
    /// As [`Self::execute`]; also if there is no such template.
    pub fn execute_named<'d>(
        &'d self,
        name: &str,
        out: &mut Vec<u8>,
        data: Value<'d>,
        context: &'d Context<'d>,
    ) -> Result<(), Error> {
        let Some(entry) = self.trees.get(name) else {
            let template = self.name.clone();
            return Err(if name == self.name {
                Error::Empty { template }
            } else {
                Error::NotDefined { name: name.to_owned(), template }
            });
        };
        let start = out.len();
        if entry.plain && self.execute_plain(&entry.tree.root, out, &data, context).is_some() {
            return Ok(());
        }
        out.truncate(start);
        Exec::run(self, &entry.tree, context, data, out)
    }

    /// What the main template writes for `data`, as text (stray bytes replaced).
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub fn render<'d>(&'d self, data: Value<'d>, context: &'d Context<'d>) -> Result<String, Error> {
        let mut out = Vec::new();
        self.execute(&mut out, data, context)?;
        Ok(match String::from_utf8(out) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })
    }

    /// The short way for text, `{{ .field }}` and `{{ function }}`: no variables, no steps to count, no allocation.
    /// `None` if something is not as simple as it looked, above all if there is an error to report.
    fn execute_plain<'d>(
        &'d self,
        root: &'d [Node],
        out: &mut Vec<u8>,
        data: &Value<'d>,
        context: &'d Context<'d>,
    ) -> Option<()> {
        let start = out.len();
        for node in root {
            match node {
                Node::Text(_, text) => out.extend_from_slice(text.as_bytes()),
                Node::Action(_, pipe) => {
                    let value = match pipe.commands.first()?.args.first()? {
                        Operand::Field(_, names) => self.plain_field(data, names.first()?)?,
                        Operand::Function(_, function) => context.host.call(function.name, &[])?.ok()?,
                        _ => return None,
                    };
                    crate::print::write_value(out, &value.without_nil());
                }
                _ => return None,
            }
            if out.len() - start > context.limits.output {
                return None;
            }
        }
        Some(())
    }

    fn plain_field<'d>(&self, data: &Value<'d>, name: &str) -> Option<Value<'d>> {
        let (found, ty) = match data {
            Value::Object(object) if object.kind() == ObjectKind::Map => {
                let object: &'d dyn crate::value::Object = *object;
                (object.field(name), object.ty())
            }
            Value::Map(map) => (map.get(name.as_bytes()).cloned(), map.ty),
            _ => return None,
        };
        if !ty.methods.is_empty() {
            return None;
        }
        match (found, self.missing_key) {
            (Some(value), _) => Some(value),
            (None, MissingKey::Default) => Some(Value::Missing),
            (None, MissingKey::Zero) => Some(ty.zero_element()),
            (None, MissingKey::Error) => None,
        }
    }
}

/// Nothing but text, fields of dot and functions of the host without arguments.
fn is_plain(root: &List) -> bool {
    root.iter().all(|node| match node {
        Node::Text(..) => true,
        Node::Action(_, pipe) => {
            pipe.variables.is_empty()
                && match &pipe.commands[..] {
                    [command] => match &command.args[..] {
                        [Operand::Field(_, names)] => names.len() == 1,
                        [Operand::Function(_, function)] => {
                            matches!(function.run, Run::Host) && function.params.is_empty()
                        }
                        _ => false,
                    },
                    _ => false,
                }
        }
        _ => false,
    })
}
