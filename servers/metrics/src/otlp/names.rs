//! Names of metrics and labels made of OpenTelemetry's, as the configured strategy says.

use wire::otlp::AnyValue;
use wire::otlp::{Data, Metric};

use crate::config::{OtlpConfig, TranslationStrategy};

/// Units and what they are called in names.
const UNITS: [(&str, &str); 30] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
    ("By/s", "bytes_per_second"),
    ("KiB", "kibibytes"),
    ("MiB", "mebibytes"),
    ("GiB", "gibibytes"),
];

/// What stands behind a slash.
const PER: [(&str, &str); 7] =
    [("s", "second"), ("m", "minute"), ("h", "hour"), ("d", "day"), ("w", "week"), ("mo", "month"), ("y", "year")];

fn escapes(config: &OtlpConfig) -> bool {
    matches!(
        config.translation_strategy,
        TranslationStrategy::UnderscoreEscapingWithSuffixes | TranslationStrategy::UnderscoreEscapingWithoutSuffixes
    )
}

fn adds_suffixes(config: &OtlpConfig) -> bool {
    matches!(
        config.translation_strategy,
        TranslationStrategy::UnderscoreEscapingWithSuffixes | TranslationStrategy::NoUtf8EscapingWithSuffixes
    )
}

/// Unit as words: what is measured, and per what.
fn unit_words(unit: &str, escape: bool) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let word = |text: &str, table: &[(&str, &str)]| {
        let text = text.trim();
        if text.is_empty() || text.contains(['{', '}']) {
            return String::new();
        }
        let word = table.iter().find(|(unit, _)| *unit == text).map_or(text, |(_, word)| word);
        if escape { clean(word) } else { word.to_owned() }
    };
    let per = word(per, &PER);
    (word(main, &UNITS), if per.is_empty() { per } else { format!("per_{per}") })
}

/// Letters, digits and underscores; runs of anything else become one underscore, none at the ends.
fn clean(text: &str) -> String {
    let parts: Vec<&str> =
        text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|part| !part.is_empty()).collect();
    parts.join("_").trim_matches('_').to_owned()
}

/// The name of a metric's series.
pub(super) fn metric_name(metric: &Metric<'_>, config: &OtlpConfig) -> String {
    let monotonic = matches!(&metric.data, Data::Sum { monotonic: true, .. });
    let gauge = matches!(&metric.data, Data::Gauge(_));
    match (escapes(config), adds_suffixes(config)) {
        (false, false) => metric.name.clone().into_owned(),
        (true, false) => {
            let mut name: String = metric
                .name
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() || c == ':' || c == '_' { c } else { '_' })
                .collect();
            if name.starts_with(|c: char| c.is_ascii_digit()) {
                name.insert(0, '_');
            }
            name
        }
        (true, true) => {
            let split = |c: char| !(c.is_ascii_alphanumeric() || c == ':');
            let mut tokens: Vec<String> =
                metric.name.split(split).filter(|token| !token.is_empty()).map(str::to_owned).collect();
            let (main, per) = unit_words(&metric.unit, true);
            for words in [main, per].into_iter().filter(|words| !words.is_empty()) {
                let present = words.split('_').all(|word| tokens.iter().any(|token| token == word));
                if !present {
                    tokens.push(words);
                }
            }
            let to_the_end = |tokens: &mut Vec<String>, word: &str| {
                tokens.retain(|token| token != word);
                tokens.push(word.to_owned());
            };
            if monotonic {
                to_the_end(&mut tokens, "total");
            }
            if gauge && metric.unit == "1" {
                to_the_end(&mut tokens, "ratio");
            }
            let mut name = tokens.join("_");
            if name.starts_with(|c: char| c.is_ascii_digit()) {
                name.insert(0, '_');
            }
            name
        }
        (false, true) => {
            let mut name = metric.name.clone().into_owned();
            let mut end = |word: &str| {
                if !word.is_empty() && !name.ends_with(word) {
                    name.push('_');
                    name.push_str(word);
                }
            };
            let (main, per) = unit_words(&metric.unit, false);
            end(&main);
            end(&per);
            if monotonic {
                end("total");
            }
            if gauge && metric.unit == "1" {
                end("ratio");
            }
            name
        }
    }
}

/// The name of a label.
pub(super) fn label_name(name: &str, config: &OtlpConfig) -> String {
    if !escapes(config) {
        return name.to_owned();
    }
    let mut out = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        let c = if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
        if c != '_' || config.label_name_preserve_multiple_underscores || !out.ends_with('_') {
            out.push(c);
        }
    }
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert_str(0, "key_");
    } else if config.label_name_underscore_sanitization && out.starts_with('_') && !out.starts_with("__") {
        out.insert_str(0, "key");
    }
    out
}

/// An attribute's value as a label's.
pub(super) fn label_value(value: &AnyValue<'_>) -> String {
    match value {
        AnyValue::Empty => String::new(),
        AnyValue::Str(text) => text.clone().into_owned(),
        AnyValue::Bool(value) => value.to_string(),
        AnyValue::Int(value) => value.to_string(),
        AnyValue::Double(value) => {
            let mut out = Vec::new();
            wire::number::write_float(&mut out, *value);
            String::from_utf8_lossy(&out).into_owned()
        }
        AnyValue::Bytes(_) | AnyValue::Array(_) | AnyValue::Map(_) => json(value).to_string(),
    }
}

/// Depth is bounded by the decoder.
fn json(value: &AnyValue<'_>) -> serde_json::Value {
    match value {
        AnyValue::Empty => serde_json::Value::Null,
        AnyValue::Str(text) => text.as_ref().into(),
        AnyValue::Bool(value) => (*value).into(),
        AnyValue::Int(value) => (*value).into(),
        AnyValue::Double(value) => (*value).into(),
        AnyValue::Bytes(bytes) => hex(bytes).into(),
        AnyValue::Array(list) => list.iter().map(json).collect(),
        AnyValue::Map(pairs) => serde_json::Value::Object(
            pairs.iter().map(|pair| (pair.key.clone().into_owned(), json(&pair.value))).collect(),
        ),
    }
}

/// Bytes as lower-case digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::otlp::Temporality;

    fn metric(name: &str, unit: &str, data: Data<'static>) -> String {
        named(name, unit, data, TranslationStrategy::UnderscoreEscapingWithSuffixes)
    }

    fn named(name: &str, unit: &str, data: Data<'static>, translation_strategy: TranslationStrategy) -> String {
        let metric = Metric { name: name.to_owned().into(), unit: unit.to_owned().into(), data, ..Metric::default() };
        metric_name(&metric, &OtlpConfig { translation_strategy, ..OtlpConfig::default() })
    }

    fn sum() -> Data<'static> {
        Data::Sum { points: Vec::new(), temporality: Temporality::Cumulative, monotonic: true }
    }

    #[test]
    fn names_follow_the_strategy() {
        let gauge = || Data::Gauge(Vec::new());
        assert_eq!(metric("system.io", "By", sum()), "system_io_bytes_total");
        assert_eq!(metric("system.io.bytes", "By", sum()), "system_io_bytes_total");
        assert_eq!(metric("system.filesystem.usage", "By", gauge()), "system_filesystem_usage_bytes");
        assert_eq!(metric("http.total.requests", "{request}", sum()), "http_requests_total");
        assert_eq!(metric("speed", "m/s", gauge()), "speed_meters_per_second");
        assert_eq!(metric("memory.utilization", "1", gauge()), "memory_utilization_ratio");
        assert_eq!(metric("2xx", "", gauge()), "_2xx");
        assert_eq!(metric("a:b", "", gauge()), "a:b");
        let of = |strategy| named("system.io", "By", sum(), strategy);
        assert_eq!(of(TranslationStrategy::UnderscoreEscapingWithoutSuffixes), "system_io");
        assert_eq!(of(TranslationStrategy::NoUtf8EscapingWithSuffixes), "system.io_bytes_total");
        assert_eq!(of(TranslationStrategy::NoTranslation), "system.io");
    }

    #[test]
    fn labels_are_sanitized_where_asked() {
        let mut config = OtlpConfig::default();
        for (name, want) in
            [("http.method", "http_method"), ("1st", "key_1st"), ("_x", "key_x"), ("__x", "__x"), ("a..b", "a__b")]
        {
            assert_eq!(label_name(name, &config), want);
        }
        config.label_name_preserve_multiple_underscores = false;
        assert_eq!(label_name("a..b", &config), "a_b");
        config.translation_strategy = TranslationStrategy::NoTranslation;
        assert_eq!(label_name("http.method", &config), "http.method");
    }
}
