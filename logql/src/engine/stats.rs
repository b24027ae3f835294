//! What a query took.

/// What a query took: the material of the `stats` object of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of lines that went through the pipeline.
    pub line_bytes: u64,
    /// Bytes of their structured metadata.
    pub metadata_bytes: u64,
    /// Lines that went through the pipeline.
    pub lines: u64,
    /// Lines that were left.
    pub post_filter_lines: u64,
    /// Units that were read.
    pub units: u64,
    /// Units whose counts alone were used.
    pub counted_units: u64,
    /// Streams that were selected.
    pub streams: u64,
    /// Entries or points returned.
    pub entries_returned: u64,
}

impl Stats {
    /// Adds what another thread took.
    pub(crate) fn add(&mut self, other: &Self) {
        self.line_bytes += other.line_bytes;
        self.metadata_bytes += other.metadata_bytes;
        self.lines += other.lines;
        self.post_filter_lines += other.post_filter_lines;
        self.units += other.units;
        self.counted_units += other.counted_units;
        self.streams += other.streams;
        self.entries_returned += other.entries_returned;
    }

    /// Bytes of lines and metadata.
    pub fn bytes(&self) -> u64 {
        self.line_bytes + self.metadata_bytes
    }
}
