#![doc = include_str!("../../docs/format/data.md")]
//!
//! [`Doc`] is a value in one file that is replaced as a whole, [`Journal`] a list in a file that grows at its end. Both keep
//! their value in memory: reading costs no system call.

pub(crate) mod doc;
mod journal;

use std::path::PathBuf;

pub(crate) use doc::Doc;
pub(crate) use journal::Journal;

/// The data folder could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file could not be read or written.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is damaged, or made by a later version.
    #[error("{}:{line}: {what}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Line from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
}

impl StoreError {
    pub(crate) fn io(file: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { file: file.into(), source }
    }
}

impl From<StoreError> for crate::error::ApiError {
    fn from(error: StoreError) -> Self {
        tracing::error!(component = "store", %error, "cannot write");
        // The path is for the log, not for the client.
        let what = match error {
            StoreError::Io { source, .. } => source.to_string(),
            StoreError::Damaged { what, .. } => what,
        };
        Self::internal(format!("the change could not be stored: {what}"))
    }
}

/// First eight bytes of the SHA-256 as hexadecimal digits: finds damage, is no protection against forgery.
pub(crate) fn checksum(bytes: &[u8]) -> String {
    hex(&sha256(bytes)[..8])
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes a folder that only the server's user can look into.
pub(crate) fn private_dir(dir: &std::path::Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(dir).map_err(|e| StoreError::io(dir, e))?;
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(dir, mode).map_err(|e| StoreError::io(dir, e))
}

/// Runs file work off the async threads. A panic in it becomes an error.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::io("data", std::io::Error::other(error.to_string()))),
    }
}
