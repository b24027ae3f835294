//! Targets: what is scraped, what was dropped, what their metrics say of themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use kit::relabel::process_builder;
use model::Labels;
use serde_json::{Value, json};

use super::answer::{ApiError, ErrorType, success_of};
use super::params::Params;
use crate::scrape::manager::PoolView;
use crate::scrape::target::discovered_labels;
use crate::state::App;

type Answer = Result<Response<Body>, ApiError>;

fn object(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
}

/// Targets by state and pool.
pub(super) async fn targets(State(app): State<Arc<App>>, request: Request) -> Answer {
    let params = Params::read(request).await?;
    let state = params.get("state").to_lowercase();
    let (show_active, show_dropped) = match state.as_str() {
        "active" => (true, false),
        "dropped" => (false, true),
        _ => (true, true),
    };
    let pool = params.get("scrapePool");
    let views: Vec<PoolView> =
        app.scrapes.view().into_iter().filter(|view| pool.is_empty() || view.name == pool).collect();
    let hostname = crate::hostname();
    let mut active = Vec::new();
    let mut dropped = Vec::new();
    let mut counts = BTreeMap::new();
    for view in &views {
        counts.insert(view.name.clone(), view.dropped_count);
        if show_active {
            for target in &view.active {
                let last = target.last();
                let error = match (&last.error, &view.problem) {
                    (Some(error), _) => error.clone(),
                    (None, Some(problem)) => problem.clone(),
                    (None, None) => String::new(),
                };
                active.push(json!({
                    "discoveredLabels": object(&target.discovered),
                    "labels": object(&target.labels),
                    "scrapePool": view.name,
                    "scrapeUrl": target.url,
                    "globalUrl": target.global_url(&hostname),
                    "lastError": error,
                    "lastScrape": time(last.time_ms),
                    "lastScrapeDuration": last.duration.as_secs_f64(),
                    "health": last.health.as_str(),
                    "scrapeInterval": model::duration::DurationMs(target.interval.as_millis() as i64).to_string(),
                    "scrapeTimeout": model::duration::DurationMs(target.timeout.as_millis() as i64).to_string(),
                }));
            }
        }
        if show_dropped {
            dropped.extend(
                view.dropped.iter().map(|labels| json!({"discoveredLabels": object(labels), "scrapePool": view.name})),
            );
        }
    }
    Ok(success_of(&json!({"activeTargets": active, "droppedTargets": dropped, "droppedTargetCounts": counts})))
}

fn time(ms: i64) -> String {
    if ms == 0 { "0001-01-01T00:00:00Z".to_owned() } else { kit::time::Rfc3339(ms).to_string() }
}

/// Names of the pools.
pub(super) async fn pools(State(app): State<Arc<App>>) -> Answer {
    let names: Vec<_> = app.scrapes.view().into_iter().map(|view| view.name).collect();
    Ok(success_of(&json!({"scrapePools": names})))
}

/// The configuration of a pool.
pub(super) async fn pool_config(State(app): State<Arc<App>>, request: Request) -> Answer {
    let params = Params::read(request).await?;
    let pool = params.get("scrapePool");
    match app.config.load().job_yaml(pool) {
        Some(yaml) => Ok(success_of(&json!({"yaml": yaml}))),
        None => Err(ApiError::new(ErrorType::NotFound, format!("scrape pool {pool:?} not found"))),
    }
}

/// Metadata of metrics, target by target.
pub(super) async fn target_metadata(State(app): State<Arc<App>>, request: Request) -> Answer {
    let params = Params::read(request).await?;
    let limit = match params.limit("limit")? {
        0 if params.has("limit") => 0,
        0 => usize::MAX,
        limit => limit,
    };
    let metric = params.get("metric");
    let matchers = match params.get("match_target") {
        "" => Vec::new(),
        text => promql::parse_selector(text).map_err(|e| ApiError::parameter("match_target", e))?,
    };
    let mut found = Vec::new();
    for view in app.scrapes.view() {
        for target in &view.active {
            if !matchers.iter().all(|matcher| matcher.matches_labels(&target.labels)) {
                continue;
            }
            for (name, metadata) in target.metadata().iter().filter(|(name, _)| metric.is_empty() || *name == metric) {
                if found.len() >= limit {
                    break;
                }
                let mut entry = json!({"target": object(&target.labels), "type": metadata.kind.as_str(), "help": metadata.help, "unit": metadata.unit});
                if metric.is_empty() {
                    entry["metric"] = name.as_str().into();
                }
                found.push(entry);
            }
        }
    }
    if found.is_empty() {
        return Err(ApiError::new(ErrorType::NotFound, "specified metadata not found"));
    }
    Ok(success_of(&found))
}

/// Metadata of metrics over all targets.
pub(super) async fn metadata(State(app): State<Arc<App>>, request: Request) -> Answer {
    let params = Params::read(request).await?;
    let signed = |name: &str| -> Result<Option<usize>, ApiError> {
        match params.get(name) {
            "" => Ok(None),
            text => match text.parse::<i64>() {
                Ok(number) => Ok(usize::try_from(number).ok()),
                Err(_) => Err(ApiError::bad_data(format!("{name} must be a number"))),
            },
        }
    };
    let limit = signed("limit")?.unwrap_or(usize::MAX);
    let per_metric = signed("limit_per_metric")?.filter(|n| *n > 0).unwrap_or(usize::MAX);
    let metric = params.get("metric");
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for view in app.scrapes.view() {
        for target in &view.active {
            for (name, metadata) in target.metadata().iter().filter(|(name, _)| metric.is_empty() || *name == metric) {
                let entry = json!({"type": metadata.kind.as_str(), "help": metadata.help, "unit": metadata.unit});
                let entries = found.entry(name.clone()).or_default();
                if !entries.contains(&entry) && entries.len() < per_metric {
                    entries.push(entry);
                }
            }
        }
    }
    // What came by remote write is known to the store alone.
    for (name, metadata) in app.db.all_metadata(0) {
        if (metric.is_empty() || name == metric) && !found.contains_key(&name) {
            let entry = json!({"type": metadata.kind.as_str(), "help": metadata.help, "unit": metadata.unit});
            found.insert(name, vec![entry]);
        }
    }
    let found: BTreeMap<_, _> = found.into_iter().take(limit).collect();
    Ok(success_of(&found))
}

/// What each relabelling rule of a pool makes of a discovered target.
pub(super) async fn relabel_steps(State(app): State<Arc<App>>, request: Request) -> Answer {
    let params = Params::read(request).await?;
    let pool = params.get("scrapePool");
    let config = app.config.load();
    let job = config
        .scrape_configs
        .iter()
        .find(|job| job.job_name == pool)
        .ok_or_else(|| ApiError::new(ErrorType::NotFound, format!("scrape pool {pool:?} not found")))?;
    let labels: BTreeMap<String, String> =
        serde_json::from_str(params.get("labels")).map_err(|e| ApiError::parameter("labels", e))?;
    let mut builder = discovered_labels(job, &Labels::from_pairs(labels)).to_builder();
    let mut steps = Vec::new();
    for rule in &job.relabel_rules {
        let keep = process_builder(&mut builder, std::slice::from_ref(rule));
        steps.push(json!({"rule": rule.config(), "output": object(&builder.build()), "keep": keep}));
        if !keep {
            break;
        }
    }
    Ok(success_of(&json!({"steps": steps})))
}
