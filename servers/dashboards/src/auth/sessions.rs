//! Sessions of browsers.
//!
//! A session is known by a random cookie, of which only the hash is kept. While it is used the cookie is exchanged for a new
//! one every so often; the one before stays valid until the new one has been seen, and for a minute after that, since a
//! browser has several requests under way. Sessions end when unused for too long, or after a maximum time.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::token;
use crate::error::ApiError;
use crate::store::{Doc, StoreError};

/// How long the cookie before the last is still taken once the last one has been seen.
const GRACE_MS: i64 = 60_000;
/// How soon a cookie that was issued but never came back is replaced again.
const UNSEEN_MS: i64 = 30_000;
/// Sessions of one user; beyond that the one unused for longest ends.
const MAX_PER_USER: usize = 100;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) user_id: u64,
    hash: String,
    #[serde(default)]
    previous: String,
    /// The current cookie has come back.
    #[serde(default)]
    seen: bool,
    /// When `seen` became true.
    #[serde(default)]
    seen_ms: i64,
    pub(crate) created_ms: i64,
    /// When the cookie was last exchanged: the last use, to within the rotation interval.
    pub(crate) rotated_ms: i64,
    #[serde(default)]
    pub(crate) address: String,
    #[serde(default)]
    pub(crate) user_agent: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SessionFile {
    next_id: u64,
    sessions: Vec<Session>,
}

/// A session that a cookie belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: u64,
    pub(crate) user_id: u64,
    pub(crate) new_cookie: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Sessions {
    doc: Doc<SessionFile>,
    rotation_ms: i64,
    max_inactive_ms: i64,
    max_lifetime_ms: i64,
}

impl Sessions {
    pub(crate) fn open(
        dir: &Path,
        rotation_ms: i64,
        max_inactive_ms: i64,
        max_lifetime_ms: i64,
    ) -> Result<Self, StoreError> {
        // Whoever was signed in signs in again if this file is lost.
        Ok(Self { doc: Doc::open_or_begin(dir, "sessions")?, rotation_ms, max_inactive_ms, max_lifetime_ms })
    }

    /// How long a browser may keep the cookie.
    pub(crate) fn cookie_age_s(&self) -> i64 {
        self.max_lifetime_ms / 1000
    }

    fn is_over(&self, session: &Session, now_ms: i64) -> bool {
        now_ms - session.created_ms >= self.max_lifetime_ms || now_ms - session.rotated_ms >= self.max_inactive_ms
    }

    /// Starts a session; returns the cookie's value.
    pub(crate) async fn start(
        &self,
        user_id: u64,
        address: String,
        user_agent: &str,
        now_ms: i64,
    ) -> Result<String, ApiError> {
        let cookie = token::random_cookie();
        let hash = token::hash(&cookie);
        let user_agent = user_agent.chars().take(255).collect();
        self.doc
            .change(|file| {
                file.sessions.retain(|session| !self.is_over(session, now_ms));
                let mut own: Vec<_> = file.sessions.iter().filter(|s| s.user_id == user_id).collect();
                if own.len() >= MAX_PER_USER {
                    own.sort_by_key(|session| session.rotated_ms);
                    let oldest = own[0].id;
                    file.sessions.retain(|session| session.id != oldest);
                }
                file.next_id += 1;
                file.sessions.push(Session {
                    id: file.next_id,
                    user_id,
                    hash,
                    created_ms: now_ms,
                    rotated_ms: now_ms,
                    address,
                    user_agent,
                    ..Session::default()
                });
                Ok(())
            })
            .await?;
        Ok(cookie)
    }

    /// The session of a cookie, if there is one and it has not ended; exchanges the cookie when it is time.
    pub(crate) async fn find(&self, cookie: &str, now_ms: i64) -> Result<Option<Found>, ApiError> {
        let hash = token::hash(cookie);
        let file = self.doc.get();
        let Some(session) =
            file.sessions.iter().find(|s| s.hash == hash || (!s.previous.is_empty() && s.previous == hash))
        else {
            return Ok(None);
        };
        if self.is_over(session, now_ms) {
            return Ok(None);
        }
        let age_ms = now_ms - session.rotated_ms;
        let (id, user_id) = (session.id, session.user_id);
        let found = |new_cookie| Ok(Some(Found { id, user_id, new_cookie }));
        let rotate = if session.hash == hash {
            if !session.seen && !session.previous.is_empty() {
                self.mark_seen(id, &hash, now_ms).await?;
            }
            age_ms >= self.rotation_ms
        } else if session.seen {
            // Somebody uses an old cookie although the new one has arrived.
            return if now_ms - session.seen_ms < GRACE_MS { found(None) } else { Ok(None) };
        } else {
            // The new cookie got lost on its way.
            age_ms >= UNSEEN_MS
        };
        if !rotate {
            return found(None);
        }
        found(self.rotate(id, hash, now_ms).await?)
    }

    async fn mark_seen(&self, id: u64, hash: &str, now_ms: i64) -> Result<(), ApiError> {
        self.doc
            .change(|file| {
                if let Some(session) = file.sessions.iter_mut().find(|s| s.id == id && s.hash == hash && !s.seen) {
                    session.seen = true;
                    session.seen_ms = now_ms;
                }
                Ok(())
            })
            .await
    }

    async fn rotate(&self, id: u64, shown: String, now_ms: i64) -> Result<Option<String>, ApiError> {
        let cookie = token::random_cookie();
        let hash = token::hash(&cookie);
        self.doc
            .change(|file| {
                let session = file.sessions.iter_mut().find(|s| s.id == id && (s.hash == shown || s.previous == shown));
                let Some(session) = session else { return Ok(None) };
                // Of several requests under way only the first exchanges the cookie.
                if now_ms - session.rotated_ms < UNSEEN_MS {
                    return Ok(None);
                }
                session.previous = shown;
                session.hash = hash;
                session.seen = false;
                session.rotated_ms = now_ms;
                Ok(Some(cookie))
            })
            .await
    }

    /// Sessions of a user that have not ended.
    pub(crate) fn of_user(&self, user_id: u64, now_ms: i64) -> Vec<Session> {
        let file = self.doc.get();
        file.sessions.iter().filter(|s| s.user_id == user_id && !self.is_over(s, now_ms)).cloned().collect()
    }

    /// How many users have a session that was used within a time.
    pub(crate) fn active_users(&self, within_ms: i64, now_ms: i64) -> usize {
        let file = self.doc.get();
        let active = file.sessions.iter().filter(|s| !self.is_over(s, now_ms) && now_ms - s.rotated_ms < within_ms);
        active.map(|s| s.user_id).collect::<std::collections::BTreeSet<_>>().len()
    }

    /// Ends sessions.
    pub(crate) async fn end(&self, which: impl Fn(&Session) -> bool) -> Result<usize, ApiError> {
        if !self.doc.get().sessions.iter().any(&which) {
            return Ok(0);
        }
        self.doc
            .change(|file| {
                let before = file.sessions.len();
                file.sessions.retain(|session| !which(session));
                Ok(before - file.sessions.len())
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn open(dir: &Path) -> Sessions {
        Sessions::open(dir, 10 * MINUTE, 60 * MINUTE, 300 * MINUTE).unwrap()
    }

    #[tokio::test]
    async fn cookies_are_exchanged_and_old_ones_die() {
        let dir = tempfile::tempdir().unwrap();
        let sessions = open(dir.path());
        let first = sessions.start(7, "::1".into(), "curl", 0).await.unwrap();
        let found = |new_cookie| Some(Found { id: 1, user_id: 7, new_cookie });
        assert_eq!(sessions.find(&first, 9 * MINUTE).await.unwrap(), found(None));
        assert_eq!(sessions.find("other", 0).await.unwrap(), None);

        let second = sessions.find(&first, 10 * MINUTE).await.unwrap().unwrap().new_cookie.unwrap();
        // Requests that were under way with the first one go on, and do not exchange it again.
        assert_eq!(sessions.find(&first, 10 * MINUTE + 1).await.unwrap(), found(None));
        // It survives a restart, and being seen.
        let sessions = open(dir.path());
        assert_eq!(sessions.find(&second, 11 * MINUTE).await.unwrap(), found(None));
        assert_eq!(sessions.find(&first, 11 * MINUTE + 1).await.unwrap(), found(None));
        assert_eq!(sessions.find(&first, 12 * MINUTE + 1).await.unwrap(), None, "a stolen old cookie is worth nothing");
        assert_eq!(sessions.find(&second, 12 * MINUTE + 1).await.unwrap(), found(None));
        let text = std::fs::read_to_string(dir.path().join("sessions.json")).unwrap();
        assert!(!text.contains(&second) && !text.contains(&first));
    }

    #[tokio::test]
    async fn a_cookie_that_got_lost_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let sessions = open(dir.path());
        let first = sessions.start(7, String::new(), "", 0).await.unwrap();
        let lost = sessions.find(&first, 10 * MINUTE).await.unwrap().unwrap().new_cookie.unwrap();
        let again = sessions.find(&first, 15 * MINUTE).await.unwrap().unwrap().new_cookie.unwrap();
        assert_ne!(lost, again);
        assert_eq!(sessions.find(&lost, 15 * MINUTE).await.unwrap(), None);
        assert!(sessions.find(&again, 15 * MINUTE).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn sessions_end() {
        let dir = tempfile::tempdir().unwrap();
        let sessions = open(dir.path());
        let cookie = sessions.start(7, String::new(), "", 0).await.unwrap();
        assert_eq!(sessions.find(&cookie, 60 * MINUTE).await.unwrap(), None, "unused for too long");
        let mut cookie = sessions.start(7, String::new(), "", 0).await.unwrap();
        for minute in (0..300).step_by(20) {
            let found = sessions.find(&cookie, minute * MINUTE).await.unwrap().unwrap();
            cookie = found.new_cookie.unwrap_or(cookie);
        }
        assert_eq!(sessions.find(&cookie, 300 * MINUTE).await.unwrap(), None, "the longest time is over");
        let cookie = sessions.start(8, String::new(), "", 0).await.unwrap();
        assert_eq!(sessions.end(|session| session.user_id == 8).await.unwrap(), 1);
        assert_eq!(sessions.find(&cookie, 1).await.unwrap(), None);
        for at in 0..150 {
            sessions.start(9, String::new(), "", at).await.unwrap();
        }
        assert_eq!(sessions.of_user(9, 150).len(), MAX_PER_USER);
    }
}
