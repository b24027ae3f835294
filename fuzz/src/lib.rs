//! What the targets for files on a disk share.

use std::path::{Path, PathBuf};

use disk::{MemFiles, PowerLoss};

/// A change: which file, where (wrapped at its end), the byte that stands there then.
pub type Change = (u8, u32, u8);

/// Files of `image` below a folder of this name.
pub fn files_below(image: &MemFiles, name: &str) -> Vec<PathBuf> {
    let below = |path: &Path| path.components().any(|part| part.as_os_str() == name);
    let found: Vec<PathBuf> = image.paths().into_iter().filter(|path| below(path)).collect();
    assert!(!found.is_empty(), "no file below {name}");
    found
}

/// A copy of `image` with changes in some of its files.
pub fn damaged(image: &MemFiles, paths: &[PathBuf], changes: Vec<Change>) -> MemFiles {
    let files = image.power_loss(PowerLoss::Nothing);
    for (file, at, byte) in changes {
        let change = |bytes: &mut Vec<u8>| {
            let len = bytes.len().max(1);
            if let Some(old) = bytes.get_mut(at as usize % len) {
                *old = byte;
            }
        };
        files.tamper(&paths[usize::from(file) % paths.len()], change).expect("a file");
    }
    files
}
