//! What a push is, and what becomes of it. The work is in [`crate::Db::push`].

use model::Labels;

use crate::limits::Refusal;

/// How a sender names a stream.
#[derive(Clone, Copy)]
pub enum StreamKey<'a> {
    /// By its label set.
    Labels(&'a Labels),
    /// By a text that always stands for the same label set, such as `{job="titan"}`. The store remembers which stream it
    /// means; `resolve` is called when it does not, and says why the text cannot be read.
    Raw {
        /// The text.
        text: &'a str,
        /// Reads the text.
        resolve: &'a (dyn Fn(&str) -> Result<Labels, String> + Sync),
    },
}

impl std::fmt::Debug for StreamKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Labels(labels) => labels.fmt(f),
            Self::Raw { text, .. } => f.write_str(text),
        }
    }
}

/// One entry to be stored. Borrowed from wherever the sender's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushEntry<'a> {
    /// Time in ns since the Unix epoch.
    pub timestamp_ns: i64,
    /// The line.
    pub line: &'a str,
    /// Pairs of structured metadata. Their order is kept.
    pub metadata: &'a [(&'a str, &'a str)],
}

/// Entries of one stream, in the order of their arrival.
#[derive(Clone, Copy, Debug)]
pub struct PushStream<'a> {
    /// Which stream.
    pub key: StreamKey<'a>,
    /// Its entries, in any order of time.
    pub entries: &'a [PushEntry<'a>],
}

/// What became of a push.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PushReport {
    /// Entries that are stored now.
    pub accepted: u64,
    /// Bytes of their lines and metadata.
    pub accepted_bytes: u64,
    /// Entries that were stored already.
    pub duplicates: u64,
    /// What was refused, by stream and reason. The rest of the push is stored.
    pub refused: Vec<Refused>,
}

/// Entries of one stream that were refused for one reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// Index of the stream in the push.
    pub stream: usize,
    /// How many entries.
    pub entries: u64,
    /// Bytes of their lines and metadata.
    pub bytes: u64,
    /// Why; for the first [`Refused::EXAMPLES`] entries, with their times. At least one.
    pub examples: Vec<(i64, Refusal)>,
}

impl Refused {
    /// How many refusals are told one by one.
    pub const EXAMPLES: usize = 10;

    /// The reason all of them share.
    pub fn reason(&self) -> &'static str {
        self.examples.first().map_or("", |(_, refusal)| refusal.reason())
    }
}

impl PushReport {
    /// Entries that were refused, for whatever reason.
    pub fn refused_entries(&self) -> u64 {
        self.refused.iter().map(|refused| refused.entries).sum()
    }

    pub(crate) fn refuse(&mut self, stream: usize, timestamp_ns: i64, entries: u64, bytes: u64, refusal: Refusal) {
        let known =
            self.refused.iter_mut().rev().take_while(|r| r.stream == stream).find(|r| r.reason() == refusal.reason());
        match known {
            Some(known) => {
                known.entries += entries;
                known.bytes += bytes;
                if known.examples.len() < Refused::EXAMPLES {
                    known.examples.push((timestamp_ns, refusal));
                }
            }
            None => self.refused.push(Refused { stream, entries, bytes, examples: vec![(timestamp_ns, refusal)] }),
        }
    }
}
