//! Stages that set and remove labels and structured metadata.

use super::{Item, Result, Stage, each, regex_of};
use crate::agent::syntax::{Args, Diag};

/// The label that names a tenant for `loki.write`.
const TENANT: &str = "__tenant_id__";

/// Pairs of a target's name and the name of its value.
fn mapping(args: &mut Args, attribute: &str) -> Result<Vec<(String, String)>> {
    let pairs = args.text_map(attribute)?;
    Ok(pairs
        .into_iter()
        .map(|(name, source)| {
            let source = source.filter(|source| !source.is_empty()).unwrap_or_else(|| name.clone());
            (name, source)
        })
        .collect())
}

pub(super) fn labels(args: &mut Args) -> Result<Box<dyn Stage>> {
    let pairs = mapping(args, "values")?;
    let pos = args.pos_of("source_type");
    let from_metadata = match args.text_or("source_type", "extracted")?.as_str() {
        "extracted" => false,
        "structured_metadata" => true,
        other => return Err(Diag::new(&pos, format!("unknown source_type {other:?}"))),
    };
    Ok(each(move |item| {
        for (label, source) in &pairs {
            let value = if from_metadata {
                item.entry.metadata.iter().find(|(name, _)| name == source).map(|(_, value)| value.clone())
            } else {
                item.text(source)
            };
            if let Some(value) = value {
                item.set_label(label, &value);
            }
        }
    }))
}

pub(super) fn label_drop(args: &mut Args) -> Result<Box<dyn Stage>> {
    let names = args.texts("values")?;
    Ok(each(move |item| item.entry.labels = item.entry.labels.without(|name| names.iter().any(|n| n == name))))
}

pub(super) fn label_keep(args: &mut Args) -> Result<Box<dyn Stage>> {
    let names = args.texts("values")?;
    Ok(each(move |item| item.entry.labels = item.entry.labels.without(|name| !names.iter().any(|n| n == name))))
}

pub(super) fn static_labels(args: &mut Args) -> Result<Box<dyn Stage>> {
    let pairs = args.text_map("values")?;
    Ok(each(move |item| {
        for (name, value) in &pairs {
            if let Some(value) = value {
                item.set_label(name, value);
            }
        }
    }))
}

fn set_metadata(item: &mut Item, name: &str, value: String) {
    match item.entry.metadata.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => *known = value,
        None => item.entry.metadata.push((name.to_owned(), value)),
    }
}

pub(super) fn structured_metadata(args: &mut Args) -> Result<Box<dyn Stage>> {
    let pairs = mapping(args, "values")?;
    let names = regex_of(args, "regex")?;
    Ok(each(move |item| {
        for (name, source) in &pairs {
            if let Some(value) = item.text(source) {
                set_metadata(item, name, value);
            }
        }
        if let Some(names) = &names {
            let matching: Vec<String> = item.extracted.keys().filter(|name| names.is_match(name)).cloned().collect();
            for name in matching {
                if let Some(value) = item.text(&name) {
                    set_metadata(item, &name, value);
                }
            }
        }
    }))
}

pub(super) fn structured_metadata_drop(args: &mut Args) -> Result<Box<dyn Stage>> {
    let names = args.texts("values")?;
    Ok(each(move |item| item.entry.metadata.retain(|(name, _)| !names.contains(name))))
}

pub(super) fn tenant(args: &mut Args) -> Result<Box<dyn Stage>> {
    let (label, source, value) = (args.text("label")?, args.text("source")?, args.text("value")?);
    if [&label, &source, &value].into_iter().flatten().count() != 1 {
        return Err(Diag::new(&args.pos, "stage.tenant needs exactly one of label, source and value"));
    }
    Ok(each(move |item| {
        let tenant = match (&label, &source, &value) {
            (Some(label), ..) => item.entry.labels.get(label).map(str::to_owned),
            (_, Some(source), _) => item.text(source),
            (.., value) => value.clone(),
        };
        if let Some(tenant) = tenant.filter(|tenant| !tenant.is_empty()) {
            item.set_label(TENANT, &tenant);
        }
    }))
}
