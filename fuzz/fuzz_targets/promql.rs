//! Any text as a query: it parses or is refused, and what parses prints to something that parses to the same tree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use promql::{ParserOptions, parse, pretty};

fuzz_target!(|text: &str| {
    let options = ParserOptions::all();
    let Ok(expr) = parse(text, &options) else { return };
    let printed = expr.to_string();
    let again =
        parse(&printed, &options).unwrap_or_else(|e| panic!("{text:?} prints as {printed:?}, which is refused: {e}"));
    assert_eq!(again.to_string(), printed, "{text:?}");
    let laid_out = pretty(&expr);
    assert!(parse(&laid_out, &options).is_ok(), "{text:?} is laid out as {laid_out:?}");
});
