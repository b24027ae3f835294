//! Passwords: hashing and checking, off the async threads and a few at a time.
//!
//! Bcrypt reads 72 bytes at most, so it is given the SHA-256 of the password, which is as good for any length. An answer is
//! remembered for as long as the process runs, since clients with basic authentication send the password each time.

use std::collections::HashMap;

use base64::Engine;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::error::ApiError;

/// Work factor: some tens of milliseconds.
const COST: u32 = if cfg!(test) { 4 } else { 10 };
/// The hash of a password nobody has: an unknown name takes as long as a wrong password.
const NOBODY: &str = "$2b$10$CwTycUXWue0Thq9StjUM0uJ8DPLKXt1FYlwYpQW2G3cAwjKoh2WZK";
/// Right answers that are remembered; when full, all are forgotten.
const MAX_REMEMBERED: usize = 100;

#[derive(Debug)]
pub(super) struct Passwords {
    /// A flood of logins must not take every core.
    turns: Semaphore,
    /// Digests of (hash, password) that fitted, under a key of this process.
    remembered: Mutex<HashMap<[u8; 32], ()>>,
    key: [u8; 32],
}

impl Passwords {
    pub(super) fn new() -> Self {
        Self { turns: Semaphore::new(2), remembered: Mutex::default(), key: super::token::random_bytes() }
    }

    pub(super) async fn hash(&self, password: &str) -> Result<String, ApiError> {
        let input = prepared(password);
        let _turn = self.turns.acquire().await;
        let hashed = tokio::task::spawn_blocking(move || bcrypt::hash(input, COST)).await;
        hashed.ok().and_then(Result::ok).ok_or_else(|| ApiError::internal("the password could not be hashed"))
    }

    /// Whether a password belongs to a hash. Without a hash the answer is no, and takes as long.
    pub(super) async fn verify(&self, hash: Option<&str>, password: &str) -> bool {
        let known = hash.is_some_and(|hash| !hash.is_empty());
        let hash = hash.filter(|hash| !hash.is_empty()).unwrap_or(NOBODY).to_owned();
        let mut digest = Sha256::new();
        digest.update(self.key);
        digest.update((hash.len() as u64).to_le_bytes());
        digest.update(&hash);
        digest.update(password);
        let key: [u8; 32] = digest.finalize().into();
        if self.remembered.lock().contains_key(&key) {
            return known;
        }
        let input = prepared(password);
        let _turn = self.turns.acquire().await;
        let check = tokio::task::spawn_blocking(move || bcrypt::verify(input, &hash).unwrap_or(false));
        let fits = check.await.unwrap_or(false) && known;
        if fits {
            let mut remembered = self.remembered.lock();
            if remembered.len() >= MAX_REMEMBERED {
                remembered.clear();
            }
            remembered.insert(key, ());
        }
        fits
    }
}

fn prepared(password: &str) -> String {
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(Sha256::digest(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn passwords_fit_their_own_hash_only() {
        let passwords = Passwords::new();
        let long = "x".repeat(100);
        for password in ["secret", "", "päss wörd", &long] {
            let hash = passwords.hash(password).await.unwrap();
            for _ in 0..2 {
                assert!(passwords.verify(Some(&hash), password).await);
                assert!(!passwords.verify(Some(&hash), &format!("{password}y")).await);
            }
        }
        assert!(!passwords.verify(None, "secret").await);
        assert!(!passwords.verify(Some(""), "").await);
    }
}
