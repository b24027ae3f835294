//! Settings of a store, with their defaults and limits.

use disk::SyncPolicy;
use disk::retention::Retention;

use crate::db::RetentionClass;
use crate::head::series::CHUNK_RANGE_MS;

/// Range of the smallest blocks in ms; larger ones are this times a power of 3.
pub const BLOCK_RANGE_MS: i64 = CHUNK_RANGE_MS;

/// Settings of a [`crate::Db`].
#[derive(Clone, Debug)]
pub struct Options {
    /// When a batch counts as written. Default: when it is on the device.
    pub wal_sync: SyncPolicy,
    /// Which blocks go. Default: those older than 15 days.
    pub retention: Retention,
    /// Series with an age of their own; [`Retention::max_age_ms`] holds for the rest. Default: none.
    pub retention_classes: Vec<RetentionClass>,
    /// How far behind the newest sample of its series a sample may be, in ms; 0: not at all. Default: 0.
    pub out_of_order_window_ms: i64,
    /// Most series in memory. Default: no limit but that of the format, 4 billion.
    pub max_series: u64,
    /// Exemplars kept, 0: none. Default: 100,000.
    pub max_exemplars: usize,
    /// Longest label name in bytes. Default: 1 KiB.
    pub max_label_name_len: usize,
    /// Longest label value in bytes. Default: 64 KiB.
    pub max_label_value_len: usize,
    /// Most labels of a series. Default: 256.
    pub max_labels: usize,
    /// Bytes of log after which the head is cut as soon as two hours are complete; below it waits for six, which are then written
    /// once instead of twice. Memory follows these bytes closely. Default: 512 MiB.
    pub head_budget_bytes: u64,
    /// Bytes after which a new segment of the log begins. Default: 128 MiB.
    pub wal_segment_bytes: u64,
    /// Bytes of the disk that stay free: below them writes are refused. Default: 64 MiB.
    pub disk_reserve_bytes: u64,
    /// Bytes of unpacked pages of blocks that are kept in memory. Default: 64 MiB.
    pub page_cache_bytes: usize,
    /// Whether closing writes down what is in memory, so that the next opening need not read the log. Default: yes.
    pub save_head: bool,
    /// Threads that read the log on opening. Default: 2.
    pub replay_threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            wal_sync: SyncPolicy::Always,
            retention: Retention { max_age_ms: Some(15 * 24 * 60 * 60 * 1000), ..Retention::default() },
            retention_classes: Vec::new(),
            out_of_order_window_ms: 0,
            max_series: u64::from(u32::MAX),
            max_exemplars: 100_000,
            max_label_name_len: 1 << 10,
            max_label_value_len: 64 << 10,
            max_labels: 256,
            head_budget_bytes: 512 << 20,
            wal_segment_bytes: 128 << 20,
            disk_reserve_bytes: 64 << 20,
            page_cache_bytes: 64 << 20,
            save_head: true,
            replay_threads: 2,
        }
    }
}
