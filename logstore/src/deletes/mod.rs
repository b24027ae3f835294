//! Requests to delete entries: hidden from reads at once, removed from the files when their time has come.
//!
//! A [`DeleteRequest`] is a text that the owner's [`DeleteReader`] turns into a [`DeleteFilter`]; the store itself knows no query
//! language. Until it is due a request can be taken back. Then everything in memory is written into a segment, every
//! segment with such entries is written again without them, and the request is done: what is pushed later is kept.
//!
//! Invariant: a request is in the file `deletes` before it hides anything, and done only after its entries are gone for good.

mod file;

use std::path::PathBuf;
use std::sync::Arc;

use disk::write_atomic;
use model::{Labels, LogColumns, Matcher};
use parking_lot::{Mutex, RwLock};
use smallvec::SmallVec;

use crate::db::{Db, Maintenance};
use crate::error::Error;
use crate::head::ReadSpec;
use crate::merge::{Discard, Merge};
use crate::segment::{Segment, SegmentId};

/// Most requests that wait or are being carried out.
const MAX_REQUESTS: usize = 1_000;
/// Requests that are done are listed for this long.
const LISTED_NS: i64 = 30 * 86_400 * 1_000_000_000;

/// Entries that are to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRequest {
    /// Which entries, in the words of the owner.
    pub query: String,
    /// Oldest timestamp in ns.
    pub start_ns: i64,
    /// Newest timestamp in ns, inclusive.
    pub end_ns: i64,
    /// When it was made.
    pub created_ns: i64,
    /// When the entries are removed for good; `i64::MAX`: never, they stay hidden.
    pub due_ns: i64,
}

/// What the text of a request means.
#[derive(Clone)]
pub struct DeleteFilter {
    /// Which streams.
    pub matchers: Vec<Matcher>,
    /// Which of their entries; `None`: all.
    pub entries: Option<EntryFilter>,
}

/// Whether the entry in this row of a stream is meant.
pub type EntryFilter = Arc<dyn Fn(&Labels, &LogColumns, usize) -> bool + Send + Sync>;

/// Reads the text of requests. What it makes of a text may not change as long as requests with it wait.
#[derive(Clone)]
pub struct DeleteReader(Arc<ReadText>);

type ReadText = dyn Fn(&str) -> Result<DeleteFilter, String> + Send + Sync;

impl DeleteReader {
    /// `read`: gives the meaning of a text, or says why it has none.
    pub fn new(read: impl Fn(&str) -> Result<DeleteFilter, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }
}

impl Default for DeleteReader {
    fn default() -> Self {
        Self::new(|_| Err("this store was opened without a reader of delete requests".to_owned()))
    }
}

impl std::fmt::Debug for DeleteReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeleteReader")
    }
}

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteState {
    /// Its entries are hidden; it can be taken back.
    Waiting,
    /// Its entries are being removed.
    Removing {
        /// How much is done.
        percent: u8,
    },
    /// Its entries are gone.
    Done {
        /// Since when.
        at_ns: i64,
    },
}

/// A request and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteInfo {
    /// Number of the request.
    pub id: u64,
    /// What was asked for.
    pub request: DeleteRequest,
    /// How far it is.
    pub state: DeleteState,
    /// Why it has no effect: its text could not be read when the store was opened.
    pub error: Option<String>,
}

/// A request with the meaning of its text.
pub(crate) struct Rule {
    id: u64,
    request: DeleteRequest,
    done_ns: Option<i64>,
    filter: Result<DeleteFilter, String>,
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rule").field("id", &self.id).field("request", &self.request).finish_non_exhaustive()
    }
}

/// The rules that hold for one stream.
pub(crate) type StreamRules = SmallVec<[Arc<Rule>; 1]>;

impl Rule {
    fn is_for(&self, labels: &Labels) -> bool {
        self.filter.as_ref().is_ok_and(|filter| filter.matchers.iter().all(|matcher| matcher.matches_labels(labels)))
    }

    /// Whether it looks at lines or structured metadata.
    pub(crate) fn reads_entries(&self) -> bool {
        self.filter.as_ref().is_ok_and(|filter| filter.entries.is_some())
    }

    /// Whether some entries of a time range may be meant.
    pub(crate) fn overlaps(&self, min_ns: i64, max_ns: i64) -> bool {
        min_ns <= self.request.end_ns && max_ns >= self.request.start_ns
    }

    /// Whether all entries of a time range are meant.
    pub(crate) fn covers(&self, min_ns: i64, max_ns: i64) -> bool {
        !self.reads_entries() && self.request.start_ns <= min_ns && max_ns <= self.request.end_ns
    }

    /// Whether an entry of a stream the rule is for is meant.
    pub(crate) fn means(&self, labels: &Labels, entries: &LogColumns, row: usize) -> bool {
        let Ok(filter) = &self.filter else { return false };
        (self.request.start_ns..=self.request.end_ns).contains(&entries.timestamps[row])
            && filter.entries.as_ref().is_none_or(|means| means(labels, entries, row))
    }
}

/// The rules of a list that hold for a stream.
pub(crate) fn for_stream(rules: &[Arc<Rule>], labels: &Labels) -> StreamRules {
    rules.iter().filter(|rule| rule.is_for(labels)).cloned().collect()
}

/// All requests of a store.
#[derive(Debug, Default)]
pub(crate) struct Deletes {
    reader: DeleteReader,
    path: PathBuf,
    /// Held by whoever changes the list: the next number.
    next_id: Mutex<u64>,
    /// In the order of numbers.
    list: RwLock<Arc<Vec<Arc<Rule>>>>,
    /// Those that hide entries.
    active: RwLock<Arc<Vec<Arc<Rule>>>>,
    /// Numbers of those that are being carried out, and how far it is in percent.
    running: Mutex<(Vec<u64>, u8)>,
}

/// Requests that are being carried out together.
#[derive(Debug)]
pub(crate) struct Batch {
    rules: Vec<Arc<Rule>>,
    /// Segments that may still have such entries.
    left: Vec<SegmentId>,
    segments: usize,
}

impl Deletes {
    /// Reads the requests of a store.
    pub(crate) fn open(
        db_files: &dyn disk::Files,
        path: PathBuf,
        reader: DeleteReader,
        damage: &mut Vec<String>,
    ) -> Result<Self, Error> {
        let (next_id, records) = file::read(db_files, &path, damage)?;
        let rule = |record: file::Record| {
            let filter = (reader.0)(&record.request.query);
            if let (Err(error), None) = (&filter, record.done_ns) {
                damage.push(format!(
                    "{}: delete request {} cannot be read, its entries are visible: {error}",
                    path.display(),
                    record.id
                ));
            }
            Arc::new(Rule { id: record.id, request: record.request, done_ns: record.done_ns, filter })
        };
        let rules: Vec<Arc<Rule>> = records.into_iter().map(rule).collect();
        let deletes = Self { reader, path, next_id: Mutex::new(next_id), ..Self::default() };
        deletes.show(rules);
        Ok(deletes)
    }

    fn show(&self, rules: Vec<Arc<Rule>>) {
        let active = rules.iter().filter(|rule| rule.done_ns.is_none() && rule.filter.is_ok()).cloned().collect();
        *self.active.write() = Arc::new(active);
        *self.list.write() = Arc::new(rules);
    }

    /// The rules that hide entries now.
    pub(crate) fn active(&self) -> Arc<Vec<Arc<Rule>>> {
        self.active.read().clone()
    }

    /// Writes a list and shows it. The caller holds `next_id`.
    fn put(&self, files: &dyn disk::Files, next_id: u64, rules: Vec<Arc<Rule>>) -> Result<(), Error> {
        write_atomic(files, &self.path, &self.encode_list(next_id, &rules))?;
        self.show(rules);
        Ok(())
    }

    fn encode_list(&self, next_id: u64, rules: &[Arc<Rule>]) -> Vec<u8> {
        file::encode(next_id, rules.iter().map(|rule| (rule.id, &rule.request, rule.done_ns)))
    }

    /// The bytes of the file for the list as it is.
    pub(crate) fn encoded(&self) -> Vec<u8> {
        let next_id = self.next_id.lock();
        self.encode_list(*next_id, &self.list.read())
    }
}

impl Db {
    /// Hides entries from now on and has them removed when it is time; returns the number of the request.
    ///
    /// # Errors
    /// When the text cannot be read, the range is empty, too many requests wait, or the request cannot be written.
    pub fn request_delete(&self, request: DeleteRequest) -> Result<u64, Error> {
        self.check_open()?;
        if request.start_ns > request.end_ns {
            return Err(Error::Invalid("the range of a delete request ends before it begins".to_owned()));
        }
        let filter = (self.deletes.reader.0)(&request.query).map_err(Error::Invalid)?;
        let mut next_id = self.deletes.next_id.lock();
        let now_ns = request.created_ns;
        let listed = |rule: &&Arc<Rule>| rule.done_ns.is_none_or(|done| now_ns.saturating_sub(done) < LISTED_NS);
        let mut rules: Vec<Arc<Rule>> = self.deletes.list.read().iter().filter(listed).cloned().collect();
        let waiting = rules.iter().filter(|rule| rule.done_ns.is_none()).count();
        if waiting >= MAX_REQUESTS {
            return Err(Error::TooManyDeletes { limit: MAX_REQUESTS });
        }
        let id = *next_id;
        rules.push(Arc::new(Rule { id, request, done_ns: None, filter: Ok(filter) }));
        self.deletes.put(&*self.files, id + 1, rules)?;
        *next_id = id + 1;
        Ok(id)
    }

    /// Takes a request back: its entries are seen again.
    ///
    /// # Errors
    /// When there is no such request, its entries are being removed or are gone, or the list cannot be written.
    pub fn cancel_delete(&self, id: u64) -> Result<(), Error> {
        self.check_open()?;
        let next_id = self.deletes.next_id.lock();
        let rules = self.deletes.list.read().clone();
        let Some(rule) = rules.iter().find(|rule| rule.id == id) else {
            return Err(Error::Invalid(format!("there is no delete request {id}")));
        };
        if rule.done_ns.is_some() || self.deletes.running.lock().0.contains(&id) {
            return Err(Error::Invalid(format!("delete request {id} is being carried out or done")));
        }
        let rest = rules.iter().filter(|rule| rule.id != id).cloned().collect();
        self.deletes.put(&*self.files, *next_id, rest)
    }

    /// All requests, those done in the last 30 days included, in the order in which they were made.
    pub fn deletes(&self) -> Vec<DeleteInfo> {
        let (running, percent) = self.deletes.running.lock().clone();
        let info = |rule: &Arc<Rule>| DeleteInfo {
            id: rule.id,
            request: rule.request.clone(),
            state: match rule.done_ns {
                Some(at_ns) => DeleteState::Done { at_ns },
                None if running.contains(&rule.id) => DeleteState::Removing { percent },
                None => DeleteState::Waiting,
            },
            error: rule.filter.as_ref().err().filter(|_| rule.done_ns.is_none()).cloned(),
        };
        self.deletes.list.read().iter().map(info).collect()
    }

    /// Carries out requests that are due; one segment with each call. Returns whether there is something to do.
    pub(crate) fn carry_out_deletes(&self, maintenance: &mut Maintenance, now_ns: i64) -> Result<bool, Error> {
        if maintenance.deleting.is_none() && !self.begin_deletes(maintenance, now_ns)? {
            return Ok(false);
        }
        let Some(mut batch) = maintenance.deleting.take() else { return Ok(false) };
        let result = self.delete_step(maintenance, &mut batch, now_ns);
        let done = batch.segments - batch.left.len();
        let percent = (done * 100 / batch.segments.max(1)).min(99) as u8;
        self.deletes.running.lock().1 = percent;
        if !matches!(result, Ok(true)) {
            maintenance.deleting = Some(batch);
            return result.map(|_| true);
        }
        let next_id = self.deletes.next_id.lock();
        let finished = |rule: &Arc<Rule>| match batch.rules.iter().any(|one| one.id == rule.id) {
            true => Arc::new(Rule {
                id: rule.id,
                request: rule.request.clone(),
                done_ns: Some(now_ns),
                filter: rule.filter.clone(),
            }),
            false => rule.clone(),
        };
        let rules = self.deletes.list.read().iter().map(finished).collect();
        if let Err(error) = self.deletes.put(&*self.files, *next_id, rules) {
            maintenance.deleting = Some(batch);
            return Err(error);
        }
        *self.deletes.running.lock() = Default::default();
        Ok(true)
    }

    /// Begins with all requests that are due, when there are any.
    fn begin_deletes(&self, maintenance: &mut Maintenance, now_ns: i64) -> Result<bool, Error> {
        let is_due = |rule: &&Arc<Rule>| rule.request.due_ns <= now_ns;
        if !self.deletes.active().iter().any(|rule| is_due(&rule)) || maintenance.frozen.is_some() {
            // What is still in the log would come back from there.
            return Ok(false);
        }
        self.seal(maintenance)?;
        let _next_id = self.deletes.next_id.lock();
        let rules: Vec<Arc<Rule>> = self.deletes.active().iter().filter(is_due).cloned().collect();
        *self.deletes.running.lock() = (rules.iter().map(|rule| rule.id).collect(), 0);
        let left: Vec<SegmentId> = self.view().segments.iter().map(|segment| segment.id).collect();
        maintenance.deleting = Some(Batch { rules, segments: left.len(), left });
        Ok(true)
    }

    /// Rewrites the next segment that has such entries. Returns true when there is none.
    fn delete_step(&self, maintenance: &mut Maintenance, batch: &mut Batch, now_ns: i64) -> Result<bool, Error> {
        let rules = self.retention.read().clone();
        let discard = Discard { rules: &rules, now_ns, deletes: &batch.rules, skip_unreadable: true };
        while let Some(id) = batch.left.last() {
            let segment = self.view().segments.iter().find(|segment| segment.id == *id).cloned();
            if let Some(segment) = segment
                && self.has_deleted(&segment, &batch.rules)
            {
                let sources = [segment];
                if let Merge::Made(segment) = self.merge(maintenance, &sources, &discard)? {
                    self.replace(maintenance, &sources, segment)?;
                }
                batch.left.pop();
                return Ok(false);
            }
            batch.left.pop();
        }
        Ok(true)
    }

    /// Whether a segment has entries that one of the rules means; also when it is not known for damage.
    fn has_deleted(&self, segment: &Segment, rules: &[Arc<Rule>]) -> bool {
        let mut entries = LogColumns::new();
        rules.iter().filter(|rule| rule.overlaps(segment.info.min_ns, segment.info.max_ns)).any(|rule| {
            let Ok(filter) = &rule.filter else { return false };
            let Ok(streams) = segment.select(&filter.matchers) else { return true };
            let (start_ns, end_ns) = (rule.request.start_ns, rule.request.end_ns);
            let spec = ReadSpec { start_ns, end_ns: end_ns.saturating_add(1), ..ReadSpec::everything() };
            streams.into_iter().any(|stream| {
                let Ok(labels) = segment.labels(stream) else { return true };
                segment.units_of(stream).any(|unit| {
                    let info = segment.unit(unit);
                    if !rule.overlaps(info.min_ns, info.max_ns) {
                        return false;
                    }
                    if segment.read(unit, &spec, None, &mut entries).is_err() {
                        return true;
                    }
                    (0..entries.len()).any(|row| rule.means(&labels, &entries, row))
                })
            })
        })
    }
}
