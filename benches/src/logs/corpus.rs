//! Streams, times and planted needles of the corpus.

use fastrand::Rng;
use model::Labels;

use super::lines;

/// Kinds of logs, with their share of all bytes in percent and the number of their streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Access log of a web server.
    Web,
    /// JSON lines.
    Json,
    /// logfmt lines.
    Logfmt,
    /// Syslog.
    System,
}

const KINDS: [(Kind, f64, usize, f64); 4] = [
    // Share of bytes, streams, bytes of a line (about).
    (Kind::Web, 0.328, 60, 223.0),
    (Kind::Json, 0.269, 120, 271.0),
    (Kind::Logfmt, 0.242, 120, 226.0),
    (Kind::System, 0.161, 72, 120.0),
];

/// First timestamp of the corpus: 2026-01-05T06:00:00Z.
const START_NS: i64 = 1_767_592_800_000_000_000;
/// Six hours.
const LENGTH_NS: i64 = 6 * 3_600 * 1_000_000_000;
/// Entries of all streams are pushed together when they span this much time.
const TICK_NS: i64 = 5_000_000_000;

/// What the corpus holds, counted while it is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Lines.
    pub lines: u64,
    /// Bytes of the lines.
    pub bytes: u64,
    /// Lines of each kind: web, JSON, logfmt, system.
    pub lines_of: [u64; 4],
    /// Web lines with a status of 500 or more.
    pub web_5xx: u64,
    /// JSON lines with a status of 500 or more.
    pub json_5xx: u64,
    /// JSON lines of level error.
    pub json_errors: u64,
    /// logfmt lines of level error.
    pub logfmt_errors: u64,
    /// Lines with [`Corpus::THOUSAND`].
    pub thousand: u64,
    /// Lines with [`Corpus::TRACE`].
    pub trace: u64,
}

/// Entries of one stream in a push.
#[derive(Clone, Debug, Default)]
pub struct StreamBatch {
    /// Index into [`Corpus::streams`].
    pub stream: usize,
    /// Time, and start and end of the line in [`Batch::text`].
    pub entries: Vec<(i64, usize, usize)>,
}

/// What is pushed at once.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// All lines.
    pub text: String,
    /// Streams that have entries.
    pub streams: Vec<StreamBatch>,
    /// Time at which it is pushed.
    pub now_ns: i64,
}

struct Stream {
    kind: Kind,
    number: usize,
    host: String,
    /// Mean distance of two entries in ns.
    gap_ns: f64,
    next_ns: f64,
    rng: Rng,
}

/// The generator.
pub struct Corpus {
    labels: Vec<Labels>,
    streams: Vec<Stream>,
    now_ns: i64,
    lines: u64,
    expected_lines: f64,
    truth: Truth,
}

impl Corpus {
    /// A trace id that stands in exactly one JSON line.
    pub const TRACE: &str = "c0ffee5eed4bf92f3577b34da6a3ce92";
    /// A word that stands in about 1,000 lines of all kinds.
    pub const THOUSAND: &str = "quasarflux";
    /// A word that stands in no line.
    pub const ABSENT: &str = "zyzzyvaless";

    /// A corpus of about `bytes` bytes of lines.
    pub fn new(seed: u64, bytes: u64) -> Self {
        let mut corpus = Self {
            labels: Vec::new(),
            streams: Vec::new(),
            now_ns: START_NS,
            lines: 0,
            expected_lines: 0.0,
            truth: Truth::default(),
        };
        for (kind, share, count, line) in KINDS {
            let lines = bytes as f64 * share / line;
            corpus.expected_lines += lines;
            for number in 0..count {
                // Some streams are busier than others.
                let weight = 0.25 + 1.5 * (number as f64 / (count - 1) as f64);
                let gap_ns = LENGTH_NS as f64 * count as f64 / (lines * weight);
                let host = format!("{}-{:02}", ["edge", "app", "app", "node"][kind as usize], number % 40);
                let labels = [
                    ("job", ["nginx", "api", "gateway", "syslog"][kind as usize].to_owned()),
                    ("host", host.clone()),
                    ("env", if number % 5 == 0 { "staging" } else { "prod" }.to_owned()),
                    ("instance", format!("{number}")),
                    ("level", ["info", "warn", "error"][number / 7 % 3].to_owned()),
                    ("filename", format!("/var/log/{}.log", ["access", "service", "gateway", "syslog"][kind as usize])),
                ];
                corpus.labels.push(Labels::from_pairs(labels));
                let rng = Rng::with_seed(seed ^ (corpus.streams.len() as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                let next_ns = gap_ns * (number as f64 / count as f64);
                corpus.streams.push(Stream { kind, number, host, gap_ns, next_ns, rng });
            }
        }
        corpus
    }

    /// First timestamp.
    pub fn start_ns(&self) -> i64 {
        START_NS
    }

    /// End of the corpus: no timestamp is as late.
    pub fn end_ns(&self) -> i64 {
        START_NS + LENGTH_NS
    }

    /// Label sets of the streams.
    pub fn streams(&self) -> &[Labels] {
        &self.labels
    }

    /// Kind of a stream.
    pub fn kind(&self, stream: usize) -> Kind {
        self.streams[stream].kind
    }

    /// What the batches so far hold.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// Replaces `batch` by the next push; false at the end.
    pub fn next_batch(&mut self, batch: &mut Batch) -> bool {
        batch.text.clear();
        batch.streams.clear();
        while batch.streams.is_empty() {
            if self.now_ns >= self.end_ns() {
                return false;
            }
            self.now_ns += TICK_NS;
            let until = (self.now_ns - START_NS).min(LENGTH_NS) as f64;
            for index in 0..self.streams.len() {
                if self.streams[index].next_ns < until {
                    let entries = self.fill(index, until, &mut batch.text);
                    batch.streams.push(StreamBatch { stream: index, entries });
                }
            }
        }
        batch.now_ns = self.now_ns;
        true
    }

    fn fill(&mut self, index: usize, until: f64, text: &mut String) -> Vec<(i64, usize, usize)> {
        let mut entries = Vec::new();
        let stream = &mut self.streams[index];
        while stream.next_ns < until {
            let timestamp_ns = START_NS + stream.next_ns as i64;
            let start = text.len();
            let rng = &mut stream.rng;
            match stream.kind {
                Kind::Web => lines::web(rng, text, timestamp_ns, &mut self.truth),
                Kind::Json => lines::json(rng, text, timestamp_ns, stream.number, &mut self.truth),
                Kind::Logfmt => lines::logfmt(rng, text, timestamp_ns, stream.number, &mut self.truth),
                Kind::System => lines::system(rng, text, timestamp_ns, &stream.host, &mut self.truth),
            }
            // The needles: a word now and then, one trace id in the middle of it all.
            if self.lines % ((self.expected_lines / 1_000.0) as u64).max(1) == 7 {
                text.insert_str(text.len() - 1, &format!(" {}", Self::THOUSAND));
                self.truth.thousand += 1;
            }
            if stream.kind == Kind::Json && self.truth.trace == 0 && self.lines as f64 > self.expected_lines / 2.0 {
                if let Some(at) = text[start..].find("\"trace_id\":\"") {
                    let at = start + at + 12;
                    text.replace_range(at..at + 32, Self::TRACE);
                    self.truth.trace += 1;
                }
            }
            entries.push((timestamp_ns, start, text.len()));
            self.truth.lines += 1;
            self.truth.lines_of[stream.kind as usize] += 1;
            self.truth.bytes += (text.len() - start) as u64;
            self.lines += 1;
            stream.next_ns += stream.gap_ns * (0.2 + 1.6 * stream.rng.f64());
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_corpus_of_the_wanted_size() {
        let make = || {
            let mut corpus = Corpus::new(7, 3_000_000);
            let mut batch = Batch::default();
            let mut all = String::new();
            while corpus.next_batch(&mut batch) {
                all.push_str(&batch.text);
            }
            (all, corpus.truth().clone())
        };
        let (text, truth) = make();
        assert_eq!(make(), (text.clone(), truth.clone()));
        assert_eq!(truth.bytes, text.len() as u64);
        assert!((2_700_000..3_300_000).contains(&text.len()), "{} bytes", text.len());
        assert_eq!(truth.trace, 1);
        assert_eq!(text.matches(Corpus::TRACE).count(), 1);
        assert_eq!(text.matches(Corpus::THOUSAND).count() as u64, truth.thousand);
        assert!((900..1_100).contains(&truth.thousand));
        assert!(!text.contains(Corpus::ABSENT));
    }
}
