//! Cutting a text to a receiver's limit, with `…` as the last character.

/// `text` cut to `max` characters, and whether anything was cut. Up to three characters there is no room for the mark.
pub fn cut_runes(text: &str, max: usize) -> (String, bool) {
    if text.chars().count() <= max {
        return (text.to_owned(), false);
    }
    if max <= 3 {
        return (text.chars().take(max).collect(), true);
    }
    let mut out: String = text.chars().take(max - 1).collect();
    out.push('…');
    (out, true)
}

/// `text` cut to `max` bytes at a character boundary, and whether anything was cut. The mark takes three bytes.
pub fn cut_bytes(text: &str, max: usize) -> (String, bool) {
    if text.len() <= max {
        return (text.to_owned(), false);
    }
    match max {
        0..=2 => (".".repeat(max), true),
        3 => ("…".to_owned(), true),
        _ => {
            let mut end = max - 3;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            let mut out = text.get(..end).unwrap_or_default().to_owned();
            out.push('…');
            (out, true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_characters_and_marks_the_cut() {
        let cases = [
            ("abcd", 4, "abcd", false),
            ("abcde", 4, "abc…", true),
            ("abcde", 3, "abc", true),
            ("äöüß€", 4, "äöü…", true),
            ("", 0, "", false),
            ("a", 0, "", true),
        ];
        for (text, max, want, cut) in cases {
            assert_eq!(cut_runes(text, max), (want.to_owned(), cut), "{text} {max}");
        }
        let cases = [("abcdef", 5, "ab…", true), ("äöü", 5, "ä…", true), ("äöü", 4, "…", true), ("abc", 2, "..", true)];
        for (text, max, want, cut) in cases {
            assert_eq!(cut_bytes(text, max), (want.to_owned(), cut), "{text} {max}");
        }
    }
}
