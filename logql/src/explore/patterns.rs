//! Patterns of lines: what is the same in many lines stays, what differs becomes `<_>`.
//!
//! A line is cut into words and what stands between them. Words with a digit are taken to differ from line to line. Lines
//! that agree in everything between the words and in most of the words are of one cluster; words in which its lines
//! differ become `<_>`. Of a JSON object only the message is looked at. Patterns are such that a line filter `|>` finds
//! the lines. The number of clusters is bounded: the one not used for longest gives way.

use std::collections::{BTreeMap, HashMap};

use model::{Direction, LogColumns, LogSelect, LogSource, Matcher, SourceErrorKind};

use crate::engine::workers::for_each;
use crate::engine::{Budget, QueryContext, QueryError};
use crate::pipeline::json_scan::{JsonKind, skip_space, string_end, value};

/// A pattern and when its lines came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternSeries {
    /// Text with `<_>` for what differs.
    pub pattern: String,
    /// Level of the lines, `unknown` when they say none.
    pub level: String,
    /// Start of each interval in seconds with the number of lines in it.
    pub samples: Vec<(i64, u64)>,
}

/// Level of lines that say none.
const UNKNOWN_LEVEL: &str = "unknown";
/// The structured metadata that holds the level of a line.
const LEVEL: &str = "detected_level";
/// Keys of the message in JSON objects.
const MESSAGE_KEYS: [&str; 6] = ["log", "message", "msg", "msg_", "_msg", "content"];
/// Longest line to look at.
const MAX_LINE: usize = 3000;
/// Most words of a line.
const MAX_WORDS: usize = 512;
/// Most clusters at a time.
const MAX_CLUSTERS: usize = 300;
/// Most lines whose cluster is remembered by the words they have.
const MAX_KNOWN: usize = 1 << 14;
/// Part of the words that two lines of a cluster have in common.
const SIMILARITY: f64 = 0.5;
const WILDCARD: &str = "<_>";

/// The patterns of the selected lines from `start_ns` to before `end_ns`, those with most lines first, counted in
/// intervals of `step_ns`, and what had to be left out.
///
/// # Errors
/// When the source fails or the query should stop.
pub fn patterns(
    source: &dyn LogSource,
    matchers: &[Matcher],
    start_ns: i64,
    end_ns: i64,
    step_ns: i64,
    context: &QueryContext<'_>,
) -> Result<(Vec<PatternSeries>, Vec<String>), QueryError> {
    struct Worker {
        miner: PatternMiner,
        columns: LogColumns,
        warnings: Vec<String>,
    }
    let request = LogSelect {
        matchers: matchers.to_vec(),
        start_ns,
        end_ns,
        direction: Direction::Forward,
        needles: Vec::new(),
        limit: 0,
        skip_lines: false,
        skip_metadata: false,
        shorten: None,
    };
    let selection = source.select(&request)?;
    let bytes = selection.units().iter().map(|unit| unit.bytes).sum();
    let limit = context.limits.max_bytes_read;
    if limit > 0 && bytes > limit {
        return Err(QueryError::TooManyBytes { bytes, limit });
    }
    let budget = Budget::new(context);
    let worker = || Worker { miner: PatternMiner::new(step_ns), columns: LogColumns::new(), warnings: Vec::new() };
    let mut workers: Vec<Worker> = (0..context.threads.max(1)).map(|_| worker()).collect();
    for_each(&mut workers, selection.units().len(), |worker, index| {
        budget.check()?;
        let columns = &mut worker.columns;
        if let Err(error) = selection.read(index, columns) {
            if error.kind != SourceErrorKind::Corrupt {
                return Err(error.into());
            }
            worker.warnings.push(error.to_string());
            columns.clear();
        }
        for row in 0..columns.len() {
            let level = columns.metadata(row).find(|(name, _)| *name == LEVEL).map_or("", |(_, level)| level);
            worker.miner.push(columns.timestamps[row], columns.line(row), level);
        }
        Ok(())
    })?;
    let mut all = PatternMiner::new(step_ns);
    let mut warnings = selection.warnings();
    for worker in workers {
        warnings.extend(worker.warnings);
        all.merge(worker.miner);
    }
    Ok((all.finish(), warnings))
}

/// Finds patterns of the lines that are pushed into it.
#[derive(Clone, Debug)]
pub struct PatternMiner {
    step_ns: i64,
    levels: BTreeMap<String, Clusters>,
    tokens: Tokens,
}

/// The clusters of lines of one level.
#[derive(Clone, Debug, Default)]
struct Clusters {
    clusters: Vec<Cluster>,
    /// Indexes of clusters by what stands between their words.
    by_shape: HashMap<u64, Vec<u32>>,
    /// Indexes of clusters by the words of lines they were found for.
    known: HashMap<u64, u32>,
    clock: u64,
}

#[derive(Clone, Debug)]
struct Cluster {
    /// The first line, cut into tokens.
    text: String,
    tokens: Vec<Token>,
    shape: u64,
    prefix: String,
    suffix: &'static str,
    used: u64,
    counts: BTreeMap<i64, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token {
    start: u32,
    end: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Wildcard,
    Between,
}

/// A line cut into tokens.
#[derive(Clone, Debug, Default)]
struct Tokens {
    list: Vec<Token>,
    /// Hash of everything between the words.
    shape: u64,
    /// Hash of that and of the words that are no wildcards.
    words: u64,
}

impl PatternMiner {
    /// A miner that counts lines in intervals of `step_ns`.
    pub fn new(step_ns: i64) -> Self {
        Self { step_ns: step_ns.max(1), levels: BTreeMap::new(), tokens: Tokens::default() }
    }

    /// Adds a line. Very long lines and blank ones have no pattern.
    pub fn push(&mut self, timestamp_ns: i64, line: &str, level: &str) {
        if line.len() > MAX_LINE || line.trim().is_empty() {
            return;
        }
        let (prefix, text, suffix) = message(line);
        self.tokens.cut(prefix, text);
        if self.tokens.list.len() > MAX_WORDS * 2 {
            return;
        }
        let level = if level.is_empty() { UNKNOWN_LEVEL } else { level };
        let lower;
        let level = if level.chars().any(char::is_uppercase) {
            lower = level.to_lowercase();
            &lower
        } else {
            level
        };
        if !self.levels.contains_key(level) {
            self.levels.insert(level.to_owned(), Clusters::default());
        }
        let Some(clusters) = self.levels.get_mut(level) else { return };
        let cluster = clusters.find(prefix, text, suffix, &self.tokens);
        let interval = timestamp_ns.div_euclid(self.step_ns);
        *cluster.counts.entry(interval).or_insert(0) += 1;
    }

    /// Adds what another miner has found.
    pub fn merge(&mut self, other: Self) {
        for (level, found) in other.levels {
            let clusters = self.levels.entry(level).or_default();
            for cluster in found.clusters {
                let words = cluster.tokens.iter().filter(|token| token.kind == Kind::Word);
                let words = words.fold(cluster.shape, |hash, token| mix(hash, cluster.part(*token)));
                let tokens = Tokens { shape: cluster.shape, words, list: cluster.tokens };
                let known = clusters.find(&cluster.prefix, &cluster.text, cluster.suffix, &tokens);
                for (interval, count) in cluster.counts {
                    *known.counts.entry(interval).or_insert(0) += count;
                }
            }
        }
    }

    /// The patterns found, those with most lines first.
    pub fn finish(self) -> Vec<PatternSeries> {
        let mut by_pattern: BTreeMap<(String, String), BTreeMap<i64, u64>> = BTreeMap::new();
        for (level, clusters) in self.levels {
            for cluster in clusters.clusters {
                let counts = by_pattern.entry((level.clone(), cluster.pattern())).or_default();
                for (interval, count) in cluster.counts {
                    *counts.entry(interval).or_insert(0) += count;
                }
            }
        }
        let second = |interval: i64| interval.saturating_mul(self.step_ns).div_euclid(1_000_000_000);
        let mut series: Vec<PatternSeries> = by_pattern
            .into_iter()
            .map(|((level, pattern), counts)| {
                let samples = counts.into_iter().map(|(interval, count)| (second(interval), count)).collect();
                PatternSeries { pattern, level, samples }
            })
            .collect();
        let total = |one: &PatternSeries| one.samples.iter().map(|(_, count)| count).sum::<u64>();
        series.sort_by_key(|one| std::cmp::Reverse(total(one)));
        series
    }
}

/// The part of a line that says something, with what stands before and behind it in the pattern.
fn message(line: &str) -> (&str, &str, &'static str) {
    let whole = ("", line, "");
    let data = line.as_bytes();
    let Some(open) = skip_space(data, 0).filter(|at| data[*at] == b'{') else { return whole };
    let mut at = open + 1;
    while let Some(quote) = skip_space(data, at).filter(|at| data[*at] == b'"') {
        let Some((end, _)) = string_end(data, quote + 1) else { return whole };
        let Some(colon) = skip_space(data, end + 1).filter(|at| data[*at] == b':') else { return whole };
        let Ok(found) = value(data, colon + 1) else { return whole };
        if found.kind == JsonKind::String && MESSAGE_KEYS.contains(&&line[quote + 1..end]) {
            return (&line[quote..found.start], &line[found.start..found.end], "\"<_>");
        }
        match skip_space(data, found.next).filter(|at| data[*at] == b',') {
            Some(comma) => at = comma + 1,
            None => return whole,
        }
    }
    whole
}

fn is_between(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '=' | ',' | ';' | '(' | ')' | '[' | ']' | '{' | '}' | '|')
}

fn mix(hash: u64, text: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(text.as_bytes(), hash)
}

impl Tokens {
    fn cut(&mut self, prefix: &str, text: &str) {
        self.list.clear();
        self.shape = mix(0, prefix);
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            let between = rest.find(|c| !is_between(c)).unwrap_or(rest.len());
            if between > 0 {
                self.push(at, at + between, Kind::Between);
                at += between;
                continue;
            }
            let len = rest.find(is_between).unwrap_or(rest.len());
            // `error:` is a word and a colon.
            let word = rest[..len].trim_start_matches(':');
            let start = at + len - word.len();
            let word = word.trim_end_matches([':', '.']);
            let end = start + word.len();
            self.push(at, start, Kind::Between);
            // `<` would be read as the beginning of a wildcard.
            let differs = word.bytes().any(|byte| byte.is_ascii_digit() || byte == b'<');
            self.push(start, end, if differs { Kind::Wildcard } else { Kind::Word });
            self.push(end, at + len, Kind::Between);
            at += len;
        }
        self.join();
        self.words = 0;
        for token in &self.list {
            let part = &text[token.start as usize..token.end as usize];
            match token.kind {
                Kind::Between => self.shape = mix(self.shape, part),
                Kind::Wildcard => self.shape = mix(self.shape, ""),
                Kind::Word => {
                    self.shape = mix(self.shape, "");
                    self.words = mix(self.words, part);
                }
            }
            self.words = self.words.rotate_left(1);
        }
        self.words ^= self.shape;
    }

    fn push(&mut self, start: usize, end: usize, kind: Kind) {
        if start < end {
            self.list.push(Token { start: start as u32, end: end as u32, kind });
        }
    }

    /// Joins neighbours between words.
    fn join(&mut self) {
        self.list.dedup_by(|token, before| {
            let both = token.kind == Kind::Between && before.kind == Kind::Between;
            if both {
                before.end = token.end;
            }
            both
        });
    }
}

impl Clusters {
    /// The cluster of a line, which becomes part of it.
    fn find(&mut self, prefix: &str, text: &str, suffix: &'static str, tokens: &Tokens) -> &mut Cluster {
        self.clock += 1;
        let index = match self.known.get(&tokens.words) {
            Some(index) => *index,
            None => {
                let index = match self.most_similar(prefix, text, tokens) {
                    Some(index) => {
                        self.clusters[index as usize].take_in(text, &tokens.list);
                        index
                    }
                    None => self.insert(prefix, text, suffix, tokens),
                };
                if self.known.len() >= MAX_KNOWN {
                    self.known.clear();
                }
                self.known.insert(tokens.words, index);
                index
            }
        };
        let cluster = &mut self.clusters[index as usize];
        cluster.used = self.clock;
        cluster
    }

    fn most_similar(&self, prefix: &str, text: &str, tokens: &Tokens) -> Option<u32> {
        let mut best = None;
        let mut best_similarity = SIMILARITY;
        for index in self.by_shape.get(&tokens.shape)? {
            let similarity = self.clusters[*index as usize].similarity(prefix, text, &tokens.list);
            if similarity >= best_similarity && best.is_none_or(|_| similarity > best_similarity) {
                (best, best_similarity) = (Some(*index), similarity);
            }
        }
        best
    }

    fn insert(&mut self, prefix: &str, text: &str, suffix: &'static str, tokens: &Tokens) -> u32 {
        let cluster = Cluster {
            text: text.to_owned(),
            tokens: tokens.list.clone(),
            shape: tokens.shape,
            prefix: prefix.to_owned(),
            suffix,
            used: self.clock,
            counts: BTreeMap::new(),
        };
        let index = if self.clusters.len() < MAX_CLUSTERS {
            self.clusters.push(cluster);
            self.clusters.len() as u32 - 1
        } else {
            let oldest = self.clusters.iter().enumerate().min_by_key(|(_, cluster)| cluster.used);
            let index = oldest.map_or(0, |(index, _)| index);
            let old = std::mem::replace(&mut self.clusters[index], cluster);
            if let Some(indexes) = self.by_shape.get_mut(&old.shape) {
                indexes.retain(|known| *known as usize != index);
                if indexes.is_empty() {
                    self.by_shape.remove(&old.shape);
                }
            }
            self.known.retain(|_, known| *known as usize != index);
            index as u32
        };
        self.by_shape.entry(tokens.shape).or_default().push(index);
        index
    }
}

impl Cluster {
    fn part(&self, token: Token) -> &str {
        &self.text[token.start as usize..token.end as usize]
    }

    /// How much of the words the line shares; 0 when it differs between them.
    fn similarity(&self, prefix: &str, text: &str, tokens: &[Token]) -> f64 {
        if self.tokens.len() != tokens.len() || self.prefix != prefix {
            return 0.0;
        }
        let (mut words, mut same) = (0, 0);
        for (own, token) in self.tokens.iter().zip(tokens) {
            let equal = || self.part(*own) == &text[token.start as usize..token.end as usize];
            match (own.kind, token.kind) {
                (Kind::Between, Kind::Between) if equal() => {}
                (Kind::Between, _) | (_, Kind::Between) => return 0.0,
                (Kind::Wildcard, _) => {}
                (Kind::Word, kind) => {
                    words += 1;
                    same += i32::from(kind == Kind::Word && equal());
                }
            }
        }
        if words == 0 { 1.0 } else { f64::from(same) / f64::from(words) }
    }

    /// Words in which the line differs become wildcards.
    fn take_in(&mut self, text: &str, tokens: &[Token]) {
        for (own, token) in self.tokens.iter_mut().zip(tokens) {
            if own.kind == Kind::Word {
                let equal =
                    self.text[own.start as usize..own.end as usize] == text[token.start as usize..token.end as usize];
                if token.kind == Kind::Wildcard || !equal {
                    own.kind = Kind::Wildcard;
                }
            }
        }
    }

    fn pattern(&self) -> String {
        let mut pattern = String::with_capacity(self.text.len());
        if !self.prefix.is_empty() {
            pattern.push_str(WILDCARD);
            pattern.push_str(&self.prefix);
        }
        for token in &self.tokens {
            match token.kind {
                Kind::Wildcard => pattern.push_str(WILDCARD),
                _ => pattern.push_str(self.part(*token)),
            }
        }
        pattern.push_str(self.suffix);
        pattern
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;

    fn mine(lines: &[&str]) -> Vec<String> {
        let mut miner = PatternMiner::new(10_000_000_000);
        for line in lines {
            miner.push(0, line, "");
        }
        let found = miner.finish();
        for line in lines {
            let fits = |one: &PatternSeries| Pattern::filter(&one.pattern).unwrap().is_match(line);
            assert!(found.iter().any(fits), "{line}: {found:?}");
        }
        found.into_iter().map(|one| one.pattern).collect()
    }

    #[test]
    fn keeps_what_lines_share() {
        let cases: [(&[&str], &[&str]); 5] = [
            (&["user kim logged in", "user lee logged in", "user 7 logged in"], &["user <_> logged in"]),
            (&["took 5ms", "took 17ms", "error: disk full"], &["took <_>", "error: disk full"]),
            (
                &[
                    r#"10.0.0.1 - - [05/Jan/2026:10:00:00] "GET /api/users HTTP/1.1" 200 12"#,
                    r#"10.0.0.2 - - [05/Jan/2026:10:00:01] "POST /api/carts HTTP/1.1" 500 99"#,
                ],
                &[r#"<_> - - [<_>] "<_> <_> <_>" <_> <_>"#],
            ),
            (
                &["level=info msg=\"done\" took=5", "level=warn msg=\"done\" took=6", "level=info msg=done took=6"],
                &["level=<_> msg=\"done\" took=<_>", "level=info msg=done took=<_>"],
            ),
            (
                &[r#"{"ts":1,"msg":"job 7 done","n":1}"#, r#"{"ts":2,"msg":"job 8 done"}"#],
                &[r#"<_>"msg":"job <_> done"<_>"#],
            ),
        ];
        for (lines, want) in cases {
            assert_eq!(mine(lines), want);
        }
    }

    #[test]
    fn counts_by_interval_and_level() {
        let mut parts = [PatternMiner::new(10_000_000_000), PatternMiner::new(10_000_000_000)];
        for i in 0..20i64 {
            parts[(i % 2) as usize].push(i * 1_000_000_000, &format!("request {i} done"), "INFO");
            parts[1].push(i * 1_000_000_000, "bye", "");
        }
        let [mut all, other] = parts;
        all.merge(other);
        let found = all.finish();
        assert_eq!(found[0].pattern, "request <_> done");
        assert_eq!((found[0].level.as_str(), found[0].samples.as_slice()), ("info", &[(0, 10), (10, 10)][..]));
        assert_eq!((found[1].level.as_str(), found[1].samples.as_slice()), ("unknown", &[(0, 10), (10, 10)][..]));
    }

    #[test]
    fn bounds_the_number_of_clusters() {
        let mut miner = PatternMiner::new(1_000_000_000);
        let letters = |mut i: u32| {
            let mut word = String::new();
            for _ in 0..4 {
                word.push(char::from(b'a' + (i % 26) as u8));
                i /= 26;
            }
            word
        };
        for i in 0..2000 {
            // Lines without a word in common.
            miner.push(0, &format!("{} {}", letters(i), letters(i + 7000)), "");
            miner.push(0, "always the same", "");
        }
        let found = miner.finish();
        assert_eq!(found.len(), MAX_CLUSTERS);
        assert_eq!((found[0].pattern.as_str(), found[0].samples[0].1), ("always the same", 2000));
    }
}
