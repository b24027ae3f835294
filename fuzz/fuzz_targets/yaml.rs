//! Any text as a configuration file; what is read prints to something that reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(node) = kit::yaml::parse(text) else { return };
    let printed = kit::yaml::emit(&node);
    let again = kit::yaml::parse(&printed).unwrap_or_else(|e| panic!("{printed:?}: {e}"));
    assert_eq!(kit::yaml::emit(&again), printed);
});
