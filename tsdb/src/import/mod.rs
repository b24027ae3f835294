//! Reading a Prometheus data directory: blocks, write-ahead log (checkpoint included) and the log of out-of-order samples.
//!
//! Everything becomes blocks of this store: [`index`] and [`chunks`] read a block's files, [`wal`] the logs. The formats are those of
//! `prometheus/prometheus: tsdb/docs/format`. What cannot be read is skipped and named in [`Imported::skipped`]; bytes are never trusted.

mod bits;
mod chunks;
mod index;
mod wal;

use std::path::{Path, PathBuf};

use disk::{Files, IoContext};
use serde::Deserialize;

use self::chunks::ChunkFiles;
use self::index::PrometheusIndex;
use crate::codec::bytes::Damaged;
use crate::db::{Db, ImportBlocks};
use crate::error::Error;
use crate::samples::Samples;

/// Notes of what was skipped that are kept.
const MAX_SKIPPED: usize = 1_000;

/// What an import came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Blocks of Prometheus read.
    pub blocks: u64,
    /// Segments of logs read.
    pub segments: u64,
    /// Samples read, those found in two places twice.
    pub samples: u64,
    /// What could not be read, each with its file; at most the first thousand.
    pub skipped: Vec<String>,
}

impl Imported {
    fn skip(&mut self, path: &Path, what: &str) {
        if self.skipped.len() < MAX_SKIPPED {
            self.skipped.push(format!("{}: {what}", path.display()));
        }
    }
}

/// Copies all samples of a Prometheus data directory, which nobody writes to meanwhile, into a store. `progress` is called after every block
/// and segment. Calling it twice stores nothing twice.
///
/// # Errors
/// As [`Db::backfill`]; when the directory cannot be listed. Damage is no error, see [`Imported::skipped`].
pub fn import_prometheus(
    db: &Db,
    dir: &Path,
    now_ms: i64,
    progress: &mut dyn FnMut(&Imported),
) -> Result<Imported, Error> {
    let files = db.files();
    let mut imported = Imported::default();
    for entry in files.read_dir(dir).at("list", dir)? {
        let path = dir.join(&entry.name);
        if entry.is_dir && files.exists(&path.join("meta.json")) {
            import_block(db, files, &path, now_ms, &mut imported)?;
            imported.blocks += 1;
            progress(&imported);
        }
    }
    wal::import(db, dir, now_ms, &mut imported, progress)?;
    Ok(imported)
}

/// Of a block's meta file, what matters here.
#[derive(Deserialize)]
struct Meta {
    version: u32,
}

fn import_block(db: &Db, files: &dyn Files, dir: &Path, now_ms: i64, imported: &mut Imported) -> Result<(), Error> {
    let meta_path = dir.join("meta.json");
    let text = files.map(&meta_path).at("open", &meta_path)?;
    match serde_json::from_slice::<Meta>(&text) {
        Ok(Meta { version: 1 }) => {}
        Ok(Meta { version }) => {
            imported.skip(&meta_path, &format!("version {version} is not known"));
            return Ok(());
        }
        Err(error) => {
            imported.skip(&meta_path, &error.to_string());
            return Ok(());
        }
    }
    let index_path = dir.join("index");
    let bytes = match files.map(&index_path) {
        Ok(bytes) => bytes,
        Err(error) => {
            imported.skip(&index_path, &error.to_string());
            return Ok(());
        }
    };
    let index = match PrometheusIndex::open(&bytes) {
        Ok(index) => index,
        Err(Damaged(what)) => {
            imported.skip(&index_path, what);
            return Ok(());
        }
    };
    let chunk_files = ChunkFiles::open(files, &dir.join("chunks"))?;
    let tombstones_path = dir.join("tombstones");
    let tombstones = match files.exists(&tombstones_path) {
        true => {
            let bytes = files.map(&tombstones_path).at("open", &tombstones_path)?;
            index::read_tombstones(&bytes).unwrap_or_else(|Damaged(what)| {
                imported.skip(&tombstones_path, what);
                Default::default()
            })
        }
        false => Default::default(),
    };
    let mut blocks = ImportBlocks::new(db, now_ms);
    let mut samples = Samples::default();
    for number in 0..index.series_count() {
        let series = match index.series(number) {
            Ok(series) => series,
            Err(Damaged(what)) => {
                imported.skip(&index_path, &format!("series {number}: {what}"));
                continue;
            }
        };
        samples.clear();
        for reference in &series.chunks {
            if let Err((path, what)) = chunk_files.read(*reference, &mut samples) {
                imported.skip(&path, &format!("chunk {reference:#x} of {}: {what}", series.labels));
            }
        }
        samples.sort();
        for (from_ms, to_ms) in tombstones.get(&series.id).into_iter().flatten() {
            samples.delete(*from_ms, *to_ms);
        }
        imported.samples += samples.len() as u64;
        match blocks.push(&series.labels, &samples) {
            Err(error @ (Error::InvalidLabels { .. } | Error::Limit { .. })) => {
                imported.skip(&index_path, &error.to_string());
            }
            result => result?,
        }
    }
    blocks.finish()?;
    Ok(())
}

/// The numbered files of a directory (chunks, segments), ascending.
fn numbered_files(files: &dyn Files, dir: &Path) -> Result<Vec<PathBuf>, Error> {
    if !files.exists(dir) {
        return Ok(Vec::new());
    }
    let mut found: Vec<(u64, PathBuf)> = Vec::new();
    for entry in files.read_dir(dir).at("list", dir)? {
        if let (false, Ok(number)) = (entry.is_dir, entry.name.parse()) {
            found.push((number, dir.join(&entry.name)));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

#[cfg(test)]
mod tests;
