//! Pieces that configuration files of all servers share: [`load`] for small YAML files, [`Secret`], durations and sizes
//! as the peers write them, `${VAR}` expansion, and [`Reloader`], which tells a server when to read its file again.

mod expand;
mod reload;
mod values;

use std::path::Path;

use serde::de::{Deserialize, DeserializeOwned, Deserializer};

use crate::yaml::{self, ConfigError};
pub use expand::{expand_env, expand_loki};
pub use reload::{ReloadHandle, ReloadRequest, Reloader};

pub use values::{ByteSize, GoDuration, PromDuration, Secret};

/// Reads a YAML (or JSON) file into a serde type; an empty file is an empty mapping. Blocking.
///
/// # Errors
/// When the file cannot be read, or its content does not fit: with line, column and field.
pub fn load<T: DeserializeOwned>(file: &Path) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|e| ConfigError::plain(e.to_string()).in_file(file))?;
    parse(file, &text)
}

/// As [`load`], for text that came from `file`.
///
/// # Errors
/// As [`load`].
pub fn parse<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, ConfigError> {
    yaml::parse(text).and_then(|node| node.deserialize()).map_err(|e| e.in_file(file))
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
            assert_eq!((error.line, error.column), place, "{error}");
            assert!(error.to_string().starts_with("demo.yml:") && error.message.contains(part), "{error}");
        }
    }
}
