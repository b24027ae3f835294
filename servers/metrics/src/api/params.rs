//! Parameters of a request: from the URL, and for a POST also from its form. Times and durations as the API reads them.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, header};
use kit::http::{BodyLimits, read_body};
use model::duration::parse_duration_ms;
use model::{LabelQuery, Matcher};

use super::answer::ApiError;

/// Longest form that is read, in bytes.
const MAX_FORM: usize = 64 << 20;

/// Names and values in the order of the request, the form's before the URL's.
#[derive(Clone, Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads the parameters; the body is read for a POST with a form only.
    ///
    /// # Errors
    /// A body that is too large, cannot be decompressed or is no form.
    pub async fn read(request: Request) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let mut pairs = Vec::new();
        let is_form =
            parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
                value
                    .split(';')
                    .next()
                    .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
            });
        if parts.method == Method::POST && is_form {
            let limits = BodyLimits { wire: MAX_FORM, decompressed: MAX_FORM, ..BodyLimits::default() };
            let bytes = read_body(&parts.headers, body, &limits)
                .await
                .map_err(|e| ApiError::bad_data(format!("error parsing form values: {e}")))?;
            parse_form(&bytes, &mut pairs)?;
        } else {
            drop::<Body>(body);
        }
        parse_form(parts.uri.query().unwrap_or("").as_bytes(), &mut pairs)?;
        Ok(Self(pairs))
    }

    /// Parameters from a query string: for calls made inside the process and for tests.
    ///
    /// # Errors
    /// Broken percent escapes.
    pub fn from_query(query: &str) -> Result<Self, ApiError> {
        let mut pairs = Vec::new();
        parse_form(query.as_bytes(), &mut pairs)?;
        Ok(Self(pairs))
    }

    /// The first value of a name, empty when absent.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// Whether the name is there, be it with an empty value.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }

    /// All values of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// All pairs.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A time in ms, or the default when absent.
    ///
    /// # Errors
    /// What is no time.
    pub fn time(&self, name: &str, default: i64) -> Result<i64, ApiError> {
        match self.get(name) {
            "" => Ok(default),
            text => parse_time_ms(text)
                .ok_or_else(|| ApiError::parameter(name, format!("cannot parse {text:?} to a valid timestamp"))),
        }
    }

    /// A time in ms that has to be there.
    ///
    /// # Errors
    /// What is no time, absence included.
    pub fn required_time(&self, name: &str) -> Result<i64, ApiError> {
        let text = self.get(name);
        parse_time_ms(text)
            .ok_or_else(|| ApiError::parameter(name, format!("cannot parse {text:?} to a valid timestamp")))
    }

    /// A duration in ms, `None` when absent.
    ///
    /// # Errors
    /// What is no duration.
    pub fn duration(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.get(name) {
            "" => Ok(None),
            text => parse_span_ms(text).map(Some).map_err(|e| ApiError::parameter(name, e)),
        }
    }

    /// A limit: 0 when absent.
    ///
    /// # Errors
    /// What is no number of 0 or more.
    pub fn limit(&self, name: &str) -> Result<usize, ApiError> {
        match self.get(name) {
            "" => Ok(0),
            text => match text.parse::<i64>() {
                Ok(number) if number >= 0 => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
                Ok(_) => Err(ApiError::parameter(name, "limit must be non-negative")),
                Err(_) => Err(ApiError::parameter(name, format!("cannot parse {text:?} as a number"))),
            },
        }
    }

    /// The selectors in `match[]`.
    ///
    /// # Errors
    /// What is no selector.
    pub fn selectors(&self) -> Result<Vec<Vec<Matcher>>, ApiError> {
        self.all("match[]")
            .map(|text| {
                let matchers =
                    promql::parse_selector(text).map_err(|e| ApiError::parameter("match[]", e.to_string()))?;
                // A selector that everything satisfies would be a mistake that costs much.
                if matchers.iter().all(Matcher::matches_empty) {
                    return Err(ApiError::parameter("match[]", "match[] must contain at least one non-empty matcher"));
                }
                Ok(matchers)
            })
            .collect()
    }

    /// `match[]`, `start`, `end` and `limit` as label calls take them; without times everything stored counts.
    ///
    /// # Errors
    /// Any of them, and an end before the start.
    pub fn label_query(&self) -> Result<LabelQuery, ApiError> {
        let start_ms = self.time("start", MIN_TIME_MS)?;
        let end_ms = self.time("end", MAX_TIME_MS)?;
        if end_ms < start_ms {
            return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
        }
        Ok(LabelQuery { selectors: self.selectors()?, start_ms, end_ms, limit: 0 })
    }
}

/// Before every sample: the least time that does not overflow when a lookback is taken off.
pub const MIN_TIME_MS: i64 = i64::MIN / 4;
/// After every sample.
pub const MAX_TIME_MS: i64 = i64::MAX / 4;

/// RFC 3339 or seconds since the epoch with a fraction, in ms.
pub fn parse_time_ms(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = (seconds * 1000.0).round();
        return (ms.is_finite() && ms.abs() < 9.2e18).then_some(ms as i64);
    }
    let timestamp: jiff::Timestamp = text.parse().ok()?;
    Some(timestamp.as_millisecond())
}

/// Seconds with a fraction, or a duration such as `5m`, in ms.
fn parse_span_ms(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = seconds * 1000.0;
        if !ms.is_finite() || ms.abs() > 9.2e15 {
            return Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"));
        }
        return Ok(ms as i64);
    }
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    parse_duration_ms(digits).map(|ms| sign * ms).map_err(|_| format!("cannot parse {text:?} to a valid duration"))
}

fn parse_form(bytes: &[u8], pairs: &mut Vec<(String, String)>) -> Result<(), ApiError> {
    for part in bytes.split(|b| *b == b'&').filter(|part| !part.is_empty()) {
        let (name, value) = match part.iter().position(|b| *b == b'=') {
            Some(at) => (&part[..at], &part[at + 1..]),
            None => (part, &part[part.len()..]),
        };
        pairs.push((unescape(name)?, unescape(value)?));
    }
    Ok(())
}

fn unescape(bytes: &[u8]) -> Result<String, ApiError> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
                let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
                    return Err(ApiError::bad_data("error parsing form values: invalid URL escape"));
                };
                out.push((high * 16 + low) as u8);
            }
            byte => out.push(*byte),
        }
    }
    String::from_utf8(out).map_err(|_| ApiError::bad_data("error parsing form values: not valid UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_unescaped() {
        let params = Params::from_query("query=up%7Bjob%3D%22a%20b%22%7D+%2B+1&match[]=a&match%5B%5D=b&empty").unwrap();
        assert_eq!(params.get("query"), "up{job=\"a b\"} + 1");
        assert_eq!(params.all("match[]").collect::<Vec<_>>(), ["a", "b"]);
        assert!(params.has("empty") && !params.has("absent"));
        assert!(Params::from_query("a=%zz").is_err());
        assert!(Params::from_query("a=%ff").is_err());
    }

    #[test]
    fn times_and_durations_are_read_as_upstream_does() {
        let cases = [
            ("1.5", Some(1_500)),
            ("1435781430.781", Some(1_435_781_430_781)),
            ("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781)),
            ("2015-07-01T22:10:51+02:00", Some(1_435_781_451_000)),
            ("-1", Some(-1_000)),
            ("x", None),
            ("", None),
            ("NaN", None),
            ("2015-07-01", None),
        ];
        for (text, want) in cases {
            assert_eq!(parse_time_ms(text), want, "{text}");
        }
        assert_eq!(parse_span_ms("5m"), Ok(300_000));
        assert_eq!(parse_span_ms("0.5"), Ok(500));
        assert_eq!(parse_span_ms("-5m"), Ok(-300_000));
        assert!(parse_span_ms("1e30").is_err() && parse_span_ms("abc").is_err());
    }
}
