//! Variables in configuration values.

/// Replaces `$NAME` and `${NAME}` as Go's `os.Expand` does; `$$` is a dollar sign, a variable that is not set is empty.
/// This is how Prometheus treats the values of external labels.
pub fn expand_env(text: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    expand(text, |name| if name == "$" { "$".to_owned() } else { lookup(name).unwrap_or_default() })
}

/// As [`expand_env`], but `${NAME:default}` and `${NAME:-default}` give the default when the variable is not set or empty:
/// what Loki's `-config.expand-env` does.
pub fn expand_loki(text: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    expand(text, |name| {
        if name == "$" {
            return "$".to_owned();
        }
        let (name, default) = match name.split_once(':') {
            Some((name, default)) => (name, default.strip_prefix('-').unwrap_or(default)),
            None => (name, ""),
        };
        lookup(name).filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
    })
}

fn expand(text: &str, value: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(body) = rest.strip_prefix('{') {
            // Without a closing brace only the two characters go, as in Go.
            match body.find('}') {
                Some(0) => rest = &body[1..],
                Some(end) => {
                    out.push_str(&value(&body[..end]));
                    rest = &body[end + 1..];
                }
                None => rest = body,
            }
            continue;
        }
        let special = rest.bytes().next().is_some_and(|b| b"*#$@!?-0123456789".contains(&b));
        let len =
            if special { 1 } else { rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count() };
        if len == 0 {
            out.push('$');
        } else {
            out.push_str(&value(&rest[..len]));
            rest = &rest[len..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_as_the_peers_do() {
        let env = |name: &str| match name {
            "TEST" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let cases = [
            ("foo${TEST}bar", "foovaluebar"),
            ("$TEST-$UNSET.", "value-."),
            ("foo$${TEST}", "foo${TEST}"),
            ("foo$$bar", "foo$bar"),
            ("a $ b", "a $ b"),
            ("$", "$"),
            ("${", ""),
            ("${}x", "x"),
        ];
        for (text, want) in cases {
            assert_eq!(expand_env(text, env), want, "{text}");
            assert_eq!(expand_loki(text, env), want, "{text}");
        }
        for (text, want) in [("${UNSET:x}", "x"), ("${EMPTY:-x:y}", "x:y"), ("${TEST:x}", "value"), ("${UNSET:}", "")] {
            assert_eq!(expand_loki(text, env), want, "{text}");
        }
    }
}
