//! Templates of Prometheus rules: the [`Expander`] over Go's template language.
//!
//! Before each text stand the four variables that rules know (`$labels`, `$value`, `$externalLabels`, `$externalURL`).
//! Parsed texts are kept, since a rule expands the same few texts for every alert at every evaluation; a text without
//! braces is its own expansion.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gotemplate::gotime::Zone;
use gotemplate::{
    CallError, CallResult, Context, Element, Host, Limits, List, Map, MissingKey, Record, TemplateSet, Text, Type,
    Value, sets,
};
use jiff::Timestamp;
use model::Labels;

use super::expand::{Expander, Expansion};
use crate::evaluate::{Evaluator, SampleValue};

const VARIABLES: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
     {{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// Most parsed texts kept; beyond that all are dropped and parsed anew as they come.
const MAX_PARSED: usize = 4096;

static DATA: &Type = &Type::plain("struct { Labels map[string]string; Value interface {} }", Element::Any);

/// Expands the templates of Prometheus rules.
#[derive(Debug, Default)]
pub struct TemplateExpander {
    parsed: Mutex<HashMap<String, HashMap<String, Arc<TemplateSet>>>>,
}

impl TemplateExpander {
    /// An expander that knows no text yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn parse(&self, alert: &str, text: &str) -> Result<Arc<TemplateSet>, gotemplate::Error> {
        let lock = || self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(alert).and_then(|texts| texts.get(text)) {
            return Ok(known.clone());
        }
        let name = set_name(alert);
        let set = TemplateSet::of(&name, &format!("{VARIABLES}{text}"), &sets::prometheus(), MissingKey::Zero)?;
        let set = Arc::new(set);
        let mut parsed = lock();
        if parsed.values().map(HashMap::len).sum::<usize>() >= MAX_PARSED {
            parsed.clear();
        }
        parsed.entry(alert.to_owned()).or_default().insert(text.to_owned(), set.clone());
        Ok(set)
    }
}

fn set_name(alert: &str) -> String {
    format!("__alert_{alert}")
}

impl Expander for TemplateExpander {
    fn expand(&self, expansion: &Expansion<'_>) -> Result<String, String> {
        if !expansion.text.contains("{{") {
            return Ok(expansion.text.to_owned());
        }
        let name = || set_name(expansion.alert);
        let set = self
            .parse(expansion.alert, expansion.text)
            .map_err(|error| format!("error parsing template {}: {error}", name()))?;
        let host = RuleHost {
            evaluator: expansion.evaluator,
            now_ms: expansion.now_ms,
            external_url: &expansion.external.url,
        };
        let context = Context {
            now: Timestamp::from_millisecond(expansion.now_ms).unwrap_or(Timestamp::UNIX_EPOCH),
            local: Zone::Utc,
            host: &host,
            limits: Limits::default(),
        };
        let value = match expansion.value {
            SampleValue::Float(value) => Value::Float(*value),
            SampleValue::Histogram(histogram) => Value::text(histogram.to_string()),
        };
        let data = Record::new(
            DATA,
            vec![
                ("Labels", label_map(expansion.labels)),
                ("ExternalLabels", label_map(&expansion.external.labels)),
                ("ExternalURL", Value::from(expansion.external.url.as_str())),
                ("Value", value),
            ],
        );
        set.render(Value::Record(data), &context)
            .map_err(|error| format!("error executing template {}: {error}", name()))
    }

    fn check(&self, alert: &str, text: &str) -> Result<(), String> {
        self.parse(alert, text).map(|_| ()).map_err(|error| error.to_string())
    }
}

pub(crate) fn label_map(labels: &Labels) -> Value<'_> {
    let entries = labels.iter().map(|(name, value)| (Text::from(name), Value::from(value))).collect();
    Value::Map(Map::new(Type::STR_MAP, entries))
}

/// Answers `query`, `externalURL` and `pathPrefix`.
pub(crate) struct RuleHost<'a> {
    pub(crate) evaluator: &'a dyn Evaluator,
    pub(crate) now_ms: i64,
    pub(crate) external_url: &'a str,
}

impl Host for RuleHost<'_> {
    fn call<'d>(&'d self, name: &str, args: &[Value<'d>]) -> Option<CallResult<'d>> {
        Some(match (name, args) {
            ("query", [Value::Str(query)]) => self.query(&query.to_str()),
            ("externalURL", []) => Ok(self.external_url.into()),
            ("pathPrefix", []) => Ok(path_of(self.external_url).into()),
            _ => return None,
        })
    }
}

impl RuleHost<'_> {
    fn query<'d>(&self, expr: &str) -> CallResult<'d> {
        let samples =
            self.evaluator.query(expr, self.now_ms).map_err(|error| CallError::Failed(error.message.clone()))?;
        let items = samples.iter().map(|sample| {
            let labels =
                sample.labels.iter().map(|(name, value)| (Text::from(name.to_owned()), Text::from(value.to_owned())));
            sets::sample(labels, sample.value.as_float())
        });
        Ok(Value::List(List::new(sets::QUERY_RESULT, items.collect())))
    }
}

/// The path of an address, without host and query.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default();
    let end = path.find(['?', '#']).unwrap_or(path.len());
    path.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use model::METRIC_NAME;

    use super::super::expand::External;
    use super::*;
    use crate::evaluate::{QueryError, Sample};

    struct Store;

    impl Evaluator for Store {
        fn query(&self, expr: &str, at_ms: i64) -> Result<Vec<Sample>, QueryError> {
            assert_eq!(at_ms, 60_000);
            match expr {
                "up" => Ok(vec![Sample::float(Labels::from_pairs([(METRIC_NAME, "up"), ("job", "api")]), 21.0)]),
                _ => Err(QueryError::new("parse error")),
            }
        }
    }

    fn expand(text: &str) -> Result<String, String> {
        let external =
            External { labels: Labels::from_pairs([("cluster", "eu")]), url: "http://host:9090/prometheus".to_owned() };
        TemplateExpander::new().expand(&Expansion {
            alert: "Down",
            text,
            labels: &Labels::from_pairs([("instance", "a:80")]),
            value: &SampleValue::Float(0.25),
            now_ms: 60_000,
            external: &external,
            evaluator: &Store,
        })
    }

    #[test]
    fn expansions() {
        let cases = [
            ("plain", "plain"),
            ("{{ $labels.instance }} at {{ $value }}", "a:80 at 0.25"),
            ("{{ .Labels.instance }}{{ .Value | humanizePercentage }}", "a:8025%"),
            (
                "{{ $labels.missing }}|{{ $externalLabels.cluster }}|{{ $externalURL }}",
                "|eu|http://host:9090/prometheus",
            ),
            ("{{ with query \"up\" }}{{ . | first | value }} {{ (first .).Labels.job }}{{ end }}", "21 api"),
            ("{{ pathPrefix }} {{ externalURL }}", "/prometheus http://host:9090/prometheus"),
        ];
        for (text, want) in cases {
            assert_eq!(expand(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn errors_say_where() {
        let cases = [
            ("{{ .Nope }}", "error executing template __alert_Down: template: __alert_Down:1:"),
            ("{{ query \"nope\" }}", "error calling query: parse error"),
            ("{{ if }}", "error parsing template __alert_Down: template: __alert_Down:1: missing value for if"),
        ];
        for (text, want) in cases {
            let error = expand(text).expect_err(text);
            assert!(error.contains(want), "{text}: {error}");
        }
        assert_eq!(
            TemplateExpander::new().check("Down", "{{ $x }}"),
            Err("template: __alert_Down:1: undefined variable \"$x\"".to_owned())
        );
    }
}
