//! Go's `text/template` language, exactly: `line_format`, annotations of rules and alert messages carry over unchanged.
//! Not an HTML engine (nothing is escaped unasked) and not a place for new syntax.
//!
//! ```
//! use foursight_gotemplate::{Context, MissingKey, TemplateSet, Value, sets};
//!
//! let set = TemplateSet::of("line", "{{ .level | upper }} {{ .msg }}", &sets::loki(), MissingKey::Zero)?;
//! let labels = [("level", "warn"), ("msg", "disk at 91 %")];
//! let context = Context::at("2026-01-05T10:00:00Z".parse().unwrap());
//! let mut line = Vec::new();
//! set.execute(&mut line, Value::Object(&labels), &context)?;
//! assert_eq!(line, b"WARN disk at 91 %");
//! # Ok::<(), foursight_gotemplate::Error>(())
//! ```
//!
//! A text is cut into tokens (`lex`), parsed into a tree in which functions are already looked up (`parse`, `ast`) and
//! kept by name in a [`TemplateSet`]. Execution (`exec`) walks the tree over [`Value`]s and appends to the caller's buffer;
//! a template of texts, fields and host functions takes a shorter way that allocates nothing. `print` has `fmt`'s verbs,
//! `ops` comparison and indexing, [`gotime`] Go's times. [`sets`] holds the function tables by user. Functions that only
//! the host can answer go through [`Host`]; the clock and the local zone come with the [`Context`].
//!
//! Error texts are Go's, place included, because people have them in their dashboards and tests compare them.
//!
//! Limits: 200 nested actions or parentheses in a text; steps, bytes of output and depth of an execution by [`Limits`].
//! Left out: complex numbers, channels, functions as data except for `call`, and what `%d` and its kin show of a time's
//! inside. Reference: Go's `text/template` and `fmt`, release 1.27.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod ast;
mod builtins;
mod error;
mod escape;
mod exec;
mod function;
pub mod gotime;
mod lex;
mod ops;
mod parse;
mod print;
pub mod sets;
mod template;
mod unquote;
mod value;

pub use builtins::BUILTINS;
pub use error::{CallError, Error, ExecuteError, Limit};
pub use exec::Call;
pub use function::{CallResult, Function, Functions, Native, Param, Run};
pub use template::{Context, Host, Limits, MissingKey, NoHost, TemplateSet};
pub use value::{Element, List, Map, Object, ObjectKind, Record, Text, Type, Value};
