//! Any text as a log query.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logql::ParseOptions;

fuzz_target!(|text: &str| {
    let Ok(expr) = logql::parse(text, ParseOptions::default()) else { return };
    let printed = expr.to_string();
    // Numbers that were worked out while reading may have no literal (`1 / 0`); what is a query again prints the same.
    if let Ok(again) = logql::parse(&printed, ParseOptions::default()) {
        assert_eq!(again.to_string(), printed, "{text:?}");
    }
});
