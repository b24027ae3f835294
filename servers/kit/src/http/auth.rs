//! Basic authentication against bcrypt hashes.
//!
//! One bcrypt check costs tens of milliseconds by design, so answers are remembered by a hash of (user, stored hash,
//! password); an unknown user costs the same as a wrong password.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use base64::Engine;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::config::Secret;

/// Remembered answers; when full, all are forgotten.
const MAX_CACHED: usize = 100;
/// The bcrypt hash of a password nobody has.
const NOBODY: &str = "$2b$10$CwTycUXWue0Thq9StjUM0uJ8DPLKXt1FYlwYpQW2G3cAwjKoh2WZK";

#[derive(Debug)]
pub(super) struct BasicAuth {
    users: BTreeMap<String, Secret>,
    cache: Arc<Mutex<HashMap<[u8; 32], bool>>>,
    /// One check at a time: a flood of wrong passwords must not take every core.
    checks: Semaphore,
}

impl BasicAuth {
    pub(super) fn new(users: BTreeMap<String, Secret>) -> Self {
        Self { users, cache: Arc::default(), checks: Semaphore::new(1) }
    }

    pub(super) async fn allows(&self, headers: &HeaderMap) -> bool {
        let Some((user, password)) = credentials(headers) else { return false };
        let known = self.users.get(&user);
        let hash = known.map_or(NOBODY, Secret::reveal).to_owned();
        let mut digest = Sha256::new();
        for part in [&user, &hash, &password] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part.as_bytes());
        }
        let key: [u8; 32] = digest.finalize().into();
        let cached = || self.cache.lock().get(&key).copied();
        if let Some(answer) = cached() {
            return answer;
        }
        // The semaphore is never closed; at worst the check runs beside another one.
        let _turn = self.checks.acquire().await;
        if let Some(answer) = cached() {
            return answer;
        }
        let check = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false));
        let answer = check.await.unwrap_or(false) && known.is_some();
        let mut cache = self.cache.lock();
        if cache.len() >= MAX_CACHED {
            cache.clear();
        }
        cache.insert(key, answer);
        answer
    }
}

fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
