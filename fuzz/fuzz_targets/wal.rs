//! Any bytes as a segment of a write-ahead log.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use disk::{Files, MemFiles, wal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let files = Arc::new(MemFiles::new());
    files.create_dir_all(Path::new("wal")).expect("memory");
    files.create(Path::new("wal/00000001.wal")).and_then(|mut file| file.append(bytes)).expect("memory");
    for segment in wal::list_segments(&*files, Path::new("wal")).expect("memory") {
        let mut total = 0;
        let report = wal::read_segment(&*files, &segment, &mut |record| total += record.payload.len()).expect("memory");
        assert!(total <= bytes.len());
        assert_eq!(report.bytes, bytes.len() as u64);
    }
});
