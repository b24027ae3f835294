//! Labels under which a series is stored: the page's with the target's, relabelled, checked.

use kit::relabel::process_builder;
use model::{Labels, LabelsBuilder};

use super::{PageError, PageSettings};
use crate::config::{Limits, NameValidation};

/// The labels a series of the page is stored under. `None`: dropped. `hidden` are labels that the page gives an empty value.
pub(super) fn final_labels(
    page: &Labels,
    hidden: &[String],
    settings: &PageSettings,
) -> Result<Option<Labels>, PageError> {
    let mut builder: LabelsBuilder;
    if settings.honor_labels {
        builder = page.to_builder();
        for (name, value) in &settings.target_labels {
            // An empty label on the page hides the target's.
            if builder.get(name).is_none() && !hidden.iter().any(|hidden| hidden == name) {
                builder.set(name, value);
            }
        }
    } else {
        builder = page.to_builder();
        // The page's labels that clash step aside: exported_x, and once more where that is taken too.
        let clashing: Vec<(String, String)> = page
            .iter()
            .filter(|(name, _)| settings.target_labels.get(name).is_some())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for (name, value) in &settings.target_labels {
            builder.set(name, value);
        }
        for (name, value) in clashing {
            let mut renamed = format!("exported_{name}");
            while builder.get(&renamed).is_some() || settings.target_labels.get(&renamed).is_some() {
                renamed = format!("exported_{renamed}");
            }
            builder.set(&renamed, &value);
        }
    }
    if !process_builder(&mut builder, &settings.rules) {
        return Ok(None);
    }
    let labels = builder.build();
    let Some(name) = labels.metric_name() else {
        return Err(PageError::Invalid("invalid metric name or label names: the name is missing".to_owned()));
    };
    if settings.validation == NameValidation::Legacy {
        let bad = labels.iter().map(|(name, _)| name).find(|name| !model::labels::is_label_identifier(name));
        if !model::labels::is_metric_identifier(name) || bad.is_some() {
            return Err(PageError::Invalid(format!("invalid metric name or label names: {labels}")));
        }
    }
    check_limits(&labels, &settings.limits)?;
    Ok(Some(labels))
}

fn check_limits(labels: &Labels, limits: &Limits) -> Result<(), PageError> {
    let count = labels.len() as u64;
    if limits.labels > 0 && count > limits.labels {
        return Err(PageError::LabelLimit(format!(
            "label_limit exceeded (metric: {:.50}, number of labels: {count}, limit: {})",
            labels.to_string(),
            limits.labels
        )));
    }
    for (name, value) in labels {
        if limits.label_name_length > 0 && name.len() as u64 > limits.label_name_length {
            return Err(PageError::LabelLimit(format!(
                "label_name_length_limit exceeded (metric: {:.50}, label name: {name:.50}, length: {}, limit: {})",
                labels.to_string(),
                name.len(),
                limits.label_name_length
            )));
        }
        if limits.label_value_length > 0 && value.len() as u64 > limits.label_value_length {
            return Err(PageError::LabelLimit(format!(
                "label_value_length_limit exceeded (metric: {:.50}, label name: {name:.50}, value: {value:.50}, length: {}, limit: {})",
                labels.to_string(),
                value.len(),
                limits.label_value_length
            )));
        }
    }
    Ok(())
}
