//! Any text as a test script.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = promql::promqltest::parse_series(text);
});
