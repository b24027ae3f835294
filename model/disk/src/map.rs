//! Read-only bytes of a sealed file: a memory map, or heap memory in tests. The only `unsafe` of the crate.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

/// The bytes of a whole file; clones share them.
#[derive(Clone)]
pub struct Mapped(Bytes);

#[derive(Clone)]
enum Bytes {
    Map(Arc<memmap2::Mmap>),
    Heap(Arc<[u8]>),
}

impl Mapped {
    /// Maps an open file.
    #[allow(unsafe_code)]
    pub(crate) fn of_file(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(Self::of_bytes(Arc::from([])));
        }
        // SAFETY: the caller of `Files::map` promises that the file is sealed: this process writes to it and truncates it
        // no more, and the directory lock keeps other processes of ours away. Readers check every length against the map.
        let map = unsafe { memmap2::Mmap::map(file) }?;
        Ok(Self(Bytes::Map(Arc::new(map))))
    }

    /// Bytes that are in memory already.
    pub fn of_bytes(bytes: Arc<[u8]>) -> Self {
        Self(Bytes::Heap(bytes))
    }

    /// Tells the system that the whole map will be read soon, or will not be. A hint: its failure is no error.
    pub fn advise_sequential(&self) {
        if let Bytes::Map(map) = &self.0 {
            let _ = map.advise(memmap2::Advice::Sequential);
        }
    }
}

impl Deref for Mapped {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Map(map) => map,
            Bytes::Heap(bytes) => bytes,
        }
    }
}

impl std::fmt::Debug for Mapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mapped({} bytes)", self.len())
    }
}
