//! Pieces that configuration files of all servers share: [`load`] for small YAML files, [`Secret`], durations and sizes
//! as the peers write them, `${VAR}` expansion, and [`Reloader`], which tells a server when to read its file again.

mod expand;
mod reload;
mod values;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, DeserializeOwned, Deserializer};

pub use expand::{expand_env, expand_loki};
pub use reload::{ReloadHandle, ReloadRequest, Reloader};
pub use values::{ByteSize, GoDuration, PromDuration, Secret};

/// A file could not be used, with the place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The file.
    pub file: PathBuf,
    /// Line and column from 1, when the error has a place.
    pub place: Option<(u64, u64)>,
    /// What is wrong.
    pub message: String,
}

impl LoadError {
    /// An error about a file as a whole.
    pub fn new(file: &Path, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), place: None, message: message.into() }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for LoadError {}

/// Reads a YAML (or JSON) file into a serde type; an empty file is an empty mapping. Blocking.
///
/// # Errors
/// When the file cannot be read, or its content does not fit: with line and column.
pub fn load<T: DeserializeOwned>(file: &Path) -> Result<T, LoadError> {
    let text = std::fs::read_to_string(file).map_err(|e| LoadError::new(file, e.to_string()))?;
    parse(file, &text)
}

/// As [`load`], for text that came from `file`.
///
/// # Errors
/// As [`load`].
pub fn parse<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, LoadError> {
    let blank = text.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "---"
    });
    let text = if blank { "{}" } else { text };
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_nodes: 20_000_000, max_events: 40_000_000, max_total_scalar_bytes: 1 << 30 },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map(|at| (at.line(), at.column()));
        LoadError { file: file.to_owned(), place, message: error.without_snippet().to_string() }
    })
}

/// For `#[serde(deserialize_with)]`: `null` (`field:` with nothing behind it) is the default, as in Go.
///
/// # Errors
/// When the value is not of the type.
pub fn null_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Demo {
        name: String,
        #[serde(deserialize_with = "null_default")]
        wait: PromDuration,
    }

    #[test]
    fn errors_name_the_place() {
        let file = Path::new("demo.yml");
        let demo: Demo = parse(file, "name: yes\nwait:\n").unwrap();
        assert_eq!(demo, Demo { name: "yes".into(), wait: PromDuration(0) });
        assert_eq!(parse::<Demo>(file, "# nothing\n"), Ok(Demo::default()));
        for (text, place, part) in [
            ("name: a\nnope: 1\n", (2, 1), "nope"),
            ("name: a\nname: b\n", (2, 1), "name"),
            ("wait: 5 parsecs\n", (1, 7), "not a valid duration"),
        ] {
            let error = parse::<Demo>(file, text).unwrap_err();
            assert_eq!(error.place, Some(place), "{error}");
            assert!(error.to_string().starts_with("demo.yml:") && error.message.contains(part), "{error}");
        }
    }
}
