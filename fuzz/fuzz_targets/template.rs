//! Any text as a template over a little data: bounded in steps, output and nesting.
#![no_main]

use gotemplate::{MissingKey, TemplateSet, sets};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for functions in [sets::loki(), sets::prometheus(), sets::alertmanager()] {
        let _ = TemplateSet::of("fuzz", text, &functions, MissingKey::Zero);
    }
});
