//! Parameters of the HTTP API as texts: times, steps, limits, directions, with the API's defaults and error texts.
//!
//! A [`Params`] answers for one request, whatever the transport: it gives the value of a parameter by name. Everything
//! else here reads the values. [`check`] then applies the limits that concern the request rather than its evaluation.

use gotemplate::gotime;
use model::Direction;
use model::number::{NumberError, NumberErrorKind, parse_float, parse_int};

use crate::engine::{Request, Time};
use crate::syntax::ast::Expr;
use crate::units::duration::{DurationError, GoDuration, parse_prometheus, prometheus};

/// Parameters of a request by name, empty when absent.
pub trait Params {
    /// Value of the parameter `name`; the first one if there are several.
    fn get(&self, name: &str) -> &str;
}

impl Params for [(String, String)] {
    fn get(&self, name: &str) -> &str {
        self.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// A parameter is wrong. Displays as the API says it, with status 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// A time is none.
    #[error("could not parse '{0}' parameter: {1}")]
    Bound(&'static str, NumberError),
    /// `since` is no duration.
    #[error("could not parse 'since' parameter: {0}")]
    Since(DurationError),
    /// `time` is none.
    #[error("{0}")]
    Number(NumberError),
    /// A whole number is none.
    #[error("strconv.Atoi: parsing {}: {kind}", model::number::quote(text))]
    Integer {
        /// The text.
        text: String,
        /// What is wrong with it.
        kind: NumberErrorKind,
    },
    /// The end lies before the start.
    #[error("end timestamp must not be before or equal to start time")]
    EndBeforeStart,
    /// A limit is zero or less.
    #[error("limit must be a positive value")]
    LimitNotPositive,
    /// A limit exceeds 32 bits.
    #[error("limit value {0} is out of range [0, 4294967295]")]
    LimitOutOfRange(i64),
    /// Neither forward nor backward.
    #[error("invalid direction '{0}'")]
    Direction(String),
    /// Neither seconds nor a duration.
    #[error("cannot parse {} to a valid duration", model::number::quote(.0))]
    Duration(String),
    /// A step of zero or less.
    #[error("zero or negative query resolution step widths are not accepted. Try a positive integer")]
    Step,
    /// More points than an answer may have.
    #[error(
        "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter"
    )]
    TooManyPoints,
    /// An interval below zero.
    #[error("interval must be >= 0")]
    Interval,
    /// More entries than an answer may have.
    #[error("max entries limit per query exceeded, limit > max_entries_limit_per_query ({0} > {1})")]
    MaxEntries(usize, usize),
    /// A longer time than a query may look at.
    #[error("the query time range exceeds the limit (query length: {}, limit: {})", GoDuration(*length_ns), prometheus(*limit_ns))]
    TooLong {
        /// Length of the query in nanoseconds.
        length_ns: i64,
        /// The limit in nanoseconds.
        limit_ns: i64,
    },
    /// An aggregation that volumes do not have.
    #[error("invalid aggregation option")]
    AggregateBy,
}

const SECOND: i64 = 1_000_000_000;
/// What `start` is before the end when it is not given.
const DEFAULT_SINCE_NS: i64 = 3600 * SECOND;
/// Entries of an answer when `limit` is not given.
const DEFAULT_LIMIT: usize = 100;

/// Reads a time in nanoseconds: nanoseconds, seconds (up to ten digits, or with a fraction) or RFC 3339.
///
/// # Errors
/// That of reading it as a whole number, when it is none of these.
pub fn parse_time(text: &str) -> Result<i64, NumberError> {
    if text.contains('.')
        && let Ok(seconds) = parse_float(text)
    {
        let (whole, fraction) = (seconds.trunc(), seconds.fract());
        let milliseconds = (fraction * 1000.0).round();
        return Ok((whole as i64).saturating_mul(SECOND).saturating_add((milliseconds * 1e6) as i64));
    }
    match parse_int(text, 10, 64) {
        Ok(seconds) if text.len() <= 10 => Ok(seconds.saturating_mul(SECOND)),
        Ok(ns) => Ok(ns),
        Err(error) => rfc3339(text).ok_or(error),
    }
}

fn rfc3339(text: &str) -> Option<i64> {
    let utc = gotime::Zone::Utc;
    let time = gotime::Time::parse("2006-01-02T15:04:05.999999999Z07:00", text, &utc, &utc).ok()?;
    Some(time.unix_nano())
}

/// Reads a length of time in nanoseconds: seconds, or a duration with units.
///
/// # Errors
/// When it is neither.
pub fn parse_duration(text: &str) -> Result<i64, ParamError> {
    if let Ok(seconds) = parse_float(text) {
        let ns = seconds * 1e9;
        if ns.is_nan() || ns.abs() > i64::MAX as f64 {
            return Err(ParamError::Duration(text.to_owned()));
        }
        return Ok(ns as i64);
    }
    parse_prometheus(text).map_err(|_| ParamError::Duration(text.to_owned()))
}

fn integer(text: &str, default: i64) -> Result<i64, ParamError> {
    if text.is_empty() {
        return Ok(default);
    }
    parse_int(text, 10, 64).map_err(|e| ParamError::Integer { text: text.to_owned(), kind: e.kind })
}

fn positive(text: &str, default: usize) -> Result<usize, ParamError> {
    let value = integer(text, default as i64)?;
    if value <= 0 {
        return Err(ParamError::LimitNotPositive);
    }
    if value > i64::from(u32::MAX) {
        return Err(ParamError::LimitOutOfRange(value));
    }
    Ok(value as usize)
}

/// `limit`, 100 when absent.
///
/// # Errors
/// When it is no positive number.
pub fn limit(params: &(impl Params + ?Sized)) -> Result<usize, ParamError> {
    positive(params.get("limit"), DEFAULT_LIMIT)
}

/// `line_limit`, 100 when absent.
///
/// # Errors
/// When it is no positive number.
pub fn line_limit(params: &(impl Params + ?Sized)) -> Result<usize, ParamError> {
    positive(params.get("line_limit"), DEFAULT_LIMIT)
}

/// `limit` or `field_limit` of detected fields, 1000 when absent.
///
/// # Errors
/// When it is no positive number.
pub fn field_limit(params: &(impl Params + ?Sized)) -> Result<usize, ParamError> {
    let limit = params.get("limit");
    positive(if limit.is_empty() { params.get("field_limit") } else { limit }, 1000)
}

/// `limit` of volumes, 100 when absent or zero.
///
/// # Errors
/// When it is no number, or a negative one.
pub fn volume_limit(params: &(impl Params + ?Sized)) -> Result<usize, ParamError> {
    match integer(params.get("limit"), 100)? {
        0 => Ok(100),
        limit if limit < 0 => Err(ParamError::LimitNotPositive),
        limit => Ok(limit as usize),
    }
}

/// `direction`, backward when absent; in any case.
///
/// # Errors
/// When it is another word.
pub fn direction(params: &(impl Params + ?Sized)) -> Result<Direction, ParamError> {
    let text = params.get("direction");
    match text.to_uppercase().as_str() {
        "" | "BACKWARD" => Ok(Direction::Backward),
        "FORWARD" => Ok(Direction::Forward),
        _ => Err(ParamError::Direction(text.to_owned())),
    }
}

/// `start` and `end` in nanoseconds; without `start` it is `since` (an hour) before the end, or before now if the end lies
/// in the future; without `end` it is now.
///
/// # Errors
/// When one of the three cannot be read.
pub fn bounds(params: &(impl Params + ?Sized), now_ns: i64) -> Result<(i64, i64), ParamError> {
    let since = match params.get("since") {
        "" => DEFAULT_SINCE_NS,
        text => parse_prometheus(text).map_err(ParamError::Since)?,
    };
    let time = |name: &'static str, default: i64| match params.get(name) {
        "" => Ok(default),
        text => parse_time(text).map_err(|e| ParamError::Bound(name, e)),
    };
    let end = time("end", now_ns)?;
    let start = time("start", end.min(now_ns).saturating_sub(since))?;
    Ok((start, end))
}

/// `time` in nanoseconds, now when absent.
///
/// # Errors
/// When it cannot be read.
pub fn instant(params: &(impl Params + ?Sized), now_ns: i64) -> Result<i64, ParamError> {
    match params.get("time") {
        "" => Ok(now_ns),
        text => parse_time(text).map_err(ParamError::Number),
    }
}

/// `step` in nanoseconds: a 250th of the range, at least a second, when absent.
///
/// # Errors
/// When it cannot be read, is not positive, or gives more than 11,000 points.
pub fn step(params: &(impl Params + ?Sized), start_ns: i64, end_ns: i64) -> Result<i64, ParamError> {
    let length = end_ns.saturating_sub(start_ns);
    let step = match params.get("step") {
        "" => ((length as f64 / 1e9 / 250.0).floor().max(1.0) as i64).saturating_mul(SECOND),
        text => parse_duration(text)?,
    };
    if step <= 0 {
        return Err(ParamError::Step);
    }
    if length / step > 11_000 {
        return Err(ParamError::TooManyPoints);
    }
    // The reference counts steps in whole milliseconds.
    Ok((step - step % 1_000_000).max(1_000_000))
}

/// What `/query_range` asks.
///
/// # Errors
/// When a parameter cannot be read or is out of range.
pub fn range_request(params: &(impl Params + ?Sized), now_ns: i64) -> Result<Request, ParamError> {
    let (start_ns, end_ns) = bounds(params, now_ns)?;
    if end_ns < start_ns {
        return Err(ParamError::EndBeforeStart);
    }
    let limit = limit(params)?;
    let direction = direction(params)?;
    let step_ns = step(params, start_ns, end_ns)?;
    let interval_ns = match params.get("interval") {
        "" => 0,
        text => parse_duration(text)?,
    };
    if interval_ns < 0 {
        return Err(ParamError::Interval);
    }
    let time = Time::Range { start_ns, end_ns, step_ns };
    Ok(Request { time, direction, limit, interval_ns, categorize: false })
}

/// What `/query` asks.
///
/// # Errors
/// When a parameter cannot be read or is out of range.
pub fn instant_request(params: &(impl Params + ?Sized), now_ns: i64) -> Result<Request, ParamError> {
    let limit = limit(params)?;
    let at_ns = instant(params, now_ns)?;
    let direction = direction(params)?;
    Ok(Request { limit, direction, ..Request::instant(at_ns) })
}

/// Limits on requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Most entries of an answer, 0 for any number.
    pub max_entries: usize,
    /// Longest time range in nanoseconds, 0 for any.
    pub max_length_ns: i64,
}

impl Default for RequestLimits {
    /// 5000 entries, 721 hours.
    fn default() -> Self {
        Self { max_entries: 5000, max_length_ns: 721 * 3600 * SECOND }
    }
}

/// Whether a request stays within limits.
///
/// # Errors
/// When it asks for too many entries or too long a time.
pub fn check(expr: &Expr, request: &Request, limits: &RequestLimits) -> Result<(), ParamError> {
    if let Time::Range { start_ns, end_ns, .. } = request.time {
        check_length(start_ns, end_ns, limits)?;
    }
    if matches!(expr, Expr::Log(_)) && limits.max_entries > 0 && request.limit > limits.max_entries {
        return Err(ParamError::MaxEntries(request.limit, limits.max_entries));
    }
    Ok(())
}

/// Whether a time range is short enough.
///
/// # Errors
/// When it is not.
pub fn check_length(start_ns: i64, end_ns: i64, limits: &RequestLimits) -> Result<(), ParamError> {
    let (length_ns, limit_ns) = (end_ns.saturating_sub(start_ns), limits.max_length_ns);
    if limit_ns > 0 && length_ns > limit_ns { Err(ParamError::TooLong { length_ns, limit_ns }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn reads_times() {
        let good = [
            ("1767609000", 1_767_609_000 * SECOND),
            ("1767609000.5", 1_767_609_000 * SECOND + 500_000_000),
            ("1767609000123456789", 1_767_609_000_123_456_789),
            ("1767609000000", 1_767_609_000_000),
            ("2026-01-05T10:30:00Z", 1_767_609_000 * SECOND),
            ("2026-01-05T11:30:00.25+01:00", 1_767_609_000 * SECOND + 250_000_000),
        ];
        for (text, want) in good {
            assert_eq!(parse_time(text), Ok(want), "{text}");
        }
        for (text, want) in [
            ("2026-01-06", "strconv.ParseInt: parsing \"2026-01-06\": invalid syntax"),
            ("abc", "strconv.ParseInt: parsing \"abc\": invalid syntax"),
        ] {
            assert_eq!(parse_time(text).unwrap_err().to_string(), want);
        }
    }

    #[test]
    fn fills_in_defaults() {
        let now = 1_000_000 * SECOND;
        let request = range_request(params(&[]).as_slice(), now).unwrap();
        assert_eq!(request.time, Time::Range { start_ns: now - 3600 * SECOND, end_ns: now, step_ns: 14 * SECOND });
        assert_eq!((request.limit, request.direction), (100, Direction::Backward));
        let future = params(&[("end", "2000000"), ("since", "30m")]);
        assert_eq!(bounds(future.as_slice(), now), Ok((now - 1800 * SECOND, 2_000_000 * SECOND)));
    }

    #[test]
    fn refuses_with_the_references_words() {
        let cases: [(&[(&str, &str)], &str); 9] = [
            (&[("limit", "1.5")], "strconv.Atoi: parsing \"1.5\": invalid syntax"),
            (&[("limit", "0")], "limit must be a positive value"),
            (&[("direction", "sideways")], "invalid direction 'sideways'"),
            (&[("end", "abc")], "could not parse 'end' parameter: strconv.ParseInt: parsing \"abc\": invalid syntax"),
            (&[("start", "2"), ("end", "1")], "end timestamp must not be before or equal to start time"),
            (
                &[("step", "0")],
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            ),
            (&[("step", "abc")], "cannot parse \"abc\" to a valid duration"),
            (&[("since", "abc")], "could not parse 'since' parameter: not a valid duration string: \"abc\""),
            (&[("interval", "-1m")], "cannot parse \"-1m\" to a valid duration"),
        ];
        for (given, want) in cases {
            let error = range_request(params(given).as_slice(), 10_000 * SECOND).unwrap_err();
            assert_eq!(error.to_string(), want);
        }
        let limits = RequestLimits::default();
        let error = check_length(0, (960 * 3600 + 1800) * SECOND, &limits).unwrap_err();
        assert_eq!(error.to_string(), "the query time range exceeds the limit (query length: 960h30m0s, limit: 30d1h)");
    }
}
