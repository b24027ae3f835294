//! The kind of a metric, as pages, messages, stores and APIs name it.

/// What kind of thing a metric family counts or measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MetricKind {
    /// Not said, or `untyped`.
    #[default]
    Unknown,
    /// Only rises, but for resets.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, sum and count of observations; classic or native.
    Histogram,
    /// A histogram whose counts may fall.
    GaugeHistogram,
    /// Quantiles, sum and count of observations.
    Summary,
    /// Labels that tell about something, with the value 1.
    Info,
    /// One of several states.
    StateSet,
}

impl MetricKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Counter,
        Self::Gauge,
        Self::Histogram,
        Self::GaugeHistogram,
        Self::Summary,
        Self::Info,
        Self::StateSet,
    ];

    /// The word of OpenMetrics, which is also the one of the metadata API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }

    /// Reads [`MetricKind::as_str`] back; anything else (`untyped`, say) is [`MetricKind::Unknown`].
    pub fn from_name(text: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for kind in MetricKind::ALL {
            assert_eq!(MetricKind::from_name(kind.as_str()), kind);
        }
        for other in ["untyped", "", "Counter"] {
            assert_eq!(MetricKind::from_name(other), MetricKind::Unknown, "{other}");
        }
    }
}
