//! Settings of a store.

use disk::SyncPolicy;
use disk::retention::Retention;
use disk::space::Brake;

use crate::deletes::DeleteReader;
use crate::limits::Limits;
use crate::retention::StreamRetention;

/// How a store behaves. `Default` is right for most.
#[derive(Clone, Debug)]
pub struct Options {
    /// When a push counts as written.
    pub wal_sync: SyncPolicy,
    /// Bytes of lines in memory at which they are written into a segment.
    pub segment_bytes: u64,
    /// Age of the oldest push in memory at which it is written into a segment, in ns.
    pub segment_age_ns: i64,
    /// Bytes of lines in memory above which pushes are refused: what cannot be written out piles up only so far.
    pub head_bytes: u64,
    /// Memory for what is needed to read lines of segments, in bytes; that of segments not used for long is given back.
    pub cache_bytes: usize,
    /// Which segments go when they are too old or take too much space.
    pub retention: Retention,
    /// Other ages for entries of certain streams. [`crate::Db::set_retention`] changes both later.
    pub stream_retention: Vec<StreamRetention>,
    /// Reads delete requests, those made earlier included.
    pub delete_reader: DeleteReader,
    /// Refuses pushes while the disk is nearly full.
    pub brake: Brake,
    /// What a push may hold. [`crate::Db::set_limits`] changes it later.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            wal_sync: SyncPolicy::Always,
            segment_bytes: 48 << 20,
            segment_age_ns: 3_600 * 1_000_000_000,
            head_bytes: 512 << 20,
            cache_bytes: 128 << 20,
            retention: Retention::default(),
            stream_retention: Vec::new(),
            delete_reader: DeleteReader::default(),
            brake: Brake::default(),
            limits: Limits::default(),
        }
    }
}
