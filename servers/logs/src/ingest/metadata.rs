//! Structured metadata as it is stored: label names, each once, ascending, no empty values.
//!
//! Most senders already send it so; then nothing is touched.

use std::borrow::Cow;

/// A name that cannot become a label name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    #[error("label name is empty")]
    Empty,
    #[error("normalization for label name {0:?} resulted in invalid name \"_\"")]
    Nothing(String),
}

/// Brings pairs into the stored form; returns how many were changed.
///
/// # Errors
/// When a name has nothing that a label name could be made of.
pub(crate) fn normalize(pairs: &mut Vec<(Cow<'_, str>, Cow<'_, str>)>) -> Result<u64, NameError> {
    let clean = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| {
        is_clean(name) && !value.is_empty() && !value.contains('\u{fffd}')
    };
    if pairs.iter().all(clean) && pairs.windows(2).all(|two| two[0].0 < two[1].0) {
        return Ok(0);
    }
    let mut changed = 0;
    for (name, value) in pairs.iter_mut() {
        if !is_clean(name) {
            *name = Cow::Owned(label_name(name)?);
            changed += 1;
        }
        if value.contains('\u{fffd}') {
            *value = Cow::Owned(value.replace('\u{fffd}', ""));
            changed += 1;
        }
    }
    // Of equal names the last one given counts.
    pairs.reverse();
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    pairs.dedup_by(|later, first| later.0 == first.0);
    pairs.retain(|(_, value)| !value.is_empty());
    Ok(changed)
}

/// Whether a name is one that normalizing leaves as it is.
fn is_clean(name: &str) -> bool {
    let bytes = name.as_bytes();
    let reserved = bytes.len() >= 4 && name.starts_with("__") && name.ends_with("__");
    let inner = if reserved { &bytes[2..bytes.len() - 2] } else { bytes };
    !inner.is_empty()
        && !inner[0].is_ascii_digit()
        && inner.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
        && !inner.windows(2).any(|two| two == b"__")
        && inner.iter().any(|b| *b != b'_')
}

/// OpenTelemetry's rule for Prometheus label names: other characters become underscores, several of them one, a leading
/// digit gets `key_` in front.
///
/// # Errors
/// When nothing is left.
pub(crate) fn label_name(name: &str) -> Result<String, NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    let reserved = name.len() >= 4 && name.starts_with("__") && name.ends_with("__");
    let inner = if reserved { &name[2..name.len() - 2] } else { name };
    let mut out = String::with_capacity(name.len() + 4);
    if reserved {
        out.push_str("__");
    }
    let mut underscore = false;
    for c in inner.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c);
            underscore = false;
        } else if !underscore {
            out.push('_');
            underscore = true;
        }
    }
    if reserved {
        out.push_str("__");
    }
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert_str(0, "key_");
    }
    if out.bytes().all(|b| b == b'_') { Err(NameError::Nothing(name.to_owned())) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_label_names() {
        let cases = [
            ("http.method", Ok("http_method")),
            ("123invalid", Ok("key_123invalid")),
            ("__reserved__", Ok("__reserved__")),
            ("a__b", Ok("a_b")),
            ("Mixed.Case-Key", Ok("Mixed_Case_Key")),
            ("_x", Ok("_x")),
            ("ünï", Ok("_n_")),
            ("", Err(NameError::Empty)),
            ("..", Err(NameError::Nothing("..".into()))),
            ("____", Err(NameError::Nothing("____".into()))),
        ];
        for (name, want) in cases {
            let got = label_name(name);
            assert_eq!(got.as_deref().map_err(Clone::clone), want, "{name}");
            assert_eq!(is_clean(name), got.is_ok_and(|got| got == name), "{name}");
        }
    }

    #[test]
    fn pairs_are_sorted_unique_and_full() {
        let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> =
            [("b", "1"), ("a.x", "2"), ("b", "3"), ("c", ""), ("d", "x\u{fffd}y")]
                .map(|(n, v)| (n.into(), v.into()))
                .into();
        assert_eq!(normalize(&mut pairs), Ok(2));
        let got: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(got, [("a_x", "2"), ("b", "3"), ("d", "xy")]);
    }
}
