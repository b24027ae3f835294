//! How long data is kept: flags and configuration file together, in force anew after every reload.

use std::sync::Arc;

use kit::config::{ByteSize, PromDuration};
use kit::metrics::Registry;
use tsdb::{Retention, RetentionClass};

use crate::config::Config;
use crate::flags::Flags;
use crate::state::App;

/// Without any rule.
const DEFAULT_AGE_MS: i64 = 15 * 86_400_000;

/// What the flags say; the file goes first.
#[derive(Clone, Copy, Debug, Default)]
pub struct RetentionFlags {
    age_ms: Option<i64>,
    max_bytes: Option<u64>,
}

impl RetentionFlags {
    /// Those of the command line.
    pub fn new(flags: &Flags) -> Self {
        Self {
            age_ms: flags.retention_time.map(|age| age.0).filter(|ms| *ms > 0),
            max_bytes: flags.retention_size.map(|size| size.0).filter(|bytes| *bytes > 0),
        }
    }

    /// The rule for every series.
    pub fn with(self, config: &Config) -> Retention {
        let file = &config.storage.retention;
        let max_bytes = file.size_bytes.or(self.max_bytes);
        let age_ms = file.time_ms.or(self.age_ms);
        Retention {
            // A rule of size alone keeps everything that fits.
            max_age_ms: age_ms.or((max_bytes.is_none() && file.percentage.is_none()).then_some(DEFAULT_AGE_MS)),
            max_bytes,
            max_disk_percent: file.percentage,
        }
    }
}

/// The rules for some series.
pub fn classes(config: &Config) -> Vec<RetentionClass> {
    let of_file = config.storage.retention.classes.iter();
    of_file.map(|class| RetentionClass { matchers: class.matchers.clone(), max_age_ms: class.time_ms }).collect()
}

/// The rules as one line of text.
pub fn describe(retention: &Retention, classes: &[RetentionClass]) -> String {
    let parts = [
        retention.max_age_ms.map(|age| PromDuration(age).to_string()),
        retention.max_bytes.map(|bytes| ByteSize(bytes).to_string()),
        retention.max_disk_percent.map(|percent| format!("{percent}% of the disk")),
    ];
    let mut text = parts.into_iter().flatten().collect::<Vec<_>>().join(" or ");
    if !classes.is_empty() {
        text.push_str(&format!(", {} for some series", classes.len()));
    }
    text
}

/// Registers the limits as metrics, 0 where there is none.
pub fn register(registry: &Registry, app: &Arc<App>) {
    let gauge = |name, help, look: fn(&Retention) -> Option<f64>| {
        let app = Arc::downgrade(app);
        let now = move || look(&app.upgrade().map(|app| app.retention.with(&app.config.load())).unwrap_or_default());
        registry.gauge_fn(name, help, move || now().unwrap_or(0.0));
    };
    gauge("prometheus_tsdb_retention_limit_seconds", "How long to retain samples in storage.", |retention| {
        retention.max_age_ms.map(|ms| ms as f64 / 1e3)
    });
    gauge(
        "prometheus_tsdb_retention_limit_bytes",
        "Max number of bytes to be retained in the tsdb blocks, configured 0 means disabled",
        |retention| retention.max_bytes.map(|bytes| bytes as f64),
    );
    gauge(
        "prometheus_tsdb_retention_limit_percentage",
        "Max percentage of total storage space to be retained in the tsdb blocks, configured 0 means disabled",
        |retention| retention.max_disk_percent,
    );
}
