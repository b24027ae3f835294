//! A data directory of Prometheus with damage in it: blocks, chunks, tombstones and log are read as far as they go.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use disk::{Files, MemFiles};
use foursight_fuzz::{Change, damaged};
use libfuzzer_sys::fuzz_target;
use tsdb::{Db, Options, import_prometheus};

fn copied() -> &'static (MemFiles, Vec<PathBuf>) {
    static FILES: OnceLock<(MemFiles, Vec<PathBuf>)> = OnceLock::new();
    FILES.get_or_init(|| {
        let files = MemFiles::new();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tsdb/tests/fixtures/prometheus-2.42");
        let mut paths = Vec::new();
        let mut waiting = vec![PathBuf::new()];
        while let Some(below) = waiting.pop() {
            files.create_dir_all(&Path::new("prometheus").join(&below)).expect("memory");
            for entry in std::fs::read_dir(from.join(&below)).expect("the data directory of the tests") {
                let entry = entry.expect("an entry");
                let name = below.join(entry.file_name());
                if entry.path().is_dir() {
                    waiting.push(name);
                } else if below != Path::new("") {
                    let to = Path::new("prometheus").join(&name);
                    let bytes = std::fs::read(entry.path()).expect("a file");
                    files.create(&to).and_then(|mut file| file.append(&bytes)).expect("memory");
                    paths.push(to);
                }
            }
        }
        paths.sort();
        (files, paths)
    })
}

fuzz_target!(|changes: Vec<Change>| {
    let (image, paths) = copied();
    let files = damaged(image, paths, changes);
    let db = Db::open_with(Arc::new(files), "data", Options::default()).expect("a new store");
    let _ = import_prometheus(&db, Path::new("prometheus"), 0, &mut |_| ());
});
