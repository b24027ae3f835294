//! Go's text/template language: parser and evaluator over a trait, with function tables for log lines, annotations and alert messages.

pub mod gotime;
