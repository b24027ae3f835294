//! The head: streams that were written to lately, with their open chunks.
//!
//! [`Head`] finds or makes a [`Stream`] by label set or by the raw text a sender uses for it; a stream holds one [`Chunk`]
//! for each generation of the head that is not yet in a segment (mostly one, two while a segment is written). Who
//! writes knows the generation; the head itself has no clock and touches no file.
//!
//! Invariant: a stream that is not in the registry is dead and takes no more entries; its writer looks it up anew.

mod chunk;
mod symbols;

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use model::{Labels, Matcher};
use parking_lot::{Mutex, RwLock};
use smallvec::SmallVec;

pub(crate) use chunk::{Chunk, ReadSpec};

use crate::label_index::LabelIndex;
use crate::limits::{Rate, TokenBucket};

const RAW_SHARDS: usize = 16;

type RawShard = HashTable<(Box<str>, Arc<Stream>)>;

/// Streams in memory. Shared between threads.
#[derive(Debug, Default)]
pub(crate) struct Head {
    registry: RwLock<Registry>,
    /// Streams by the text with which they were sent.
    raw: [Mutex<RawShard>; RAW_SHARDS],
    hasher: FixedState,
}

#[derive(Debug, Default)]
struct Registry {
    streams: Vec<Option<Arc<Stream>>>,
    free: Vec<u32>,
    by_labels: HashTable<u32>,
    index: LabelIndex,
    count: usize,
}

/// One stream: all entries that share a label set.
#[derive(Debug)]
pub(crate) struct Stream {
    id: u32,
    pub(crate) labels: Labels,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    dead: bool,
    /// Ascending by generation.
    chunks: Chunks,
    bucket: TokenBucket,
}

/// Chunks of one stream, ascending by generation.
pub(crate) type Chunks = SmallVec<[Arc<Chunk>; 1]>;

/// The head holds as many streams as its limit allows.
#[derive(Debug)]
pub(crate) struct TooManyStreams;

impl Head {
    /// The stream that was last sent under this text, if it is known and alive.
    pub(crate) fn find_raw(&self, text: &str) -> Option<Arc<Stream>> {
        let hash = self.hasher.hash_one(text);
        let shard = self.shard(hash).lock();
        shard.find(hash, |(known, _)| **known == *text).map(|(_, stream)| stream.clone())
    }

    /// Remembers under which text a stream is sent.
    pub(crate) fn remember_raw(&self, text: &str, stream: &Arc<Stream>) {
        let hash = self.hasher.hash_one(text);
        let mut shard = self.shard(hash).lock();
        match shard.find_mut(hash, |(known, _)| **known == *text) {
            Some((_, known)) => *known = stream.clone(),
            None => {
                shard.insert_unique(hash, (text.into(), stream.clone()), |(known, _)| self.hasher.hash_one(&**known));
            }
        }
    }

    /// Forgets all texts: what they stand for may have changed.
    pub(crate) fn forget_raw(&self) {
        for shard in &self.raw {
            shard.lock().clear();
        }
    }

    /// The stream of a label set, made where it is new. `max_streams` 0: no limit.
    pub(crate) fn stream(&self, labels: &Labels, max_streams: usize) -> Result<Arc<Stream>, TooManyStreams> {
        let hash = labels.fingerprint();
        let find = |registry: &Registry| {
            let same = |id: &u32| registry.get(*id).is_some_and(|stream| stream.labels == *labels);
            registry.by_labels.find(hash, same).and_then(|id| registry.get(*id)).cloned()
        };
        if let Some(stream) = find(&self.registry.read()) {
            return Ok(stream);
        }
        let mut registry = self.registry.write();
        if let Some(stream) = find(&registry) {
            return Ok(stream);
        }
        if max_streams != 0 && registry.count >= max_streams {
            return Err(TooManyStreams);
        }
        Ok(registry.add(labels.clone(), hash))
    }

    /// Streams that satisfy all matchers.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> Vec<Arc<Stream>> {
        let registry = self.registry.read();
        registry.index.select(matchers).iter().filter_map(|id| registry.get(id).cloned()).collect()
    }

    /// Every stream, in no particular order.
    pub(crate) fn streams(&self) -> Vec<Arc<Stream>> {
        self.registry.read().streams.iter().flatten().cloned().collect()
    }

    /// Number of streams.
    pub(crate) fn len(&self) -> usize {
        self.registry.read().count
    }

    /// Drops the chunks of all generations up to `sealed`, and the streams that have none left.
    pub(crate) fn forget_sealed(&self, sealed: u64) {
        let mut dead = Vec::new();
        for stream in self.streams() {
            let mut state = stream.state.lock();
            state.chunks.retain(|chunk| chunk.generation > sealed);
            if state.chunks.is_empty() {
                state.dead = true;
                drop(state);
                dead.push(stream);
            }
        }
        if dead.is_empty() {
            return;
        }
        let mut registry = self.registry.write();
        for stream in &dead {
            registry.remove(stream);
        }
        drop(registry);
        for shard in &self.raw {
            shard.lock().retain(|(_, stream)| !stream.state.lock().dead);
        }
    }

    fn shard(&self, hash: u64) -> &Mutex<RawShard> {
        &self.raw[(hash >> 32) as usize % RAW_SHARDS]
    }
}

impl Registry {
    fn get(&self, id: u32) -> Option<&Arc<Stream>> {
        self.streams.get(id as usize)?.as_ref()
    }

    fn add(&mut self, labels: Labels, hash: u64) -> Arc<Stream> {
        let id = self.free.pop().unwrap_or(self.streams.len() as u32);
        let stream = Arc::new(Stream { id, labels, state: Mutex::default() });
        self.index.add(id, &stream.labels);
        match self.streams.get_mut(id as usize) {
            Some(slot) => *slot = Some(stream.clone()),
            None => self.streams.push(Some(stream.clone())),
        }
        let streams = &self.streams;
        self.by_labels.insert_unique(hash, id, |id| {
            streams.get(*id as usize).and_then(Option::as_ref).map_or(0, |stream| stream.labels.fingerprint())
        });
        self.count += 1;
        stream
    }

    fn remove(&mut self, stream: &Stream) {
        self.index.remove(stream.id, &stream.labels);
        if let Ok(entry) = self.by_labels.find_entry(stream.labels.fingerprint(), |id| *id == stream.id) {
            entry.remove();
        }
        if let Some(slot) = self.streams.get_mut(stream.id as usize) {
            *slot = None;
            self.free.push(stream.id);
            self.count -= 1;
        }
    }
}

impl Stream {
    /// The chunk of this generation, made where it is new, and the chunks of older generations. `None`: the stream is dead.
    pub(crate) fn open(&self, generation: u64) -> Option<(Arc<Chunk>, Chunks)> {
        let mut state = self.state.lock();
        if state.dead {
            return None;
        }
        if state.chunks.last().is_none_or(|chunk| chunk.generation < generation) {
            state.chunks.push(Arc::new(Chunk::new(generation)));
        }
        let mut older = state.chunks.clone();
        let chunk = older.pop()?;
        Some((chunk, older))
    }

    /// Chunks of the generations after `sealed`.
    pub(crate) fn chunks_after(&self, sealed: u64) -> Chunks {
        self.state.lock().chunks.iter().filter(|chunk| chunk.generation > sealed).cloned().collect()
    }

    /// Takes bytes from the stream's own rate.
    pub(crate) fn take(&self, rate: Rate, bytes: u64, now_ns: i64) -> bool {
        self.state.lock().bucket.take(rate, bytes, now_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(job: &str) -> Labels {
        Labels::from_pairs([("job", job)])
    }

    #[test]
    fn streams_live_as_long_as_they_have_chunks() {
        let head = Head::default();
        let a = head.stream(&labels("a"), 2).unwrap();
        let b = head.stream(&labels("b"), 2).unwrap();
        assert!(Arc::ptr_eq(&a, &head.stream(&labels("a"), 2).unwrap()));
        assert!(head.stream(&labels("c"), 2).is_err());
        head.remember_raw("{job=\"a\"}", &a);
        assert!(head.find_raw("{job=\"a\"}").is_some());
        a.open(1).unwrap();
        b.open(1).unwrap();
        let (_, older) = b.open(2).unwrap();
        assert_eq!(older.len(), 1);
        head.forget_sealed(1);
        assert!(a.open(2).is_none());
        assert!(head.find_raw("{job=\"a\"}").is_none());
        assert_eq!(b.chunks_after(1).len(), 1);
        assert_eq!(head.len(), 1);
        let c = head.stream(&labels("c"), 2).unwrap();
        assert_eq!(c.id, a.id, "the number is free again");
        let all = Matcher::new(model::MatchOp::Regex, "job", ".+").unwrap();
        let mut found: Vec<String> = head.select(&[all]).iter().map(|s| s.labels.to_string()).collect();
        found.sort();
        assert_eq!(found, [r#"{job="b"}"#, r#"{job="c"}"#]);
    }

    #[test]
    fn raw_texts_can_be_forgotten() {
        let head = Head::default();
        let a = head.stream(&labels("a"), 0).unwrap();
        head.remember_raw("x", &a);
        head.forget_raw();
        assert!(head.find_raw("x").is_none());
    }
}
