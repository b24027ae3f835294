//! Dates in templates.

use super::args::{bytes, ok, text, time};
use crate::exec::Call;
use crate::function::{CallResult, Function, Param};
use crate::gotime::{Time, Zone};
use crate::value::Value;

impl Call<'_, '_> {
    fn now(&self) -> Time {
        Time { timestamp: self.context().now, zone: self.context().local.clone() }
    }
}

/// sprig's dates.
pub(super) static DATES: &[Function] = &[
    Function::new("now", &[], "The present time.", |call, _| ok(call.now())),
    Function::new("date", &[Param::Str, Param::Any], "A time, or Unix seconds, by a layout in the local zone.", date),
    Function::new("toDate", &[Param::Str, Param::Str], "A text read by a layout in the local zone.", |call, args| {
        let local = call.context().local.clone();
        ok(Time::parse(&text(args, 0)?, &text(args, 1)?, &local, &local).unwrap_or_else(|_| Time::zero()))
    }),
    Function::new("unixEpoch", &[Param::Time], "Seconds since the epoch, as text.", |_, args| {
        ok(time(args, 0)?.unix().to_string())
    }),
];

fn date<'d>(call: &mut Call<'_, 'd>, args: &[Value<'d>]) -> CallResult<'d> {
    let local = call.context().local.clone();
    let time = match &args[1] {
        Value::Time(time) => time.within(local),
        Value::Int(seconds) | Value::Int64(seconds) => Time::from_unix(*seconds, 0, local),
        _ => call.now(),
    };
    ok(time.format(&text(args, 0)?))
}

/// `toDateInZone layout zone text`: the zero time if it cannot be read; an unknown zone is UTC.
pub(super) fn to_date_in_zone<'d>(call: &mut Call<'_, 'd>, args: &[Value<'d>]) -> CallResult<'d> {
    let zone = Zone::load(&text(args, 1)?, &call.context().local).unwrap_or(Zone::Utc);
    ok(Time::parse(&text(args, 0)?, &text(args, 2)?, &zone, &zone).unwrap_or_else(|_| Time::zero()))
}

/// `unixToTime digits`: days, seconds, milliseconds, microseconds or nanoseconds by the number of digits.
pub(super) fn unix_to_time<'d>(call: &mut Call<'_, 'd>, args: &[Value<'d>]) -> CallResult<'d> {
    use crate::error::CallError;
    let digits = text(args, 0)?;
    let fail = |reason: &str| CallError::Failed(format!("unable to parse time '{digits}': {reason}"));
    let number = model::number::parse_int(&digits, 10, 64).map_err(|error| fail(&error.to_string()))?;
    let local = call.context().local.clone();
    ok(match bytes(args, 0)?.len() {
        5 => Time::from_unix(number.saturating_mul(86_400), 0, local),
        10 => Time::from_unix(number, 0, local),
        13 => Time::from_unix(0, number.wrapping_mul(1_000_000), local),
        16 => Time::from_unix(0, number.wrapping_mul(1_000), local),
        19 => Time::from_unix(0, number, local),
        // Go wraps an error that is not there.
        _ => return Err(fail("%!w(<nil>)")),
    })
}
