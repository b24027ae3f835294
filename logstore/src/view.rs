//! Which data is where at one moment: the segments, and the generation of the head up to which they hold everything.

use std::sync::Arc;

use model::Labels;

use crate::segment::Segment;

/// An immutable list of segments; replaced as a whole when a segment comes or goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// Ascending by number.
    pub(crate) segments: Vec<Arc<Segment>>,
    /// Chunks of this generation and older ones are in segments.
    pub(crate) sealed: u64,
    /// Newest timestamp in a segment.
    max_ns: Option<i64>,
}

impl View {
    pub(crate) fn new(mut segments: Vec<Arc<Segment>>, sealed: u64) -> Self {
        segments.sort_by_key(|segment| segment.id);
        let max_ns = segments.iter().map(|segment| segment.info.max_ns).max();
        Self { segments, sealed, max_ns }
    }

    /// Whether a segment holds this very entry. A unit that cannot be read holds nothing.
    pub(crate) fn contains(&self, labels: &Labels, timestamp_ns: i64, line: &str, metadata: &[(&str, &str)]) -> bool {
        self.max_ns.is_some_and(|max| timestamp_ns <= max)
            && self.segments.iter().any(|s| s.contains(labels, timestamp_ns, line, metadata).unwrap_or(false))
    }
}
