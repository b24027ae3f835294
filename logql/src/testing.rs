//! A log source in memory, for tests and examples, here and in other crates.

use std::collections::HashSet;

use model::{
    Direction, LabelQuery, Labels, LogColumns, LogSelect, LogSelection, LogSource, LogUnit, Matcher, SourceError,
};

/// Streams in memory, cut into units of a chosen size.
///
/// ```
/// use foursight_logql::testing::MemoryLogs;
/// use model::{Labels, LogSource};
///
/// let mut logs = MemoryLogs::new(1000);
/// logs.push(&Labels::from_pairs([("job", "api")]), 1, "started", [("user", "kim")]);
/// assert_eq!(logs.label_names(&Default::default()).unwrap(), ["job"]);
/// ```
#[derive(Clone, Debug)]
pub struct MemoryLogs {
    streams: Vec<Stream>,
    unit_entries: usize,
}

#[derive(Clone, Debug)]
struct Stream {
    labels: Labels,
    entries: Vec<Entry>,
    seen: HashSet<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry {
    timestamp_ns: i64,
    line: String,
    metadata: Vec<(String, String)>,
}

impl MemoryLogs {
    /// A source without entries, whose units will have at most `unit_entries` entries.
    pub fn new(unit_entries: usize) -> Self {
        Self { streams: Vec::new(), unit_entries: unit_entries.max(1) }
    }

    /// Adds an entry. Entries may come in any order; those of one time keep the order in which they come; one that is in
    /// the stream already, with its time and metadata, is not added again.
    pub fn push<'a>(
        &mut self,
        labels: &Labels,
        timestamp_ns: i64,
        line: &str,
        metadata: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) {
        let index = match self.streams.iter().position(|stream| stream.labels == *labels) {
            Some(index) => index,
            None => {
                self.streams.push(Stream { labels: labels.clone(), entries: Vec::new(), seen: HashSet::new() });
                self.streams.len() - 1
            }
        };
        let metadata = metadata.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let entry = Entry { timestamp_ns, line: line.to_owned(), metadata };
        let stream = &mut self.streams[index];
        if stream.seen.insert(entry.clone()) {
            let at = stream.entries.partition_point(|known| known.timestamp_ns <= timestamp_ns);
            stream.entries.insert(at, entry);
        }
    }

    /// Number of entries of all streams.
    pub fn len(&self) -> usize {
        self.streams.iter().map(|stream| stream.entries.len()).sum()
    }

    /// True when there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The streams that a label query asks for, whatever the time: names and values of what is in memory are listed without
    /// regard to it.
    fn selected(&self, query: &LabelQuery) -> impl Iterator<Item = &Stream> {
        let selectors = query.selectors.clone();
        self.streams.iter().filter(move |stream| {
            selectors.is_empty() || selectors.iter().any(|matchers| all_match(matchers, &stream.labels))
        })
    }
}

fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches_labels(labels))
}

fn limited<T>(mut list: Vec<T>, limit: usize) -> Vec<T> {
    if limit > 0 {
        list.truncate(limit);
    }
    list
}

impl LogSource for MemoryLogs {
    fn select<'a>(&'a self, request: &LogSelect) -> Result<Box<dyn LogSelection + 'a>, SourceError> {
        let mut selection = MemorySelection {
            logs: Vec::new(),
            streams: Vec::new(),
            units: Vec::new(),
            ranges: Vec::new(),
            request: request.clone(),
        };
        for stream in self.streams.iter().filter(|stream| all_match(&request.matchers, &stream.labels)) {
            let from = stream.entries.partition_point(|entry| entry.timestamp_ns < request.start_ns);
            let to = stream.entries.partition_point(|entry| entry.timestamp_ns < request.end_ns);
            let entries = stream.entries.get(from..to).unwrap_or(&[]);
            if entries.is_empty() {
                continue;
            }
            let index = selection.streams.len() as u32;
            selection.streams.push(stream.labels.clone());
            for unit in entries.chunks(self.unit_entries) {
                selection.units.push(LogUnit {
                    stream: index,
                    min_ns: unit[0].timestamp_ns,
                    max_ns: unit[unit.len() - 1].timestamp_ns,
                    entries: unit.len() as u64,
                    bytes: unit.iter().map(|entry| entry.line.len() as u64).sum(),
                });
                selection.ranges.push(unit);
            }
        }
        let mut order: Vec<usize> = (0..selection.units.len()).collect();
        match request.direction {
            Direction::Forward => order.sort_by_key(|i| selection.units[*i].min_ns),
            Direction::Backward => {
                // Of units that end at one time the one that came last is first.
                order.reverse();
                order.sort_by_key(|i| std::cmp::Reverse(selection.units[*i].max_ns));
            }
        }
        selection.units = order.iter().map(|i| selection.units[*i]).collect();
        selection.logs = order.iter().map(|i| selection.ranges[*i]).collect();
        Ok(Box::new(selection))
    }

    fn label_names(&self, query: &LabelQuery) -> Result<Vec<String>, SourceError> {
        let mut names: Vec<String> =
            self.selected(query).flat_map(|stream| stream.labels.iter().map(|(name, _)| name.to_owned())).collect();
        names.sort_unstable();
        names.dedup();
        Ok(limited(names, query.limit))
    }

    fn label_values(&self, name: &str, query: &LabelQuery) -> Result<Vec<String>, SourceError> {
        let mut values: Vec<String> =
            self.selected(query).filter_map(|stream| stream.labels.get(name).map(str::to_owned)).collect();
        values.sort_unstable();
        values.dedup();
        Ok(limited(values, query.limit))
    }

    fn series(&self, query: &LabelQuery) -> Result<Vec<Labels>, SourceError> {
        let in_range = |stream: &&Stream| {
            let time_ms = |entry: &Entry| entry.timestamp_ns / 1_000_000;
            let from = stream.entries.partition_point(|entry| time_ms(entry) < query.start_ms);
            stream.entries.get(from).is_some_and(|entry| time_ms(entry) <= query.end_ms)
        };
        Ok(limited(self.selected(query).filter(in_range).map(|stream| stream.labels.clone()).collect(), query.limit))
    }
}

struct MemorySelection<'a> {
    streams: Vec<Labels>,
    units: Vec<LogUnit>,
    ranges: Vec<&'a [Entry]>,
    logs: Vec<&'a [Entry]>,
    request: LogSelect,
}

impl LogSelection for MemorySelection<'_> {
    fn streams(&self) -> &[Labels] {
        &self.streams
    }

    fn units(&self) -> &[LogUnit] {
        &self.units
    }

    fn read(&self, index: usize, out: &mut LogColumns) -> Result<(), SourceError> {
        out.clear();
        for entry in self.logs[index] {
            let wanted = |texts: &Vec<String>| texts.iter().any(|text| entry.line.contains(text.as_str()));
            if !self.request.needles.iter().all(wanted) {
                continue;
            }
            let line = if self.request.skip_lines { "" } else { entry.line.as_str() };
            let metadata = if self.request.skip_metadata { &[][..] } else { &entry.metadata };
            out.push(entry.timestamp_ns, line, metadata.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        }
        Ok(())
    }

    fn counts(&self, index: usize, edges_ns: &[i64], out: &mut Vec<u64>) -> bool {
        let older = |edge: i64| self.logs[index].iter().filter(|entry| entry.timestamp_ns < edge).count() as u64;
        out.clear();
        out.extend(edges_ns.windows(2).map(|edges| older(edges[1]) - older(edges[0])));
        true
    }

    fn has_metadata(&self, index: usize) -> bool {
        self.logs[index].iter().any(|entry| !entry.metadata.is_empty())
    }
}
