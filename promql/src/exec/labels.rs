//! `label_replace` and `label_join`: new labels, values untouched.

use model::METRIC_NAME;
use model::regex::{Flags, GoRegex, Groups, expand};

use super::{Done, Exec};
use crate::error::QueryError;
use crate::plan::{LabelReplace, Node};
use crate::vector::{Series, Steps, merge_same_labels};

/// Sets a label from another one where that matches a pattern.
pub(super) fn replace(replace: &LabelReplace, exec: &Exec<'_>, input: &Node, steps: Steps) -> Done<Vec<Series>> {
    let regex = GoRegex::new(&replace.pattern, Flags::MATCHER).map_err(|_| {
        QueryError::Execution(format!("invalid regular expression in label_replace(): {}", replace.pattern))
    })?;
    let mut series = exec.vector(input, steps)?;
    let mut groups = Groups::default();
    let mut text: Vec<u8> = Vec::new();
    for s in &mut series {
        let value = s.labels.value(&replace.source);
        if !regex.captures_into(value.as_bytes(), &mut groups) {
            continue;
        }
        text.clear();
        expand(&mut text, replace.replacement.as_bytes(), value.as_bytes(), &groups, &regex);
        let value = String::from_utf8_lossy(&text);
        s.labels = s.labels.to_builder().set(&replace.target, &value).build();
        s.drop_name &= replace.target != METRIC_NAME;
    }
    merge_same_labels(&mut series)?;
    Ok(series)
}

/// Sets a label to the joined values of others.
pub(super) fn join(mut series: Vec<Series>, target: &str, separator: &str, sources: &[String]) -> Done<Vec<Series>> {
    for s in &mut series {
        let values: Vec<&str> = sources.iter().map(|name| s.labels.value(name)).collect();
        let value = values.join(separator);
        s.labels = s.labels.to_builder().set(target, &value).build();
        s.drop_name &= target != METRIC_NAME;
    }
    merge_same_labels(&mut series)?;
    Ok(series)
}
