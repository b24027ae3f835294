//! Deleting samples, and rewriting blocks without what was deleted.

use std::sync::atomic::Ordering;

use model::Matcher;

use crate::block::BlockMeta;
use crate::db::Db;
use crate::error::Error;
use crate::tombstones::Deletion;

impl Db {
    /// Deletes the samples in `[start_ms, end_ms]` of the series that satisfy all matchers of at least one selector. When this returns they are
    /// gone for good and for every reader; what is appended afterwards is not touched, wherever its time lies. Disk space comes
    /// back with [`Db::clean_tombstones`], or when blocks are merged. Waits for a cut that is under way.
    ///
    /// Cost: in memory, the chunks that hold such samples; on disk, a few bytes a block.
    ///
    /// # Errors
    /// As [`Db::check_writable`]; of the device, when a part may be deleted already: call it again. A damaged index of a block: nothing
    /// can be deleted of it.
    pub fn delete(&self, selectors: &[Vec<Matcher>], start_ms: i64, end_ms: i64) -> Result<(), Error> {
        self.check_writable()?;
        if selectors.is_empty() || start_ms > end_ms {
            return Ok(());
        }
        let deletion =
            |matchers: &Vec<Matcher>| Deletion { matchers: matchers.clone(), from_ms: start_ms, to_ms: end_ms };
        let deletions: Vec<Deletion> = selectors.iter().map(deletion).collect();
        // No cut is under way: what is in memory is not on its way into a block.
        let _maintenance = self.maintenance.lock();
        let _deleting = self.deleting.lock();
        for block in self.view().blocks.iter().filter(|block| block.overlaps(start_ms, end_ms)) {
            block.delete(&*self.files, &deletions)?;
        }
        let (deleted, logged) = self.head.delete(&deletions, &self.log);
        self.log.commit(logged)?;
        deleted.map_err(|damage| Error::Corrupt { path: "head".into(), offset: 0, what: damage.0.to_owned() })
    }

    /// Rewrites the blocks of which something was deleted, or removes them where nothing is left; returns what the new ones say about
    /// themselves. Takes as long as [`Db::compact`] and waits for one that is under way.
    ///
    /// # Errors
    /// As [`Db::compact`]; blocks that were rewritten before stay so.
    pub fn clean_tombstones(&self, now_ms: i64) -> Result<Vec<BlockMeta>, Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        let mut state = self.compaction.lock();
        let mut written = Vec::new();
        let blocks = self.view().blocks.clone();
        for block in blocks.into_iter().filter(|block| block.has_tombstones()) {
            written.extend(self.replace(now_ms, &[block], None, &mut state)?);
        }
        Ok(written)
    }
}
