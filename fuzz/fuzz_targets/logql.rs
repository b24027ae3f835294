//! Any text as a log query.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(expr) = logql::parse(text) else { return };
    let printed = expr.to_string();
    let again = logql::parse(&printed).unwrap_or_else(|e| panic!("{text:?} prints as {printed:?}, which is refused: {e}"));
    assert_eq!(again.to_string(), printed, "{text:?}");
});
