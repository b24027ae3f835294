//! Times as dashboards write them: milliseconds, RFC 3339, `now`, `now-6h`, `now-1d/d`. In UTC.

use jiff::{Span, Timestamp, Unit, Zoned, ZonedRound};

/// Reads a time; `end` rounds `/d` to the end of the unit instead of its start.
pub(crate) fn parse(text: &str, now_ms: i64, end: bool) -> Option<i64> {
    let text = text.trim();
    if let Ok(ms) = text.parse::<i64>() {
        return Some(ms);
    }
    let Some(mut rest) = text.strip_prefix("now") else {
        return text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond);
    };
    let mut at: Zoned = Timestamp::from_millisecond(now_ms).ok()?.in_tz("UTC").ok()?;
    while !rest.is_empty() {
        let operator = rest.chars().next()?;
        rest = rest.get(1..)?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: i64 = if digits == 0 { 1 } else { rest.get(..digits)?.parse().ok()? };
        rest = rest.get(digits..)?;
        // Fiscal years and quarters are taken for ordinary ones.
        rest = rest.strip_prefix('f').unwrap_or(rest);
        let unit = rest.chars().next()?;
        rest = rest.get(unit.len_utf8()..)?;
        match operator {
            '+' | '-' => {
                let count = if operator == '-' { -count } else { count };
                at = at.checked_add(span(unit, count)?).ok()?;
            }
            '/' if digits == 0 => {
                at = start_of(&at, unit)?;
                if end {
                    at = at.checked_add(span(unit, 1)?).ok()?.checked_sub(Span::new().milliseconds(1)).ok()?;
                }
            }
            _ => return None,
        }
    }
    Some(at.timestamp().as_millisecond())
}

fn span(unit: char, count: i64) -> Option<Span> {
    let span = Span::new();
    match unit {
        's' => span.try_seconds(count),
        'm' => span.try_minutes(count),
        'h' => span.try_hours(count),
        'd' => span.try_days(count),
        'w' => span.try_weeks(count),
        'M' => span.try_months(count),
        'Q' => span.try_months(count.checked_mul(3)?),
        'y' => span.try_years(count),
        _ => return None,
    }
    .ok()
}

fn start_of(at: &Zoned, unit: char) -> Option<Zoned> {
    let round = |unit| at.round(ZonedRound::new().smallest(unit).mode(jiff::RoundMode::Trunc)).ok();
    let day = round(Unit::Day)?;
    match unit {
        's' => round(Unit::Second),
        'm' => round(Unit::Minute),
        'h' => round(Unit::Hour),
        'd' => Some(day),
        'w' => {
            let back = i64::from(day.weekday().to_monday_zero_offset());
            day.checked_sub(Span::new().days(back)).ok()
        }
        'M' => day.with().day(1).build().ok(),
        'Q' => day.with().month((day.month() - 1) / 3 * 3 + 1).day(1).build().ok(),
        'y' => day.with().month(1).day(1).build().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times() {
        // 2026-11-23T12:34:56.789Z, a Monday.
        let now = 1_795_437_296_789;
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        for (text, end, want) in [
            ("now", false, now),
            ("now-6h", false, now - 21_600_000),
            ("now+1m", false, now + 60_000),
            ("now-1d/d", false, at("2026-11-22T00:00:00Z")),
            ("now-1d/d", true, at("2026-11-22T23:59:59.999Z")),
            ("now/w", false, at("2026-11-23T00:00:00Z")),
            ("now/M", false, at("2026-11-01T00:00:00Z")),
            ("now/Q", false, at("2026-10-01T00:00:00Z")),
            ("now/fy", true, at("2026-12-31T23:59:59.999Z")),
            ("1795437296789", false, now),
            ("2026-11-23T00:00:00Z", false, at("2026-11-23T00:00:00Z")),
        ] {
            assert_eq!(parse(text, now, end), Some(want), "{text}");
        }
        for text in ["", "later", "now-", "now-5", "now-5x", "now*2h", "now/5d", "now-99999999999999y", "now-ä"] {
            assert_eq!(parse(text, now, false), None, "{text}");
        }
    }
}
