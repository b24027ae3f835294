//! `tool check service-discovery CONFIG JOB`: the targets that a job finds, and what relabelling makes of them.

use std::path::Path;
use std::time::Duration;

use kit::Shutdown;
use kit::metrics::Registry;
use metrics::config::discovery::DiscoveryConfigs;
use metrics::config::{Config, LoadOptions, expand_glob};
use metrics::discovery::{Discovery, DiscoveryMetrics, read_target_file};
use metrics::scrape::target::{Made, discovered_labels, make};
use model::Labels;
use serde_json::{Value, json};

use super::super::args::{Args, Known};
use super::super::{Failure, Outcome, ask, duration};

/// Checks the target files of a job; one that is not there may come later.
pub(super) fn target_files(discovery: &DiscoveryConfigs, job: &str) -> Result<(), String> {
    for pattern in discovery.files.iter().flat_map(|config| &config.files) {
        let files = expand_glob(pattern);
        if files.is_empty() {
            println!("  WARNING: file \"{}\" for file_sd in scrape job {job:?} does not exist", pattern.display());
        }
        for file in files {
            read_target_file(&file).map_err(|e| format!("checking SD file {:?}: {e}", file.display().to_string()))?;
        }
    }
    Ok(())
}

/// Runs the discovery of one job and prints what it found.
pub(in super::super) fn service_discovery(words: &[&str]) -> Outcome {
    let args = Args::read(words, &Known { switches: &[], values: &["timeout"] }).map_err(Failure::Usage)?;
    let [file, name] = args.words.as_slice() else {
        return Err(Failure::Usage("arguments 'config-file' and 'job' are needed".to_owned()));
    };
    let timeout_ms = duration("timeout", args.get("timeout").unwrap_or("30s"))?;
    let config =
        Config::load(Path::new(file), LoadOptions::default()).map_err(|e| format!("Cannot load config: {e}"))?;
    let Some(job) = config.scrape_configs.iter().find(|job| job.job_name == *name) else {
        let names: Vec<&str> = config.scrape_configs.iter().map(|job| job.job_name.as_str()).collect();
        return Err(format!("Job {name} not found. Select one of: {}", names.join(", ")).into());
    };
    let groups = ask::on_runtime(async {
        let stop = Shutdown::new();
        let metrics = DiscoveryMetrics::new(&Registry::new());
        let (discovery, mut changed) = Discovery::new("check", metrics, stop.clone(), "foursight-tool");
        discovery.apply([(name.as_str(), &job.discovery)]);
        let deadline = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
        let waits = job.discovery.statics.is_empty() && discovery.groups(name).is_empty();
        if waits && tokio::time::timeout(deadline, changed.recv()).await.is_err() {
            eprintln!("no targets were found in time");
        }
        let groups = discovery.groups(name);
        stop.trigger();
        groups
    })?;
    let mut shown: Vec<Value> = Vec::new();
    for labels in groups.iter().flat_map(|group| &group.targets) {
        let discovered = discovered_labels(job, labels);
        let mut entry = json!({"discoveredLabels": object(&discovered), "labels": {}});
        match make(job, discovered, &job.relabel_rules) {
            Ok(Made::Target(target)) => entry["labels"] = object(&target.labels),
            Ok(Made::Dropped) => {}
            Err(reason) => entry["error"] = reason.into(),
        }
        if !shown.contains(&entry) {
            shown.push(entry);
        }
    }
    println!("{}", serde_json::to_string_pretty(&shown).map_err(|e| e.to_string())?);
    Ok(())
}

fn object(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
}
