//! Work on series in pieces, by several threads.
//!
//! The series are cut into pieces of one size, whatever the number of threads; threads take pieces as they come, results
//! are taken in the order of the pieces. So the outcome, rounding included, does not depend on the threads.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex};

use super::work::Work;
use super::{Done, Exec};

/// Series in a piece.
pub(super) const CHUNK: usize = 256;

struct Turn<M> {
    /// Piece whose result is taken next; past all pieces once something failed.
    next: usize,
    failed: Option<crate::error::QueryError>,
    merge: M,
}

impl Exec<'_> {
    /// Runs `each` over the pieces of `len` series and `merge` over its results in order.
    pub(super) fn for_chunks<T: Send>(
        &self,
        len: usize,
        each: impl Fn(Range<usize>, &mut Work) -> Done<T> + Sync,
        mut merge: impl FnMut(T) -> Done<()> + Send,
    ) -> Done<()> {
        let chunks = len.div_ceil(CHUNK);
        let range = |chunk: usize| chunk * CHUNK..((chunk + 1) * CHUNK).min(len);
        let threads = self.context.threads.min(chunks);
        if threads <= 1 {
            let mut work = Work::default();
            let done = (0..chunks).try_for_each(|chunk| merge(each(range(chunk), &mut work)?));
            self.finish_work(work);
            return done;
        }
        let taken = AtomicUsize::new(0);
        let turn = Mutex::new(Turn { next: 0, failed: None, merge });
        let moved = Condvar::new();
        let run = || {
            let mut work = Work::default();
            loop {
                let chunk = taken.fetch_add(1, Ordering::Relaxed);
                if chunk >= chunks {
                    break;
                }
                let done = each(range(chunk), &mut work);
                let mut turn = turn.lock();
                while turn.next < chunk {
                    moved.wait(&mut turn);
                }
                if turn.next == chunk {
                    let merged = done.and_then(|part| (turn.merge)(part));
                    turn.next = chunk + 1;
                    if let Err(error) = merged {
                        turn.failed = Some(error);
                        turn.next = usize::MAX;
                        taken.store(chunks, Ordering::Relaxed);
                    }
                    moved.notify_all();
                }
            }
            self.finish_work(work);
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(run);
            }
            run();
        });
        turn.into_inner().failed.map_or(Ok(()), Err)
    }

    /// Takes over what a thread collected beside its results.
    fn finish_work(&self, work: Work) {
        if let Some(nested) = work.nested {
            self.finish_work(*nested);
        }
        if !work.annotations.is_empty() {
            self.annotate(|a| a.merge(work.annotations));
        }
    }
}
