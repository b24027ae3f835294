//! Labels, matchers, samples, native histograms, log entries, durations, the label index and the read traits that Foursight's stores and query languages share.

pub mod number;
pub mod regex;
