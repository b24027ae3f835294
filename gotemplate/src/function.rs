//! Functions that templates call: what they take, what runs, and the sets they come in.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::CallError;
use crate::exec::Call;
use crate::value::{Type, Value};

/// What a function gives back.
pub type CallResult<'d> = Result<Value<'d>, CallError>;

/// Code of a function. The arguments have the declared types.
pub type Native = for<'e, 'd> fn(&mut Call<'e, 'd>, &[Value<'d>]) -> CallResult<'d>;

/// A function or method that templates may call.
pub struct Function {
    /// Its name in templates.
    pub name: &'static str,
    /// Types of the arguments it must get.
    pub params: &'static [Param],
    /// Type of any number of further arguments.
    pub variadic: Option<Param>,
    /// What it does, for people.
    pub doc: &'static str,
    /// What runs.
    pub run: Run,
}

/// What runs when a function is called.
#[derive(Clone, Copy)]
pub enum Run {
    /// Code of this crate or of the host.
    Native(Native),
    /// [`crate::Host::call`] with the function's name.
    Host,
    /// Short-circuit `and` and `or`, known to the evaluator.
    And,
    /// See [`Run::And`].
    Or,
    /// Calls the function that is the first argument.
    Call,
}

/// Type of an argument.
#[derive(Debug, Clone, Copy)]
pub enum Param {
    /// Anything, nil included.
    Any,
    /// `string`
    Str,
    /// `int`
    Int,
    /// `int64`
    Int64,
    /// `float64`
    Float,
    /// `bool`
    Bool,
    /// `time.Time`
    Time,
    /// `time.Duration`
    Duration,
    /// A list, map or record of this very type; lists and maps may be nil, which is the empty one.
    Of(&'static Type),
}

impl Param {
    /// The type as Go prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Str => "string",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Float => "float64",
            Self::Bool => "bool",
            Self::Time => "time.Time",
            Self::Duration => "time.Duration",
            Self::Of(ty) => ty.name,
        }
    }

    /// Whether a value of this type is taken as it is.
    pub(crate) fn takes(self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Any, _) => true,
            (Self::Str, Value::Str(_)) | (Self::Int, Value::Int(_)) | (Self::Int64, Value::Int64(_)) => true,
            (Self::Float, Value::Float(_)) | (Self::Bool, Value::Bool(_)) | (Self::Time, Value::Time(_)) => true,
            (Self::Duration, Value::Duration(_)) => true,
            (Self::Of(ty), Value::List(list)) => same_type(ty, list.ty),
            (Self::Of(ty), Value::Map(map)) => same_type(ty, map.ty),
            (Self::Of(ty), Value::Record(record)) => same_type(ty, record.ty),
            (Self::Of(ty), Value::Object(object)) => same_type(ty, object.ty()),
            _ => false,
        }
    }
}

/// Go assigns between a named slice type and the plain one (`template.Strings` and `[]string`).
fn same_type(want: &'static Type, got: &'static Type) -> bool {
    let strings = |ty: &Type| ty.name == "[]string" || ty.name == "template.Strings";
    std::ptr::eq(want, got) || want.name == got.name || strings(want) && strings(got)
}

impl Function {
    /// A function with fixed arguments.
    pub const fn new(name: &'static str, params: &'static [Param], doc: &'static str, run: Native) -> Self {
        Self { name, params, variadic: None, doc, run: Run::Native(run) }
    }

    /// A function that takes further arguments of type `rest`.
    pub const fn variadic(
        name: &'static str,
        params: &'static [Param],
        rest: Param,
        doc: &'static str,
        run: Native,
    ) -> Self {
        Self { name, params, variadic: Some(rest), doc, run: Run::Native(run) }
    }

    /// A function that the host answers.
    pub const fn host(name: &'static str, params: &'static [Param], doc: &'static str) -> Self {
        Self { name, params, variadic: None, doc, run: Run::Host }
    }

    /// Type of the argument at `index`.
    pub(crate) fn param(&self, index: usize) -> Param {
        self.params.get(index).copied().or(self.variadic).unwrap_or(Param::Any)
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The functions a template may call, by name: Go's builtins and what is added. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Functions {
    by_name: Arc<HashMap<&'static str, &'static Function>>,
}

impl Functions {
    /// Go's builtins only.
    pub fn builtins() -> Self {
        Self { by_name: Arc::default() }.with(crate::builtins::BUILTINS)
    }

    /// These and `table`, which takes precedence.
    #[must_use]
    pub fn with(mut self, table: &'static [Function]) -> Self {
        Arc::make_mut(&mut self.by_name).extend(table.iter().map(|function| (function.name, function)));
        self
    }

    /// These without the functions that a host answers.
    #[must_use]
    pub(crate) fn without_host(mut self) -> Self {
        Arc::make_mut(&mut self.by_name).retain(|_, function| !matches!(function.run, Run::Host));
        self
    }

    /// The function called `name`.
    pub fn get(&self, name: &str) -> Option<&'static Function> {
        self.by_name.get(name).copied()
    }

    /// All of them, in the order of their names.
    pub fn all(&self) -> Vec<&'static Function> {
        let mut all: Vec<_> = self.by_name.values().copied().collect();
        all.sort_by_key(|function| function.name);
        all
    }
}
