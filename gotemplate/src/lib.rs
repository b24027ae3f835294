//! Go's text/template language: parser and evaluator, with function tables for log lines, annotations and alert messages.

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
mod template;
mod unquote;
mod value;

pub use builtins::BUILTINS;
pub use error::{CallError, Error, Limit};
pub use exec::Call;
pub use function::{CallResult, Function, Functions, Native, Param, Run};
pub use template::{Context, Host, Limits, MissingKey, NoHost, TemplateSet};
pub use value::{Element, List, Map, Object, ObjectKind, Record, Text, Type, Value};
