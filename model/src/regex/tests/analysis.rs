//! What is read off a pattern, and the limits.

use super::super::*;

fn matcher(pattern: &str) -> GoRegex {
    GoRegex::new(pattern, Flags::MATCHER).unwrap()
}

#[test]
fn literal_sets() {
    let cases: &[(&str, Option<&[&str]>)] = &[
        ("", Some(&[""])),
        ("foo", Some(&["foo"])),
        ("foo|bar|baz|foo", Some(&["foo", "bar", "baz"])),
        ("(foo|bar)-(1|2)", Some(&["foo-1", "foo-2", "bar-1", "bar-2"])),
        ("prod-[ab]?", Some(&["prod-", "prod-a", "prod-b"])),
        ("a{2,3}", Some(&["aa", "aaa"])),
        (r"10\.0\.0\.1", Some(&["10.0.0.1"])),
        ("(?i)no", Some(&["NO", "No", "nO", "no"])),
        (r"\Qa.b\E|c", Some(&["a.b", "c"])),
        ("fo+", None),
        ("foo.", None),
        ("^foo$", None),
        ("[a-z]{4}", None),
        (r"foo\b", None),
    ];
    for &(pattern, want) in cases {
        let regex = matcher(pattern);
        let sorted = |mut list: Vec<&str>| {
            list.sort_unstable();
            list.join(" ")
        };
        let got = regex.literal_set().map(|set| sorted(set.iter().map(String::as_str).collect()));
        assert_eq!(got, want.map(|list| sorted(list.to_vec())), "{pattern}");
    }
}

#[test]
fn a_long_list_of_values_needs_no_engine() {
    let values: Vec<String> = (0..10_000).map(|i| format!("pod-{i:05}-abcdef")).collect();
    let regex = matcher(&values.join("|"));
    assert_eq!(regex.literal_set().unwrap().len(), 10_000);
    assert!(regex.0.engine().is_none());
    assert!(regex.is_match("pod-09999-abcdef") && !regex.is_match("pod-10000-abcdef") && !regex.is_match(""));
    assert_eq!(regex.find(b"pod-00000-abcdef"), Some(0..16));
    assert_eq!(regex.find(b"xpod-00000-abcdef"), None);
    assert_eq!(regex.replace_all("pod-00000-abcdef", "<$0>"), "<pod-00000-abcdef>");
    assert_eq!(regex.count(b"pod-00000-abcdef"), 1);
}

#[test]
fn prefixes_and_suffixes() {
    for (pattern, prefix, suffix) in [
        ("foo.*", "foo", ""),
        (".*foo", "", "foo"),
        ("foo.*bar", "foo", "bar"),
        ("foobar|football", "foo", ""),
        ("(?:a|b)-x|c-x", "", "-x"),
        ("(ab){2,}c", "abab", "ababc"),
        ("(ab){2}c", "ababc", "ababc"),
        ("a?b", "", "b"),
        ("^foo$", "foo", "foo"),
        ("(?i)foo", "", ""),
        ("é|è", "", ""),
        ("aé|bè", "", ""),
        ("x{0}y", "y", "y"),
    ] {
        let regex = matcher(pattern);
        assert_eq!((regex.prefix(), regex.suffix()), (prefix, suffix), "{pattern}");
    }
}

#[test]
fn required_literals() {
    let show = |pattern: &str| {
        let regex = GoRegex::new(pattern, Flags::SEARCH).unwrap();
        let one = |required: &RequiredLiteral| {
            format!("{}{}", if required.ignore_ascii_case { "~" } else { "" }, required.any_of.join("|"))
        };
        regex.required_literals().iter().map(one).collect::<Vec<_>>().join(" & ")
    };
    for (pattern, want) in [
        ("error", "error"),
        ("(?i)error", "~error"),
        ("[eE]rror", "~error"),
        ("(error|warn).*timeout", "error|warn & timeout"),
        ("(?i)(error|warn)", "~error|warn"),
        ("status=(4|5)..", "status="),
        (r"foo\bbar", "foobar"),
        ("(foo)bar+", "fooba & r"),
        ("(?i)disk", "~di"),
        ("a|.*", ""),
        ("x?abc*", "ab"),
        (r"\d+ms", "ms"),
        ("(?:GET|POST) /api/(?:v1|v2)/[a-z]+", "GET|POST &  /api/ & v1|v2 & /"),
        (".*", ""),
    ] {
        let got = show(pattern);
        assert_eq!(got, want, "{pattern}");
    }
}

#[test]
fn plain_shapes_are_answered_without_the_engine() {
    for (pattern, yes, no) in [
        (".*", &["", "a\nb"][..], &[][..]),
        (".+", &["a", "\n"], &[""]),
        ("foo.*", &["foo", "foo\nbar"], &["fo", "xfoo"]),
        (".*foo", &["foo", "\nfoo"], &["foox"]),
        (".*foo.*", &["foo", "a\nfoo\nb"], &["fo"]),
        ("foo|bar", &["foo", "bar"], &["foobar", ""]),
        ("(.*)", &["", "x"], &[]),
    ] {
        let regex = matcher(pattern);
        assert!(!matches!(regex.0.strategy, Strategy::Engine), "{pattern}");
        assert!(regex.0.engine.get().is_none_or(Option::is_none), "{pattern}");
        for text in yes {
            assert!(regex.is_match(text) && regex.is_match_bytes(text.as_bytes()), "{pattern} on {text:?}");
        }
        for text in no {
            assert!(!regex.is_match(text) && !regex.is_match_bytes(text.as_bytes()), "{pattern} on {text:?}");
        }
    }
    assert!(matcher(".*").matches_everything() && !matcher(".+").matches_everything());
    assert!(matcher("a?").matches_empty() && !matcher("a").matches_empty());
}

#[test]
fn loose_ends_do_not_matter_to_a_search() {
    for (pattern, yes, no) in [
        (".*error.*", "an error\n", "an err"),
        ("(.*)(error)(.*)", "error", "eror"),
        ("a*?b+c?", "xxbxx", "xxaxx"),
        (".*(error|warn).*", "warn", "info"),
        ("^.*x.*$", "ax", "a"),
        (r"\s*\d+\s*", "a1", "a"),
        (".*", "", "\u{0}"),
    ] {
        let regex = GoRegex::new(pattern, Flags::SEARCH).unwrap();
        assert!(regex.is_match(yes), "{pattern}");
        assert!(pattern == ".*" || !regex.is_match(no), "{pattern}");
        assert_eq!(regex.find(yes.as_bytes()).is_some(), regex.is_match_bytes(yes.as_bytes()));
    }
    let whole = GoRegex::new(".*error.*", Flags::SEARCH).unwrap();
    assert!(matches!(whole.0.strategy, Strategy::Contains(_)));
    assert_eq!(whole.find(b"x\nan error\ny"), Some(2..10));
}

#[test]
fn stray_bytes_are_seen_as_one_character_each() {
    let dot = GoRegex::new("^a.b$", Flags::SEARCH).unwrap();
    assert!(dot.is_match_bytes(b"a\xffb"));
    assert!(!dot.is_match_bytes(b"a\xff\xffb"));
    let replaced = GoRegex::new("[^a]", Flags::SEARCH).unwrap().replace_all_bytes(b"a\xff\xc3a", b"-").into_owned();
    assert_eq!(replaced, b"a--a");
    let word = GoRegex::new("(b+)(.)", Flags::SEARCH).unwrap();
    let groups = word.captures(b"\xffabb\x80c").unwrap();
    assert_eq!((groups.get(0), groups.get(1), groups.get(2)), (Some(2..5), Some(2..4), Some(4..5)));
    assert!(matcher("a\u{fffd}").is_match_bytes(b"a\x80"));
}

#[test]
fn groups_that_share_a_name() {
    let regex = GoRegex::new("(?P<v>a)|(?P<v>b)", Flags::SEARCH).unwrap();
    assert_eq!(regex.replace_all("ab", "<$v>"), "<a><b>");
    assert_eq!(regex.group_names().collect::<Vec<_>>(), [None, Some("v"), Some("v")]);
}

#[test]
fn limits_are_errors() {
    let error = |pattern: &str| GoRegex::new(pattern, Flags::SEARCH).unwrap_err().kind;
    // On a thread with the stack of a test or a server worker.
    let deep = |open: &str, close: &str, depth: usize| format!("{}a{}", open.repeat(depth), close.repeat(depth));
    assert_eq!(error(&deep("(", ")", 100_000)), RegexErrorKind::Nesting);
    assert_eq!(error(&deep("(?:b|", ")", 2_000)), RegexErrorKind::Nesting);
    assert_eq!(error(&format!("a{}", "*(?i)".repeat(2_000))), RegexErrorKind::Nesting);
    let allowed = GoRegex::new(&deep("(b|", ")", 160), Flags::MATCHER).unwrap();
    assert!(allowed.is_match("a") && allowed.is_match("b") && !allowed.is_match("c"));
    assert!(GoRegex::new(&deep("(?:x", ")+", 240), Flags::SEARCH).is_ok());
    assert_eq!(error(&r"(?:\pL{50}){20}".repeat(40)), RegexErrorKind::TooLarge);
    assert_eq!(error(&format!("(?:{})*x", r"\pL{1000}".repeat(40))), RegexErrorKind::TooLarge);
    assert_eq!(error("a{1000}{1000}"), RegexErrorKind::RepeatOperator);
    assert_eq!(error("((a{100}){10}){2}"), RegexErrorKind::RepeatCount);
    assert!(GoRegex::new("(a|b|ab)*c{1000}", Flags::SEARCH).is_ok());
    assert!(matcher(r"[\w.-]+@[\w.-]+").value_automaton().is_some());
    assert!(matcher(r"\pL{500}").value_automaton().is_none());
    assert!(GoRegex::new("a", Flags::SEARCH).unwrap().value_automaton().is_none());
}

#[test]
fn automata_walk_a_dictionary() {
    let names = ["api", "api-canary", "db", "web", "web-1", "web-2"];
    let set = fst::Set::from_iter(names).unwrap();
    let hits = |pattern: &str| {
        let automaton = matcher(pattern).value_automaton().unwrap();
        fst::IntoStreamer::into_stream(set.search(automaton)).into_strs().unwrap()
    };
    assert_eq!(hits("web-.+"), ["web-1", "web-2"]);
    assert_eq!(hits("api|d."), ["api", "db"]);
    assert_eq!(hits(".*a.*"), ["api", "api-canary"]);
    assert!(hits("WEB").is_empty());
    assert_eq!(hits("(?i)WEB"), ["web"]);
}

#[test]
fn meta_characters_are_quoted() {
    assert_eq!(quote_meta("a.b[c]{d}|e^f$g\\h(i)*+?"), r"a\.b\[c\]\{d\}\|e\^f\$g\\h\(i\)\*\+\?");
    assert_eq!(quote_meta("plain-é"), "plain-é");
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_pattern_or_an_error(pattern in "[-a-c()\\[\\]{}*+?|\\\\^$.,:<>PpiQEdwsx0-9é]{0,24}", text in "[a-cé0-9\n]{0,12}") {
        for flags in [Flags::SEARCH, Flags::MATCHER] {
            if let Ok(regex) = GoRegex::new(&pattern, flags) {
                let found = regex.find(text.as_bytes());
                proptest::prop_assert_eq!(found.is_some(), regex.is_match(&text));
                let _ = regex.replace_all(&text, "$1${n}$");
            }
        }
    }

    #[test]
    fn quoted_text_matches_itself_alone(text in ".{0,16}") {
        let regex = matcher(&quote_meta(&text));
        proptest::prop_assert!(regex.is_match(&text));
        proptest::prop_assert_eq!(regex.literal_set().unwrap(), &[text.clone()][..]);
    }
}
