//! Where collectors read from and write to: files below configurable roots, families of metrics.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kit::metrics::{Family, LabelPair, MetricKind};
use model::regex::{Flags, GoRegex};

/// Why a collector gave nothing, or not everything.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// The machine does not have what the collector reads.
    #[error("no data")]
    NoData,
    /// A source could not be read.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A source does not look as expected.
    #[error("{}: {message}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What was expected.
        message: String,
    },
}

/// Result of a collector.
pub(super) type Result<T = (), E = CollectError> = std::result::Result<T, E>;

/// The roots below which everything is read.
#[derive(Clone, Debug)]
pub struct Roots {
    /// `/proc`
    pub procfs: PathBuf,
    /// `/sys`
    pub sysfs: PathBuf,
    /// `/`
    pub rootfs: PathBuf,
    /// `/run/udev/data`
    pub udev: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { procfs: "/proc".into(), sysfs: "/sys".into(), rootfs: "/".into(), udev: "/run/udev/data".into() }
    }
}

impl Roots {
    /// A file below `/proc`.
    pub fn proc(&self, path: impl AsRef<Path>) -> PathBuf {
        self.procfs.join(path)
    }

    /// A file below `/sys`.
    pub fn sys(&self, path: impl AsRef<Path>) -> PathBuf {
        self.sysfs.join(path)
    }
}

/// Reads a whole file; one that does not exist is "no data".
pub(super) fn read(file: &Path) -> Result<String> {
    match fs::read(file) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(CollectError::NoData),
        Err(source) => Err(CollectError::Io { file: file.to_owned(), source }),
    }
}

/// A one-line file without the blanks around it; `None` when it cannot be read (many files of `/sys` answer EINVAL).
pub(super) fn line(file: impl AsRef<Path>) -> Option<String> {
    let bytes = fs::read(file).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// A one-line file with a number, decimal or `0x…`.
pub(super) fn number(file: impl AsRef<Path>) -> Option<f64> {
    let text = line(file)?;
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok().map(|n| n as f64),
        None => text.parse().ok(),
    }
}

/// Names in a folder, sorted; none when it cannot be read.
pub(super) fn names(dir: impl AsRef<Path>) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .map(|entries| entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

/// A pair of `include` and `exclude` patterns; one of them at most is set.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    include: Option<GoRegex>,
    exclude: Option<GoRegex>,
}

impl Filter {
    /// # Errors
    /// When a pattern is wrong, or both are given.
    pub fn new(name: &str, include: &str, exclude: &str) -> std::result::Result<Self, String> {
        if !include.is_empty() && !exclude.is_empty() {
            return Err(format!("{name}-include and {name}-exclude are mutually exclusive"));
        }
        let compile = |pattern: &str| match pattern {
            "" => Ok(None),
            pattern => GoRegex::new(pattern, Flags::SEARCH).map(Some).map_err(|e| format!("{name}: {e}")),
        };
        Ok(Self { include: compile(include)?, exclude: compile(exclude)? })
    }

    /// Whether the name is left out.
    pub fn ignores(&self, name: &str) -> bool {
        self.exclude.as_ref().is_some_and(|pattern| pattern.is_match(name))
            || self.include.as_ref().is_some_and(|pattern| !pattern.is_match(name))
    }
}

/// Families being gathered.
#[derive(Debug, Default)]
pub struct Out {
    families: Vec<Family>,
    index: HashMap<Cow<'static, str>, usize>,
}

impl Out {
    /// Adds a value. Labels are written sorted by name, whatever the order here.
    pub fn add(
        &mut self,
        kind: MetricKind,
        name: impl Into<Cow<'static, str>>,
        help: impl Into<Cow<'static, str>>,
        labels: &[(&'static str, &str)],
        value: f64,
    ) {
        let mut labels: Vec<LabelPair> =
            labels.iter().map(|(n, v)| (Cow::Borrowed(*n), Cow::Owned((*v).to_owned()))).collect();
        labels.sort();
        self.family(kind, name.into(), help.into()).push(labels, value);
    }

    /// The family of a name, made when new.
    pub fn family(&mut self, kind: MetricKind, name: Cow<'static, str>, help: Cow<'static, str>) -> &mut Family {
        let at = *self.index.entry(name.clone()).or_insert(self.families.len());
        if at == self.families.len() {
            self.families.push(Family::new(name, help, kind));
        }
        &mut self.families[at]
    }

    /// Adds a gauge.
    pub fn gauge(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        help: impl Into<Cow<'static, str>>,
        labels: &[(&'static str, &str)],
        value: f64,
    ) {
        self.add(MetricKind::Gauge, name, help, labels, value);
    }

    /// Adds a counter.
    pub fn counter(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        help: impl Into<Cow<'static, str>>,
        labels: &[(&'static str, &str)],
        value: f64,
    ) {
        self.add(MetricKind::Counter, name, help, labels, value);
    }

    /// The families, in the order in which they began.
    pub fn into_families(self) -> Vec<Family> {
        self.families
    }
}
