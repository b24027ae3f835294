//! What Go 1.27's `regexp` answers, case by case.

use super::super::{Flags, GoRegex, Groups};

/// Tab-separated, texts in hexadecimal: pattern, flags, text, then either `E` and the error, or the matches with their
/// groups, a replacement template and the text after replacing all.
const CASES: &str = include_str!("go_regexp.txt");

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn flags(name: &str) -> Flags {
    match name {
        "s" => Flags { dot_matches_newline: true, ..Flags::SEARCH },
        "a" => Flags::MATCHER,
        "i" => Flags { case_insensitive: true, ..Flags::SEARCH },
        "m" => Flags { multi_line: true, ..Flags::SEARCH },
        _ => Flags::SEARCH,
    }
}

fn show(groups: &Groups, count: usize) -> String {
    let group = |index| groups.get(index).map_or("-".to_owned(), |range| format!("{}:{}", range.start, range.end));
    (0..count).map(group).collect::<Vec<_>>().join(",")
}

fn check(line: &str) -> Result<(), String> {
    let fields: Vec<&str> = line.split('\t').collect();
    let pattern = String::from_utf8(unhex(fields[0])).unwrap();
    let text = unhex(fields[2]);
    let shown = format!("{pattern:?} ({}) on {:?}", fields[1], String::from_utf8_lossy(&text));
    let regex = GoRegex::new(&pattern, flags(fields[1]));
    if let Some(error) = fields[3].strip_prefix('E') {
        let want = String::from_utf8(unhex(error)).unwrap();
        return match regex {
            Ok(_) => Err(format!("{shown}: accepted, Go says {want}")),
            Err(error) if error.to_string() == want => Ok(()),
            Err(error) => Err(format!("{shown}: {error}, Go says {want}")),
        };
    }
    let regex = regex.map_err(|error| format!("{shown}: refused: {error}"))?;
    let mut found = Vec::new();
    regex.for_each_match(&text, |groups| found.push(show(groups, regex.group_count())));
    if found.join(";") != fields[3] {
        return Err(format!("{shown}: {}, Go says {}", found.join(";"), fields[3]));
    }
    if regex.is_match_bytes(&text) == found.is_empty() {
        return Err(format!("{shown}: is_match disagrees with find"));
    }
    let replaced = regex.replace_all_bytes(&text, &unhex(fields[4]));
    if replaced != unhex(fields[5]) {
        return Err(format!("{shown}: replaced {:?}", String::from_utf8_lossy(&replaced)));
    }
    claims_hold(&regex, &text, &shown)
}

/// Whatever the analysis says about matches is true of this text.
fn claims_hold(regex: &GoRegex, text: &[u8], shown: &str) -> Result<(), String> {
    let Ok(text) = std::str::from_utf8(text) else { return Ok(()) };
    let anchored = regex.flags().anchored;
    let mut wrong = None;
    regex.for_each_match(text.as_bytes(), |groups| {
        let found = &text[groups.get(0).unwrap()];
        if !found.starts_with(regex.prefix()) || !found.ends_with(regex.suffix()) {
            wrong = Some(format!("prefix {:?} suffix {:?} of {found:?}", regex.prefix(), regex.suffix()));
        }
        for required in regex.required_literals() {
            let hay = if required.ignore_ascii_case { found.to_ascii_lowercase() } else { found.to_owned() };
            if !required.any_of.iter().any(|literal| hay.contains(literal.as_str())) {
                wrong = Some(format!("{required:?} not in {found:?}"));
            }
        }
        if regex.literal_set().is_some_and(|set| !set.iter().any(|value| value == found)) {
            wrong = Some(format!("{found:?} not in {:?}", regex.literal_set()));
        }
    });
    if anchored && let Some(automaton) = regex.value_automaton() {
        use fst::Automaton as _;
        let state = text.bytes().fold(automaton.start(), |state, byte| automaton.accept(&state, byte));
        if automaton.is_match(&state) != regex.is_match(text) {
            wrong = Some("automaton disagrees".to_owned());
        }
    }
    if anchored
        && let Some(set) = regex.literal_set()
        && let Some(value) = set.iter().find(|value| !regex.is_match(value))
    {
        wrong = Some(format!("{value:?} is listed but does not match"));
    }
    wrong.map_or(Ok(()), |wrong| Err(format!("{shown}: {wrong}")))
}

#[test]
fn matches_finds_and_replaces_as_go_does() {
    let wrong: Vec<String> = CASES.lines().filter_map(|line| check(line).err()).collect();
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
    assert!(CASES.lines().count() > 400);
}
