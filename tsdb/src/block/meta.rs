//! `meta.json` of a block: what it is, for people and for opening it.

use serde::{Deserialize, Serialize};

use crate::ulid::Ulid;

/// Name of the file.
pub(crate) const META_FILE: &str = "meta.json";

/// Where a block comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Origin {
    /// Cut from the head: all in-order samples before its end are in blocks.
    Head,
    /// Late samples of the head, for a time that was cut before.
    Late,
    /// Merged from other blocks.
    Compaction,
    /// Written from outside: backfill or import.
    Import,
}

/// What a block says about itself. The keys that Prometheus has too are named as there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlockMeta {
    /// Version of the layout of the directory, 1.
    pub version: u32,
    /// Name of the block and its directory.
    pub ulid: Ulid,
    /// Start of its time range in ms, inclusive.
    pub min_time: i64,
    /// End of its time range in ms, exclusive.
    pub max_time: i64,
    /// Where it comes from.
    pub origin: Origin,
    /// Before this all in-order samples of the head are in blocks; absent where the block says nothing about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_cut: Option<i64>,
    /// Counts.
    pub stats: BlockStats,
    /// How it was made of others.
    pub compaction: CompactionMeta,
    /// CRC-32 of this text written without spaces and with 0 here.
    pub(crate) checksum: u32,
}

impl BlockMeta {
    /// The text of the file.
    pub(crate) fn to_text(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut meta = self.clone();
        meta.checksum = meta.sum()?;
        serde_json::to_vec_pretty(&meta)
    }

    /// Reads a file back; the message says what is wrong with it.
    pub(crate) fn from_text(text: &[u8]) -> Result<Self, String> {
        let meta: Self = serde_json::from_slice(text).map_err(|e| e.to_string())?;
        if meta.version != 1 {
            return Err(format!("version {}, this reader knows 1", meta.version));
        }
        match meta.sum() {
            Ok(sum) if sum == meta.checksum && meta.min_time <= meta.max_time => Ok(meta),
            Ok(sum) => Err(format!("checksum {} instead of {sum}: the file was changed", meta.checksum)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn sum(&self) -> Result<u32, serde_json::Error> {
        let mut meta = self.clone();
        meta.checksum = 0;
        Ok(crc32fast::hash(&serde_json::to_vec(&meta)?))
    }
}

/// Counts of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlockStats {
    /// Samples.
    pub num_samples: u64,
    /// Series.
    pub num_series: u64,
    /// Chunks.
    pub num_chunks: u64,
}

/// Ancestry of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompactionMeta {
    /// 1 as cut, one more than its highest parent's when merged.
    pub level: u32,
    /// Blocks as cut that are in it, by name.
    pub sources: Vec<Ulid>,
    /// Blocks it was merged from: they are removed, or are about to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<Ulid>,
}
