//! The data set: one body of the push API.

use std::fs::File;
use std::path::Path;

use foursight_logql::sanitize_label_name;
use foursight_logql::testing::MemoryLogs;
use model::Labels;
use serde_json::Value;

/// Loads the data set as a server would take it in: names of structured metadata become label names.
pub fn load(path: &Path, unit_entries: usize) -> MemoryLogs {
    let file = flate2::read::GzDecoder::new(File::open(path).expect("dataset.json.gz"));
    let body: Value = serde_json::from_reader(file).expect("a push body");
    let mut logs = MemoryLogs::new(unit_entries);
    for stream in body["streams"].as_array().unwrap() {
        let labels =
            Labels::from_pairs(stream["stream"].as_object().unwrap().iter().map(|(k, v)| (k, v.as_str().unwrap())));
        for value in stream["values"].as_array().unwrap() {
            let timestamp_ns = value[0].as_str().unwrap().parse().unwrap();
            let metadata: Vec<(String, &str)> = value
                .get(2)
                .and_then(Value::as_object)
                .map(|pairs| pairs.iter().map(|(k, v)| (sanitize_label_name(k), v.as_str().unwrap())).collect())
                .unwrap_or_default();
            let metadata = metadata.iter().map(|(name, value)| (name.as_str(), *value));
            logs.push(&labels, timestamp_ns, value[1].as_str().unwrap(), metadata);
        }
    }
    logs
}
