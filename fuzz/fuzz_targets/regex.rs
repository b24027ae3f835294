//! Any pattern over any text, and what is claimed of its matches.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::regex::{Flags, GoRegex};

fuzz_target!(|input: (&str, &str)| {
    let (pattern, text) = input;
    for flags in [Flags::MATCHER, Flags::SEARCH] {
        let Ok(regex) = GoRegex::new(pattern, flags) else { continue };
        let matched = regex.is_match(text);
        assert_eq!(matched, regex.captures(text.as_bytes()).is_some());
        let _ = regex.replace_all(text, "$0${1}$name");
        if matched && flags.anchored {
            assert!(text.starts_with(regex.prefix()) && text.ends_with(regex.suffix()));
            if let Some(set) = regex.literal_set() {
                assert!(set.iter().any(|literal| literal == text));
            }
        }
    }
});
