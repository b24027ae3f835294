//! Command lines of tools: flags anywhere, values behind `=` or as the next word, repeated flags kept in order.

/// What a tool knows: flags without and with a value, by name without dashes.
pub(super) struct Known<'a> {
    pub(super) switches: &'a [&'a str],
    pub(super) values: &'a [&'a str],
}

/// A command line that was read.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Args {
    flags: Vec<(String, String)>,
    /// Everything that is no flag.
    pub(super) words: Vec<String>,
}

impl Args {
    /// Reads words; `--no-x` takes the switch `x` back.
    ///
    /// # Errors
    /// A flag that the tool does not know, or one without its value.
    pub(super) fn read(words: &[&str], known: &Known<'_>) -> Result<Self, String> {
        let mut args = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if *word == "--" {
                args.words.extend(words.map(|word| (*word).to_owned()));
                break;
            }
            let Some(body) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')).filter(|body| !body.is_empty())
            else {
                args.words.push((*word).to_owned());
                continue;
            };
            let (name, value) = match body.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (body, None),
            };
            if known.switches.contains(&name) {
                args.flags.push((name.to_owned(), value.unwrap_or("true").to_owned()));
            } else if let Some(name) = name.strip_prefix("no-").filter(|name| known.switches.contains(name)) {
                args.flags.push((name.to_owned(), "false".to_owned()));
            } else if known.values.contains(&name) {
                let value = match value {
                    Some(value) => value,
                    None => words.next().ok_or_else(|| format!("expected argument for flag '{word}'"))?,
                };
                args.flags.push((name.to_owned(), value.to_owned()));
            } else {
                return Err(format!("unknown flag '{word}'"));
            }
        }
        Ok(args)
    }

    /// The last value of a flag.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.flags.iter().rev().find(|(flag, _)| flag == name).map(|(_, value)| value.as_str())
    }

    /// All values of a flag.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.flags.iter().filter(move |(flag, _)| flag == name).map(|(_, value)| value.as_str())
    }

    /// Whether a switch is on.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_stand_anywhere() {
        let known = Known { switches: &["lint-fatal"], values: &["lint", "o"] };
        let args = Args::read(&["a", "--lint=all", "--lint-fatal", "-o", "json", "b", "--", "--c"], &known).unwrap();
        assert_eq!((args.get("lint"), args.get("o"), args.is_set("lint-fatal")), (Some("all"), Some("json"), true));
        assert_eq!(args.words, ["a", "b", "--c"]);
        assert!(!Args::read(&["--lint-fatal", "--no-lint-fatal"], &known).unwrap().is_set("lint-fatal"));
        assert_eq!(Args::read(&["--what"], &known).unwrap_err(), "unknown flag '--what'");
        assert!(Args::read(&["--lint"], &known).is_err());
    }
}
