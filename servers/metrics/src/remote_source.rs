//! The own store and the peers that are read beside it, as one source for queries.
//!
//! Peers are asked with remote read while a query selects; a peer that does not answer is a warning, not an error: what the own store
//! has is answered all the same. Without peers everything goes straight to the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::http::{HeaderName, HeaderValue, header};
use kit::client::{Client, Request};
use model::{LabelQuery, Labels, MatchOp, Matcher, SampleColumns, SelectHints, Selection, SeriesSource, SourceError};
use tokio::runtime::Handle;
use tsdb::Db;
use wire::remote_read::{
    CONTENT_TYPE_SAMPLES, ChunkEncoding, Hints, Query, ReadRequest, ResponseType, decode_response, read_frame,
};

use crate::config::{Config, RemoteReadConfig};
use crate::xor;

/// Most bytes of a peer's answer.
const MAX_ANSWER: usize = 256 << 20;

/// Samples of a series, ascending.
type Samples = Vec<(i64, f64)>;
/// A peer's series.
type Remote = Vec<(Labels, Samples)>;

/// See the module.
pub struct Fanout {
    local: Arc<Db>,
    peers: ArcSwap<Vec<Peer>>,
    runtime: Handle,
    user_agent: String,
}

struct Peer {
    config: RemoteReadConfig,
    client: Client,
    external: Labels,
}

impl Fanout {
    /// A source without peers; [`Fanout::apply`] gives it some. Must be called within a runtime.
    pub fn new(local: Arc<Db>, user_agent: &str) -> Arc<Self> {
        let user_agent = user_agent.to_owned();
        Arc::new(Self { local, peers: ArcSwap::default(), runtime: Handle::current(), user_agent })
    }

    /// Takes over a configuration.
    pub fn apply(&self, config: &Config) {
        let peers = config.remote_read.iter().filter_map(|peer| match Client::new(&peer.http, &self.user_agent) {
            Ok(client) => {
                let external = config.external_labels().clone();
                Some(Peer { config: peer.clone(), client, external })
            }
            Err(e) => {
                tracing::error!(component = "remote", url = peer.url, error = %e, "this peer cannot be read as configured");
                None
            }
        });
        self.peers.store(Arc::new(peers.collect()));
    }

    /// The time from which on the own store has everything, ms.
    fn local_start_ms(&self) -> i64 {
        let blocks = self.local.blocks().iter().map(|block| block.min_time).min();
        let head = self.local.stats().head_range_ms.map(|range| range.0);
        blocks.into_iter().chain(head).min().unwrap_or(i64::MAX)
    }
}

impl SeriesSource for Fanout {
    fn select<'a>(&'a self, matchers: &[Matcher], hints: &SelectHints) -> Result<Box<dyn Selection + 'a>, SourceError> {
        let local = self.local.select(matchers, hints)?;
        let peers = self.peers.load_full();
        if peers.is_empty() {
            return Ok(local);
        }
        let start_ms = self.local_start_ms();
        let mut warnings = local.warnings();
        let mut found: BTreeMap<Labels, (Option<usize>, Samples)> =
            (0..local.len()).map(|index| (local.labels(index), (Some(index), Vec::new()))).collect();
        for peer in peers.iter().filter(|peer| peer.concerns(matchers)) {
            let end_ms = if peer.config.read_recent { hints.end_ms } else { hints.end_ms.min(start_ms) };
            if end_ms < hints.start_ms {
                continue;
            }
            match self.runtime.block_on(peer.read(matchers, hints, end_ms)) {
                Ok(series) => {
                    for (labels, samples) in series {
                        let entry = found.entry(labels).or_default();
                        merge(&mut entry.1, samples);
                    }
                }
                Err(reason) => {
                    warnings.push(format!("remote read of {:?}: {reason}", peer.config.name));
                }
            }
        }
        let series = found.into_iter().map(|(labels, (local, remote))| Series { labels, local, remote }).collect();
        Ok(Box::new(Merged { local, series, warnings }))
    }

    fn label_names(&self, query: &LabelQuery) -> Result<Vec<String>, SourceError> {
        self.local.label_names(query)
    }

    fn label_values(&self, name: &str, query: &LabelQuery) -> Result<Vec<String>, SourceError> {
        self.local.label_values(name, query)
    }
}

struct Series {
    labels: Labels,
    local: Option<usize>,
    remote: Samples,
}

struct Merged<'a> {
    local: Box<dyn Selection + 'a>,
    series: Vec<Series>,
    warnings: Vec<String>,
}

impl Selection for Merged<'_> {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.series[index].labels.clone()
    }

    fn read(&self, index: usize, out: &mut SampleColumns) -> Result<(), SourceError> {
        let series = &self.series[index];
        match series.local {
            Some(index) => self.local.read(index, out)?,
            None => out.clear(),
        }
        if series.remote.is_empty() {
            return Ok(());
        }
        // The own store's start times do not fit beside samples that have none.
        out.start_timestamps.clear();
        let own: Samples = out.timestamps.drain(..).zip(out.values.drain(..)).collect();
        let mut all = own;
        merge(&mut all, series.remote.clone());
        all.retain(|(time, _)| out.histogram_timestamps.binary_search(time).is_err());
        (out.timestamps, out.values) = all.into_iter().unzip();
        Ok(())
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }
}

/// Adds samples to others, both ascending; where both have one at a time the first stays.
fn merge(into: &mut Samples, more: Samples) {
    if into.last().is_none_or(|(last, _)| more.first().is_none_or(|(first, _)| last < first)) {
        into.extend(more);
        return;
    }
    into.extend(more);
    // Stable: of equal times the first comes first.
    into.sort_by_key(|(time, _)| *time);
    into.dedup_by_key(|(time, _)| *time);
}

impl Peer {
    /// A peer that is for certain series only is asked for those only.
    fn concerns(&self, matchers: &[Matcher]) -> bool {
        self.config.required_matchers.iter().all(|(name, value)| {
            matchers.iter().any(|m| m.op() == MatchOp::Equal && m.name() == name && m.value() == value)
        })
    }

    async fn read(&self, matchers: &[Matcher], hints: &SelectHints, end_ms: i64) -> Result<Remote, String> {
        let mut all = matchers.to_vec();
        let mut added: Vec<&str> = Vec::new();
        if self.config.filter_external_labels {
            // The peer has our samples under these labels.
            for (name, value) in &self.external {
                if !all.iter().any(|matcher| matcher.name() == name) {
                    all.push(Matcher::equal(name, value));
                    added.push(name);
                }
            }
        }
        let request = ReadRequest {
            queries: vec![Query {
                start_ms: hints.start_ms,
                end_ms,
                matchers: all,
                hints: Some(Hints {
                    step_ms: hints.step_ms,
                    func: hints.func.unwrap_or("").to_owned(),
                    start_ms: hints.start_ms,
                    end_ms: hints.end_ms,
                    grouping: hints.grouping.clone(),
                    by: hints.by,
                    range_ms: hints.range_ms,
                }),
            }],
            accepted: vec![ResponseType::StreamedXorChunks, ResponseType::Samples],
        };
        let body = wire::compress::snappy_encode(&request.encode());
        let timeout = Duration::from_millis(u64::try_from(self.config.timeout_ms).unwrap_or(0));
        let mut request = Request::post(&self.config.url, CONTENT_TYPE_SAMPLES, body)
            .header(header::CONTENT_ENCODING, HeaderValue::from_static("snappy"))
            .header(HeaderName::from_static("x-prometheus-remote-read-version"), HeaderValue::from_static("0.1.0"))
            .timeout(timeout);
        request.max_body = MAX_ANSWER;
        request.gzip = false;
        for (name, value) in &self.config.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::from_str(value)) {
                request = request.header(name, value);
            }
        }
        let answer = self.client.send(request).await.map_err(|e| e.to_string())?;
        if !answer.status.is_success() {
            return Err(format!("server returned HTTP status {}: {}", answer.status, answer.excerpt()));
        }
        let streamed = answer.header(header::CONTENT_TYPE).is_some_and(|kind| kind.contains("streamed"));
        let mut found = if streamed { streamed_series(&answer.body)? } else { whole_series(&answer.body)? };
        if !added.is_empty() {
            for (labels, _) in &mut found {
                let mut builder = labels.to_builder();
                for name in &added {
                    builder.del(name);
                }
                *labels = builder.build();
            }
        }
        Ok(found)
    }
}

fn whole_series(body: &[u8]) -> Result<Remote, String> {
    let message = wire::compress::snappy_decode(body, MAX_ANSWER).map_err(|e| e.to_string())?;
    let mut results = decode_response(&message).map_err(|e| e.to_string())?;
    Ok(results.pop().unwrap_or_default())
}

fn streamed_series(mut body: &[u8]) -> Result<Remote, String> {
    let mut found: BTreeMap<Labels, Samples> = BTreeMap::new();
    while !body.is_empty() {
        let Some((_, series, rest)) = read_frame(body).map_err(|e| e.to_string())? else {
            return Err("the answer ends within a frame".to_owned());
        };
        for (labels, chunks) in series {
            let samples = found.entry(labels).or_default();
            // Native histograms are not read from peers.
            for chunk in chunks.iter().filter(|chunk| chunk.encoding == ChunkEncoding::Xor) {
                let mut part = Vec::new();
                xor::decode(chunk.data, |time, value| part.push((time, value))).ok_or("a chunk is damaged")?;
                merge(samples, part);
            }
        }
        body = rest;
    }
    Ok(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_keeps_order_and_the_first_of_equals() {
        let mut own = vec![(1, 1.0), (3, 3.0)];
        merge(&mut own, vec![(2, 20.0), (3, 30.0), (4, 40.0)]);
        assert_eq!(own, [(1, 1.0), (2, 20.0), (3, 3.0), (4, 40.0)]);
        merge(&mut own, vec![(5, 5.0)]);
        assert_eq!(own.len(), 5);
    }
}
