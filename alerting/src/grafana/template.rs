//! Templates of Grafana's rules: labels and annotations.
//!
//! Before each text stand `$labels`, `$values` and `$value`. What cannot be expanded stays as it is written: a label must
//! have a value, and the text of the template is the one that shows what is wrong.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use gotemplate::gotime::Zone;
use gotemplate::{Context, Element, Limits, Map, MissingKey, Record, TemplateSet, Text, Type, Value, sets};
use jiff::Timestamp;
use model::Labels;

use super::eval::Capture;
use crate::evaluate::{Evaluator, QueryError, Sample};
use crate::rules::template::RuleHost;
use crate::text::plain_number;

const VARIABLES: &str = "{{- $labels := .Labels -}}{{- $values := .Values -}}{{- $value := .Value -}}";

/// Most parsed texts kept.
const MAX_PARSED: usize = 4096;

static DATA: &Type = &Type::plain("template.Data", Element::Any);
static LABELS: &Type = &Type {
    name: "template.Labels",
    element: Element::Str,
    methods: &[],
    display: Some(|value| match value {
        Value::Map(map) => {
            let text = |value: &Value<'_>| match value {
                Value::Str(text) => text.to_str().into_owned(),
                _ => String::new(),
            };
            let pairs = map.entries().iter().map(|(name, value)| format!("{}={}", name.to_str(), text(value)));
            pairs.collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    }),
    json_lower: false,
};
static VALUE: &Type = &Type {
    name: "template.Value",
    element: Element::Any,
    methods: &[],
    display: Some(|value| match value {
        Value::Record(record) => match record.get("Value") {
            Some(Value::Float(value)) => model::number::float_text(*value, model::number::FloatFormat::Fixed),
            _ => String::new(),
        },
        _ => String::new(),
    }),
    json_lower: false,
};
static VALUES: &Type = &Type::plain("map[string]template.Value", Element::Host(VALUE));

/// Expands the templates of Grafana's rules.
#[derive(Debug, Default)]
pub struct GrafanaExpander {
    parsed: Mutex<HashMap<(String, String), Arc<TemplateSet>>>,
    external_url: String,
}

/// What templates of a rule see.
pub(super) struct TemplateData<'a> {
    pub(super) labels: &'a Labels,
    pub(super) captures: &'a BTreeMap<String, Capture>,
    pub(super) value: &'a str,
    pub(super) now_ms: i64,
}

struct NoQueries;

impl Evaluator for NoQueries {
    fn query(&self, _expr: &str, _at_ms: i64) -> Result<Vec<Sample>, QueryError> {
        Err(QueryError::new("queries are not available in templates of these rules"))
    }
}

impl GrafanaExpander {
    /// An expander; `external_url`: where the dashboards are.
    pub fn new(external_url: &str) -> Self {
        Self { parsed: Mutex::default(), external_url: external_url.to_owned() }
    }

    fn parse(&self, title: &str, text: &str) -> Result<Arc<TemplateSet>, gotemplate::Error> {
        let lock = || self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (title.to_owned(), text.to_owned());
        if let Some(known) = lock().get(&key) {
            return Ok(known.clone());
        }
        let functions = sets::grafana_rules();
        let name = format!("__alert_{title}");
        let set = Arc::new(TemplateSet::of(&name, &format!("{VARIABLES}{text}"), &functions, MissingKey::Default)?);
        let mut parsed = lock();
        if parsed.len() >= MAX_PARSED {
            parsed.clear();
        }
        parsed.insert(key, set.clone());
        Ok(set)
    }

    /// Whether a text is a template.
    ///
    /// # Errors
    /// The template engine's words.
    pub fn check(&self, title: &str, text: &str) -> Result<(), String> {
        self.parse(title, text).map(|_| ()).map_err(|error| error.to_string())
    }

    /// The expanded text.
    pub(super) fn expand(&self, title: &str, text: &str, data: &TemplateData<'_>) -> String {
        if !text.contains("{{") {
            return text.to_owned();
        }
        self.try_expand(title, text, data).unwrap_or_else(|_| text.to_owned())
    }

    fn try_expand(&self, title: &str, text: &str, data: &TemplateData<'_>) -> Result<String, gotemplate::Error> {
        let set = self.parse(title, text)?;
        let host = RuleHost { evaluator: &NoQueries, now_ms: data.now_ms, external_url: &self.external_url };
        let context = Context {
            now: Timestamp::from_millisecond(data.now_ms).unwrap_or(Timestamp::UNIX_EPOCH),
            local: Zone::Utc,
            host: &host,
            limits: Limits::default(),
        };
        let values = data.captures.iter().map(|(ref_id, capture)| {
            let value = Value::Float(capture.value.unwrap_or(f64::NAN));
            let fields = vec![("Labels", labels(&capture.labels)), ("Value", value)];
            (Text::from(ref_id.as_str()), Value::Record(Record::new(VALUE, fields)))
        });
        let fields = vec![
            ("Labels", labels(data.labels)),
            ("Values", Value::Map(Map::new(VALUES, values.collect()))),
            ("Value", data.value.into()),
        ];
        let text = set.render(Value::Record(Record::new(DATA, fields)), &context)?;
        Ok(text.replace("<no value>", "[no value]"))
    }
}

fn labels(labels: &Labels) -> Value<'_> {
    let entries = labels.iter().map(|(name, value)| (Text::from(name), Value::from(value))).collect();
    Value::Map(Map::new(LABELS, entries))
}

/// A number for `__values__`, which is JSON: what JSON cannot say is null.
pub(super) fn values_json(values: &BTreeMap<String, f64>) -> String {
    let number = |value: f64| if value.is_finite() { plain_number(value) } else { "null".to_owned() };
    let text =
        |(name, value): (&String, &f64)| format!("{}:{}", serde_json::Value::from(name.as_str()), number(*value));
    format!("{{{}}}", values.iter().map(text).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> String {
        let capture =
            |labels: &[(&str, &str)], value| Capture { labels: Labels::from_pairs(labels.iter().copied()), value };
        let captures = BTreeMap::from([
            ("A".to_owned(), capture(&[("host", "a")], Some(1_234_567.5))),
            ("B".to_owned(), capture(&[], None)),
        ]);
        let labels = Labels::from_pairs([("host", "a"), ("job", "api")]);
        let data = TemplateData { labels: &labels, captures: &captures, value: "[ var='A' ]", now_ms: 0 };
        GrafanaExpander::new("http://g/x").expand("Down", text, &data)
    }

    #[test]
    fn expansions() {
        let cases = [
            ("plain", "plain"),
            ("{{ $labels.host }} {{ $values.A.Value }} {{ $values.A }}", "a 1.2345675e+06 1234567.5"),
            ("{{ $labels }} | {{ $values.A.Labels }} | {{ $value }}", "host=a, job=api | host=a | [ var='A' ]"),
            ("{{ $values.B }}", "NaN"),
            ("{{ $labels.missing }}", "[no value]"),
            ("{{ with $values }}{{ range $k, $v := . }}{{ $k }}={{ $v }};{{ end }}{{ end }}", "A=1234567.5;B=NaN;"),
            ("{{ humanize $values.A.Value }} {{ externalURL }}{{ pathPrefix }}", "1.235M http://g/x/x"),
            ("{{ (mergeLabelValues $values).host }}", "a"),
            // What fails stays as it is written.
            ("{{ $labels.host", "{{ $labels.host"),
            ("{{ query \"up\" }}", "{{ query \"up\" }}"),
            ("{{ .Nope }}", "{{ .Nope }}"),
        ];
        for (text, want) in cases {
            assert_eq!(expand(text), want, "{text}");
        }
    }

    #[test]
    fn values_as_json() {
        let values = BTreeMap::from([("A".to_owned(), 1.5), ("B \"x\"".to_owned(), f64::NAN), ("C".to_owned(), -1.0)]);
        assert_eq!(values_json(&values), "{\"A\":1.5,\"B \\\"x\\\"\":null,\"C\":-1}");
        assert!(serde_json::from_str::<serde_json::Value>(&values_json(&values)).is_ok());
    }
}
