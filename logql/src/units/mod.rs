//! Quantities as LogQL writes and reads them: durations, byte sizes and IP addresses.
//!
//! Queries accept more than label values do: a duration in a query may have Prometheus' units or Go's, a duration in a
//! label value only Go's. Error texts are Go's, because they reach users in `__error_details__`.

pub(crate) mod bytes;
pub(crate) mod duration;
pub(crate) mod ip;
