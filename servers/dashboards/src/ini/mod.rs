//! `grafana.ini`: sections, keys and values, each with its line.
//!
//! Grammar as Grafana reads it: `[section]`, `key = value` or `key: value`, comments from `;` or `#` (at the start of a line
//! or behind a value), values in `"…"`, `'…'`, `` `…` `` or `"""…"""` (over several lines) when they hold such characters,
//! a `\` at the end of a line joins it with the next. Values may refer to keys (`%(domain)s`), to the environment
//! (`${NAME}`, `$__env{NAME}`) and to files (`$__file{/run/secret}`). `GF_<SECTION>_<KEY>` in the environment wins over the
//! file. [`keys`] knows every key there is: an unknown one is worth a warning, as Grafana ignores it.

pub(crate) mod keys;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::interpolate::{self, Env};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A line of the file.
    Line(u32),
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag(&'static str),
}

/// A value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IniError {
    file: PathBuf,
    place: Place,
    message: String,
}

impl IniError {
    /// The file itself cannot be read.
    pub(crate) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        Self::line(file, 0, error.to_string())
    }

    fn line(file: &Path, line: u32, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), place: Place::Line(line), message: message.into() }
    }
}

impl fmt::Display for IniError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line(0) => write!(f, "{}: {}", self.file.display(), self.message),
            Place::Line(line) => write!(f, "{}:{line}: {}", self.file.display(), self.message),
            Place::Variable(name) => write!(f, "environment variable {name}: {}", self.message),
            Place::Flag(name) => write!(f, "flag {name}: {}", self.message),
        }
    }
}

impl std::error::Error for IniError {}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Value {
    text: String,
    place: Place,
}

/// A file with the environment laid over it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ini {
    file: PathBuf,
    /// By section and key, both in lower case.
    values: BTreeMap<(String, String), Value>,
    /// What is worth a warning.
    warnings: Vec<String>,
}

impl Ini {
    /// Reads the text of `file` and what the environment says instead.
    ///
    /// # Errors
    /// When the text is no such file or a reference in it leads nowhere.
    pub(crate) fn new(file: &Path, text: &str, env: &Env) -> Result<Self, IniError> {
        let mut ini = Self { file: file.to_owned(), ..Self::default() };
        for entry in parse::parse(file, text)? {
            if let Some(what) = keys::unknown(&entry.section, &entry.key) {
                ini.warnings.push(format!("{}:{}: {what}, it is ignored", file.display(), entry.line));
            }
            let value = Value { text: entry.value, place: Place::Line(entry.line) };
            if ini.values.insert((entry.section.clone(), entry.key.clone()), value).is_some() {
                let place = format!("{}:{}", file.display(), entry.line);
                ini.warnings.push(format!("{place}: {} is given twice, this one counts", entry.key));
            }
        }
        ini.overlay_environment(env)?;
        ini.resolve(env)?;
        Ok(ini)
    }

    fn overlay_environment(&mut self, env: &Env) -> Result<(), IniError> {
        let mut names: Vec<(String, String)> = keys::all().map(|(s, k)| (s.to_owned(), k.to_owned())).collect();
        names.extend(self.values.keys().cloned());
        for (section, key) in names {
            let variable = variable_of(&section, &key);
            let from_file = format!("{variable}__FILE");
            let (name, text) = if let Some(text) = env(&variable) {
                (variable, text)
            } else if let Some(path) = env(&from_file) {
                let text = std::fs::read_to_string(&path).map_err(|e| IniError {
                    file: self.file.clone(),
                    place: Place::Variable(from_file.clone()),
                    message: format!("{path}: {e}"),
                })?;
                (from_file, text.trim_end_matches(['\n', '\r']).to_owned())
            } else {
                continue;
            };
            // An empty variable says nothing, as in Grafana.
            if !text.is_empty() {
                self.values.insert((section, key), Value { text, place: Place::Variable(name) });
            }
        }
        Ok(())
    }

    /// Sets a value that a flag names.
    pub(crate) fn set(&mut self, section: &str, key: &str, text: String, flag: &'static str) {
        self.values.insert((section.to_owned(), key.to_owned()), Value { text, place: Place::Flag(flag) });
    }

    /// Replaces references in values, outermost first: keys, then environment and files.
    fn resolve(&mut self, env: &Env) -> Result<(), IniError> {
        let raw = self.values.clone();
        for ((section, _), value) in &mut self.values {
            let fail = |message: String| IniError { file: self.file.clone(), place: value.place.clone(), message };
            let text = expand_keys(&raw, section, &value.text, 0).map_err(fail)?;
            value.text = interpolate::ini_value(&text, env).map_err(fail)?;
        }
        Ok(())
    }

    /// What is worth a warning: unknown and repeated keys, with file and line.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The text of a key; absent and empty are `None`.
    pub(crate) fn text(&self, section: &str, key: &str) -> Option<&str> {
        let value = self.values.get(&(section.to_owned(), key.to_ascii_lowercase()))?;
        Some(value.text.as_str()).filter(|text| !text.is_empty())
    }

    /// The value of a key, read by `read`, or `default` when absent or empty.
    ///
    /// # Errors
    /// When the text does not fit; the error names its place and the key.
    pub(crate) fn read<T>(
        &self,
        section: &str,
        key: &str,
        default: T,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, IniError> {
        match self.text(section, key) {
            None => Ok(default),
            Some(text) => read(text).map_err(|message| self.error(section, key, message)),
        }
    }

    /// An error at a key.
    pub(crate) fn error(&self, section: &str, key: &str, message: impl fmt::Display) -> IniError {
        let value = self.values.get(&(section.to_owned(), key.to_ascii_lowercase()));
        let place = value.map_or(Place::Line(0), |value| value.place.clone());
        let section = if section.is_empty() { String::new() } else { format!("[{section}] ") };
        IniError { file: self.file.clone(), place, message: format!("{section}{key}: {message}") }
    }

    /// A boolean.
    pub(crate) fn bool(&self, section: &str, key: &str, default: bool) -> Result<bool, IniError> {
        self.read(section, key, default, |text| match text.to_ascii_lowercase().as_str() {
            "1" | "t" | "true" | "yes" | "y" | "on" => Ok(true),
            "0" | "f" | "false" | "no" | "n" | "off" => Ok(false),
            _ => Err(format!("{text:?} is neither true nor false")),
        })
    }

    /// A whole number.
    pub(crate) fn integer(&self, section: &str, key: &str, default: i64) -> Result<i64, IniError> {
        self.read(section, key, default, |text| text.parse().map_err(|_| format!("{text:?} is no whole number")))
    }

    /// A duration in milliseconds: Go's (`1h30m`), with `d`, `w`, `M` and `y` besides; a plain number counts seconds.
    pub(crate) fn duration_ms(&self, section: &str, key: &str, default: i64) -> Result<i64, IniError> {
        self.read(section, key, default, duration_ms)
    }

    /// Every key of a section that is given, with its text.
    pub(crate) fn section<'a>(&'a self, section: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.values.iter().filter(move |((s, _), _)| s == section).map(|((_, k), v)| (k.as_str(), v.text.as_str()))
    }
}

/// Name of the variable that overrides a key.
fn variable_of(section: &str, key: &str) -> String {
    let clean = |text: &str| text.to_ascii_uppercase().replace(['.', '-'], "_");
    match section {
        "" => format!("GF_DEFAULT_{}", clean(key)),
        _ => format!("GF_{}_{}", clean(section), clean(key)),
    }
}

/// How deep `%(key)s` may nest; a circle ends here.
const MAX_DEPTH: usize = 16;

fn expand_keys(
    values: &BTreeMap<(String, String), Value>,
    section: &str,
    text: &str,
    depth: usize,
) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("%(") {
        let Some(end) = rest[at..].find(")s") else { break };
        let name = &rest[at + 2..at + end];
        out.push_str(&rest[..at]);
        rest = &rest[at + end + 2..];
        if depth == MAX_DEPTH {
            return Err(format!("%({name})s refers to itself"));
        }
        let key = name.to_ascii_lowercase();
        let own = values.get(&(section.to_owned(), key.clone())).or_else(|| values.get(&(String::new(), key.clone())));
        match own {
            Some(value) => out.push_str(&expand_keys(values, section, &value.text, depth + 1)?),
            None => out.push_str(keys::default_of(section, &key).ok_or_else(|| format!("%({name})s is not set"))?),
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// See [`Ini::duration_ms`].
pub(crate) fn duration_ms(text: &str) -> Result<i64, String> {
    let bad = || format!("{text:?} is no duration such as 30s, 10m or 7d");
    if let Ok(seconds) = text.parse::<f64>() {
        return if seconds.is_finite() { Ok((seconds * 1000.0) as i64) } else { Err(bad()) };
    }
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut total = 0.0f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        total += number
            * match &rest[..unit] {
                "ns" => 1e-6,
                "us" | "µs" => 1e-3,
                "ms" => 1.0,
                "s" => 1000.0,
                "m" => 60_000.0,
                "h" => 3_600_000.0,
                "d" => 86_400_000.0,
                "w" => 604_800_000.0,
                "M" => 30.0 * 86_400_000.0,
                "y" => 365.0 * 86_400_000.0,
                _ => return Err(bad()),
            };
        rest = &rest[unit..];
    }
    if text.is_empty() || total > 1e15 {
        return Err(bad());
    }
    Ok(if negative { -total } else { total } as i64)
}
