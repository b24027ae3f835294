//! Evaluates a parsed template.
//!
//! [`Exec`] walks the tree with a stack of variables and appends to one buffer. It notes the node it is at wherever Go
//! does, so that an error names the same place. Steps, output and depth are counted here and nowhere else; text that a
//! function makes is held to the output limit too, so no expression can allocate without bound.

mod operand;

use model::regex::GoRegex;

use crate::ast::{Branch, Command, Node, Operand, Pipe, Pos};
use crate::error::{CallError, Error, ExecuteError, Limit};
use crate::parse::Tree;
use crate::template::{Context, MissingKey, TemplateSet};
use crate::value::{ObjectKind, Value};

/// What a list of nodes ended with.
#[derive(PartialEq, Eq)]
pub(crate) enum Flow {
    Next,
    Break,
    Continue,
}

/// The place an error is about.
#[derive(Clone, Copy)]
pub(crate) enum At<'d> {
    Node(&'d Node),
    Pipe(&'d Pipe),
    Command(&'d Command),
    Operand(&'d Operand),
}

impl At<'_> {
    fn pos(self) -> Pos {
        match self {
            Self::Node(node) => node.pos(),
            Self::Pipe(pipe) => pipe.pos,
            Self::Command(command) => command.pos,
            Self::Operand(operand) => operand.pos(),
        }
    }

    fn context(self) -> String {
        match self {
            Self::Node(node) => node.to_string(),
            Self::Pipe(pipe) => pipe.to_string(),
            Self::Command(command) => command.to_string(),
            Self::Operand(operand) => operand.to_string(),
        }
    }
}

/// Boxed to keep the results of the hot path small.
pub(crate) type Evaluated<T> = Result<T, Box<ExecuteError>>;

/// A running template.
pub(crate) struct Exec<'d> {
    pub(crate) set: &'d TemplateSet,
    pub(crate) context: &'d Context<'d>,
    pub(crate) out: Vec<u8>,
    tree: &'d Tree,
    /// `$` first, then what the template declared.
    variables: Vec<(&'d str, Value<'d>)>,
    at: At<'d>,
    /// Dot came out of a container of anything: Go reports the type of the slot, `interface {}`.
    dot_any: bool,
    steps: u64,
    depth: usize,
}

/// What a function sees of the execution it is called from.
pub struct Call<'e, 'd> {
    pub(crate) exec: &'e mut Exec<'d>,
}

impl<'d> Exec<'d> {
    /// Runs `tree` with `data` as dot, appending to `out`. What was written before an error stays.
    pub(crate) fn run(
        set: &'d TemplateSet,
        tree: &'d Tree,
        context: &'d Context<'d>,
        data: Value<'d>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let Some(first) = tree.root.first() else { return Ok(()) };
        let mut exec = Self {
            set,
            context,
            out: std::mem::take(out),
            tree,
            variables: vec![("$", data.clone())],
            at: At::Node(first),
            dot_any: false,
            steps: 0,
            depth: 0,
        };
        let start = exec.out.len();
        let result = exec.list(&data, &tree.root).and_then(|_| exec.check_output(start));
        *out = exec.out;
        result.map_err(Error::Execute)
    }

    /// An error at the present place.
    pub(crate) fn error<T>(&self, message: impl std::fmt::Display) -> Evaluated<T> {
        Err(self.failure(message.to_string(), None))
    }

    pub(crate) fn limit<T>(&self, limit: Limit) -> Evaluated<T> {
        Err(self.failure(limit.to_string(), Some(limit)))
    }

    fn failure(&self, message: String, limit: Option<Limit>) -> Box<ExecuteError> {
        let text = &self.tree.source.text;
        let before = &text[..(self.at.pos() as usize).min(text.len())];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Box::new(ExecuteError {
            template: self.tree.source.name.clone(),
            line: 1 + before.matches('\n').count(),
            column: before.len() - line_start,
            executing: self.tree.name.clone(),
            context: self.at.context(),
            message,
            limit,
        })
    }

    fn step(&mut self) -> Evaluated<()> {
        self.steps += 1;
        let most = self.context.limits.steps;
        if self.steps > most { self.limit(Limit::Steps(most)) } else { Ok(()) }
    }

    fn check_output(&self, start: usize) -> Evaluated<()> {
        let most = self.context.limits.output;
        if self.out.len() - start > most { self.limit(Limit::Output(most)) } else { Ok(()) }
    }

    pub(crate) fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Evaluated<T>) -> Evaluated<T> {
        let most = self.context.limits.depth;
        if self.depth >= most {
            return self.limit(Limit::Depth(most));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn list(&mut self, dot: &Value<'d>, list: &'d [Node]) -> Evaluated<Flow> {
        self.deeper(|exec| {
            for node in list {
                let flow = exec.node(dot, node)?;
                if flow != Flow::Next {
                    return Ok(flow);
                }
            }
            Ok(Flow::Next)
        })
    }

    fn node(&mut self, dot: &Value<'d>, node: &'d Node) -> Evaluated<Flow> {
        self.at = At::Node(node);
        self.step()?;
        match node {
            Node::Text(_, text) => {
                self.out.extend_from_slice(text.as_bytes());
                self.check_output(0)?;
            }
            Node::Action(_, pipe) => {
                let value = self.pipeline(dot, pipe)?;
                if pipe.variables.is_empty() {
                    self.at = At::Node(node);
                    self.print(&value)?;
                }
            }
            Node::If(branch) => return self.branch(dot, branch, false),
            Node::With(branch) => return self.branch(dot, branch, true),
            Node::Range(branch) => return self.range(dot, node, branch),
            Node::Template(_, name, pipe) => self.template(dot, name, pipe.as_ref())?,
            Node::Break(_) => return Ok(Flow::Break),
            Node::Continue(_) => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn print(&mut self, value: &Value<'d>) -> Evaluated<()> {
        if let Value::Function(_) = value {
            let context = self.at.context();
            return self.error(format_args!("can't print {context} of type {}", value.type_name()));
        }
        crate::print::write_value(&mut self.out, value);
        self.check_output(0)
    }

    fn branch(&mut self, dot: &Value<'d>, branch: &'d Branch, with: bool) -> Evaluated<Flow> {
        let mark = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = if value.is_true() && with {
            let dot_any = std::mem::take(&mut self.dot_any);
            let flow = self.list(&value, &branch.list);
            self.dot_any = dot_any;
            flow
        } else if value.is_true() {
            self.list(dot, &branch.list)
        } else {
            branch.otherwise.as_ref().map_or(Ok(Flow::Next), |list| self.list(dot, list))
        };
        self.variables.truncate(mark);
        flow
    }

    fn template(&mut self, dot: &Value<'d>, name: &str, pipe: Option<&'d Pipe>) -> Evaluated<()> {
        let Some(tree) = self.set.tree(name) else {
            return self.error(format_args!("template {} not defined", model::number::quote(name)));
        };
        let value = match pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Value::Missing,
        };
        self.enter(tree, value)
    }

    /// Runs another template with variables of its own. Afterwards this one is as before, even after an error: a
    /// function that renders a template reports its failure at its own place.
    fn enter(&mut self, tree: &'d Tree, dot: Value<'d>) -> Evaluated<()> {
        let variables = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        let outer = std::mem::replace(&mut self.tree, tree);
        let dot_any = std::mem::take(&mut self.dot_any);
        let result = self.list(&dot, &tree.root);
        self.dot_any = dot_any;
        self.tree = outer;
        self.variables = variables;
        result.map(|_| ())
    }

    fn range(&mut self, dot: &Value<'d>, node: &'d Node, branch: &'d Branch) -> Evaluated<Flow> {
        let mark = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let mut any = false;
        let dot_any = std::mem::replace(&mut self.dot_any, operand::holds_anything(&value));
        let mut each = |exec: &mut Self, key: Value<'d>, item: Value<'d>| -> Evaluated<bool> {
            any = true;
            exec.iteration(node, branch, key, item)
        };
        match &value {
            Value::Int(count) | Value::Int64(count) => {
                if branch.pipe.variables.len() > 1 {
                    return self.error(format_args!("can't use {count} to iterate over more than one variable"));
                }
                let wrap = |n: i64| if let Value::Int(_) = value { Value::Int(n) } else { Value::Int64(n) };
                for n in 0..*count {
                    if !each(self, Value::Missing, wrap(n))? {
                        break;
                    }
                }
            }
            Value::List(list) => {
                for (index, item) in list.items.iter().enumerate() {
                    let key = Value::Int(i64::try_from(index).unwrap_or(i64::MAX));
                    if !each(self, key, item.clone())? {
                        break;
                    }
                }
            }
            Value::Map(map) => {
                for (key, item) in map.entries() {
                    if !each(self, Value::Str(key.clone()), item.clone())? {
                        break;
                    }
                }
            }
            Value::Object(object) if object.kind() == ObjectKind::Map => {
                let object: &'d dyn crate::value::Object = *object;
                for index in 0..object.len() {
                    let Some((key, item)) = object.entry(index) else { break };
                    if !each(self, Value::Str(key), item)? {
                        break;
                    }
                }
            }
            // Go: a nil map or slice of an interface has nothing to iterate over, and is no error.
            Value::Missing | Value::Nil => {}
            other => {
                let shown = String::from_utf8_lossy(&crate::print::display(other)).into_owned();
                return self.error(format_args!("range can't iterate over {shown}"));
            }
        }
        self.dot_any = dot_any;
        let mut flow = Flow::Next;
        if !any && let Some(otherwise) = &branch.otherwise {
            flow = self.list(dot, otherwise)?;
        }
        self.variables.truncate(mark);
        Ok(flow)
    }

    /// One round of a range. Returns whether to go on.
    fn iteration(&mut self, node: &'d Node, branch: &'d Branch, key: Value<'d>, item: Value<'d>) -> Evaluated<bool> {
        self.at = At::Node(node);
        self.step()?;
        let pipe = &branch.pipe;
        // With two variables the key comes first; with one it is the element.
        let (key_name, item_name) = match &pipe.variables[..] {
            [] => (None, None),
            [item] => (None, Some(item)),
            [key, item, ..] => (Some(key), Some(item)),
        };
        if pipe.assign {
            if let Some(name) = key_name {
                self.assign(name, key)?;
            }
            if let Some(name) = item_name {
                self.assign(name, item.clone())?;
            }
        } else {
            let top = self.variables.len();
            if item_name.is_some() {
                self.variables[top - 1].1 = item.clone();
            }
            if key_name.is_some() {
                self.variables[top - 2].1 = key;
            }
        }
        let mark = self.variables.len();
        let flow = self.list(&item, &branch.list)?;
        self.variables.truncate(mark);
        Ok(flow != Flow::Break)
    }

    fn assign(&mut self, name: &str, value: Value<'d>) -> Evaluated<()> {
        match self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            Some((_, slot)) => *slot = value,
            None => return self.error(format_args!("undefined variable: {name}")),
        }
        Ok(())
    }

    fn pipeline(&mut self, dot: &Value<'d>, pipe: &'d Pipe) -> Evaluated<Value<'d>> {
        self.at = At::Pipe(pipe);
        let mut value = None;
        for command in &pipe.commands {
            self.step()?;
            value = Some(self.command(dot, command, value)?.without_nil());
        }
        let value = value.unwrap_or(Value::Missing);
        for name in &pipe.variables {
            if pipe.assign {
                self.assign(name, value.clone())?;
            } else {
                self.variables.push((name, value.clone()));
            }
        }
        Ok(value)
    }

    /// The result of a function, whose failure is reported at `at`.
    fn called(&mut self, name: &str, at: At<'d>, result: Result<Value<'d>, CallError>) -> Evaluated<Value<'d>> {
        let value = match result {
            Ok(value) => value,
            Err(CallError::Failed(message)) => {
                self.at = at;
                return self.error(format_args!("error calling {name}: {message}"));
            }
            Err(CallError::Limit(limit)) => {
                self.at = at;
                return self.limit(limit);
            }
        };
        let most = self.context.limits.output;
        match &value {
            Value::Str(text) if text.len() > most => self.limit(Limit::Output(most)),
            _ => Ok(value),
        }
    }

    fn missing_key(&self) -> MissingKey {
        self.set.missing_key
    }
}

impl<'d> Call<'_, 'd> {
    /// What the host gave for this execution.
    pub fn context(&self) -> &Context<'d> {
        self.exec.context
    }

    /// The compiled form of `pattern`, which the template set keeps for the next execution.
    ///
    /// # Errors
    /// If it is not a regular expression.
    pub fn regex(&self, pattern: &str) -> Result<GoRegex, CallError> {
        self.exec.set.regexes.get(pattern).map_err(CallError::new)
    }

    /// Refuses a text of `len` bytes that would exceed the output limit, before it is made.
    ///
    /// # Errors
    /// [`Limit::Output`].
    pub fn check_len(&self, len: usize) -> Result<(), CallError> {
        let most = self.exec.context.limits.output;
        if len > most { Err(Limit::Output(most).into()) } else { Ok(()) }
    }

    /// What `text`, as a template that can call the others of the set, writes for `data`.
    ///
    /// # Errors
    /// If it is not a template, or fails.
    pub fn render_text(&mut self, name: &str, text: &str, data: Value<'d>) -> Result<Vec<u8>, CallError> {
        let set = self.exec.set.with_text(name, text).map_err(CallError::new)?;
        let steps = self.exec.context.limits.steps.saturating_sub(self.exec.steps);
        let depth = self.exec.context.limits.depth.saturating_sub(self.exec.depth);
        let limits = crate::Limits { steps, depth, ..self.exec.context.limits };
        let context = Context { limits, ..self.exec.context.clone() };
        let mut out = Vec::new();
        set.execute(&mut out, data, &context).map_err(CallError::new)?;
        Ok(out)
    }

    /// Whether the set has a template called `name`.
    pub fn has_template(&self, name: &str) -> bool {
        self.exec.set.tree(name).is_some()
    }

    /// What the template called `name` writes for `data`.
    ///
    /// # Errors
    /// If there is no such template, or it fails.
    pub fn render(&mut self, name: &str, data: Value<'d>) -> Result<Vec<u8>, CallError> {
        let exec = &mut *self.exec;
        let set = exec.set;
        let Some(tree) = set.tree(name) else {
            let error = Error::NotDefined { name: name.to_owned(), template: set.name.clone() };
            return Err(CallError::new(error));
        };
        let out = std::mem::take(&mut exec.out);
        let at = exec.at;
        let result = exec.enter(tree, data);
        exec.at = at;
        let written = std::mem::replace(&mut exec.out, out);
        match result {
            Ok(()) => Ok(written),
            Err(error) => Err(match error.limit {
                Some(limit) => CallError::Limit(limit),
                None => CallError::new(error),
            }),
        }
    }
}
