//! The servers' own log: one line an event, logfmt as Prometheus and Loki write it, or JSON.
//!
//! `ts=2026-11-23T00:38:27.123Z level=info component=scrape msg="target added" target=http://…`
//!
//! Events are `tracing` events. The field `component` names the part that speaks (default: the last part of the module
//! path). Libraries below the servers are heard from `warn` upward only. [`Limiter`] keeps a warning that repeats from
//! flooding the log.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Failures.
    Error,
    /// And what may become one.
    Warn,
    /// And what an operator wants to know.
    #[default]
    Info,
    /// And what a developer wants to know.
    Debug,
}

impl Level {
    /// The word of flags and log lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    fn from_u8(level: u8) -> Self {
        match level {
            0 => Self::Error,
            1 => Self::Warn,
            2 => Self::Info,
            _ => Self::Debug,
        }
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "error" => Ok(Self::Error),
            "warn" | "warning" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            _ => Err(format!("unknown log level {text:?} (known: debug, info, warn, error)")),
        }
    }
}

/// Form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `key=value`
    #[default]
    Logfmt,
    /// One object a line.
    Json,
}

impl Format {
    /// The name in flags.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Logfmt => "logfmt",
            Self::Json => "json",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "logfmt" => Ok(Self::Logfmt),
            "json" => Ok(Self::Json),
            _ => Err(format!("unknown log format {text:?} (known: logfmt, json)")),
        }
    }
}

/// Receives every finished line, for a server that ships its own log.
pub type LineSink = Arc<dyn Fn(Level, &str) + Send + Sync>;

/// Changes a running log: its level, and who else gets the lines.
#[derive(Clone)]
pub struct Handle {
    level: Arc<AtomicU8>,
    format: Arc<AtomicU8>,
    sink: Arc<Mutex<Option<LineSink>>>,
}

impl Handle {
    /// The level in force.
    pub fn level(&self) -> Level {
        Level::from_u8(self.level.load(Ordering::Relaxed))
    }

    /// Sets the level.
    pub fn set_level(&self, level: Level) {
        self.level.store(level as u8, Ordering::Relaxed);
    }

    /// Sets the form.
    pub fn set_format(&self, format: Format) {
        self.format.store(format as u8, Ordering::Relaxed);
    }

    /// Sets who else gets the lines.
    pub fn set_sink(&self, sink: Option<LineSink>) {
        *self.sink.lock() = sink;
    }
}

/// Starts logging to standard error. Called once by `main`; a second call changes nothing and returns a handle without
/// effect.
pub fn init(level: Level, format: Format) -> Handle {
    let handle = Handle {
        level: Arc::new(AtomicU8::new(level as u8)),
        format: Arc::new(AtomicU8::new(format as u8)),
        sink: Arc::default(),
    };
    let layer = LineLayer { handle: handle.clone(), out: |line: &[u8]| drop(std::io::stderr().lock().write_all(line)) };
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer));
    handle
}

struct LineLayer<F> {
    handle: Handle,
    out: F,
}

impl<S: Subscriber, F: Fn(&[u8]) + 'static> Layer<S> for LineLayer<F> {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let level = match *metadata.level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => return false,
        };
        let ours = metadata.target().starts_with("foursight");
        level <= self.handle.level() && (ours || level <= Level::Warn)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let level = match *metadata.level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            _ => Level::Debug,
        };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let target = metadata.target();
        let component = fields.component.take().unwrap_or_else(|| {
            let name = target.rsplit("::").next().unwrap_or(target);
            name.strip_prefix("foursight_").unwrap_or(name).to_owned()
        });
        let now = crate::time::Rfc3339(crate::time::now_ms());
        let mut line = String::with_capacity(200);
        let json = self.handle.format.load(Ordering::Relaxed) == Format::Json as u8;
        // Writing to a string cannot fail.
        let _ = if json {
            write_json(&mut line, &now, level, &component, &fields)
        } else {
            write_logfmt(&mut line, &now, level, &component, &fields)
        };
        let sink = self.handle.sink.lock().clone();
        if let Some(sink) = sink {
            sink(level, &line);
        }
        line.push('\n');
        (self.out)(line.as_bytes());
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    component: Option<String>,
    rest: Vec<(&'static str, String)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            "component" => self.component = Some(value),
            name => self.rest.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }
}

fn write_logfmt(
    line: &mut String,
    now: &impl fmt::Display,
    level: Level,
    component: &str,
    fields: &Fields,
) -> fmt::Result {
    write!(line, "ts={now} level={} component=", level.as_str())?;
    logfmt_value(line, component)?;
    line.push_str(" msg=");
    logfmt_value(line, &fields.message)?;
    for (name, value) in &fields.rest {
        write!(line, " {name}=")?;
        logfmt_value(line, value)?;
    }
    Ok(())
}

/// A value as logfmt writes it: bare when it can be, else quoted with JSON's escapes.
pub fn logfmt_value(out: &mut String, value: &str) -> fmt::Result {
    let bare = !value.is_empty() && !value.contains(|c: char| c <= ' ' || matches!(c, '"' | '=' | '\\' | '\u{7f}'));
    if bare {
        out.push_str(value);
        return Ok(());
    }
    json_string(out, value)
}

fn json_string(out: &mut String, value: &str) -> fmt::Result {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' || c == '\u{7f}' => write!(out, "\\u{:04x}", c as u32)?,
            c => out.push(c),
        }
    }
    out.push('"');
    Ok(())
}

fn write_json(
    line: &mut String,
    now: &impl fmt::Display,
    level: Level,
    component: &str,
    fields: &Fields,
) -> fmt::Result {
    write!(line, "{{\"ts\":\"{now}\",\"level\":\"{}\",\"component\":", level.as_str())?;
    json_string(line, component)?;
    line.push_str(",\"msg\":");
    json_string(line, &fields.message)?;
    for (name, value) in &fields.rest {
        line.push(',');
        json_string(line, name)?;
        line.push(':');
        json_string(line, value)?;
    }
    line.push('}');
    Ok(())
}

/// Lets a repeated warning through at most once per interval and key, and says how many were held back.
///
/// ```
/// # use foursight_kit::log::Limiter;
/// static LIMITER: Limiter = Limiter::new(std::time::Duration::from_secs(60));
/// if let Some(held_back) = LIMITER.allow("peer-1") {
///     tracing::warn!(component = "push", held_back, "peer refuses");
/// }
/// ```
#[derive(Debug)]
pub struct Limiter {
    interval: Duration,
    seen: Mutex<Option<HashMap<String, (Instant, u64)>>>,
}

impl Limiter {
    /// A limiter; usable as a static.
    pub const fn new(interval: Duration) -> Self {
        Self { interval, seen: Mutex::new(None) }
    }

    /// `Some(number held back since the last time)` when the message may be written now.
    pub fn allow(&self, key: &str) -> Option<u64> {
        self.allow_at(key, Instant::now())
    }

    fn allow_at(&self, key: &str, now: Instant) -> Option<u64> {
        let mut seen = self.seen.lock();
        let seen = seen.get_or_insert_default();
        if seen.len() > 1000 {
            seen.retain(|_, (last, _)| now.duration_since(*last) < self.interval);
        }
        match seen.get_mut(key) {
            Some((last, held_back)) if now.duration_since(*last) < self.interval => {
                *held_back += 1;
                None
            }
            Some(entry) => Some(std::mem::replace(entry, (now, 0)).1),
            None => {
                seen.insert(key.to_owned(), (now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(level: Level, format: Format, log: impl FnOnce()) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let out = lines.clone();
        let handle = Handle {
            level: Arc::new(AtomicU8::new(level as u8)),
            format: Arc::new(AtomicU8::new(format as u8)),
            sink: Arc::default(),
        };
        let layer = LineLayer {
            handle,
            out: move |line: &[u8]| out.lock().push(String::from_utf8_lossy(line).trim_end().to_owned()),
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let lines = lines.lock();
        // The time is the wall clock's.
        lines.iter().map(|line| line.split_once("level").map(|(_, rest)| rest.to_owned()).unwrap_or_default()).collect()
    }

    #[test]
    fn writes_logfmt_and_json() {
        let log = || {
            tracing::warn!(component = "scrape", target = "http://x", n = 3, error = "a \"b\"\n", "it failed");
            tracing::debug!("not shown");
            tracing::info!(target: "foursight_kit::client", "plain");
            tracing::info!(target: "hyper", "not ours");
        };
        assert_eq!(
            lines(Level::Info, Format::Logfmt, log),
            [
                r#"=warn component=scrape msg="it failed" target=http://x n=3 error="a \"b\"\n""#,
                "=info component=client msg=plain"
            ]
        );
        assert_eq!(
            lines(Level::Warn, Format::Json, log),
            [r#"":"warn","component":"scrape","msg":"it failed","target":"http://x","n":"3","error":"a \"b\"\n"}"#]
        );
    }

    #[test]
    fn limits_repeats() {
        let limiter = Limiter::new(Duration::from_secs(60));
        let start = Instant::now();
        assert_eq!(limiter.allow_at("a", start), Some(0));
        assert_eq!(limiter.allow_at("a", start + Duration::from_secs(1)), None);
        assert_eq!(limiter.allow_at("b", start + Duration::from_secs(1)), Some(0));
        assert_eq!(limiter.allow_at("a", start + Duration::from_secs(61)), Some(1));
        assert_eq!(limiter.allow_at("a", start + Duration::from_secs(200)), Some(0));
    }
}
