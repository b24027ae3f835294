//! Silences: matchers that keep alerts quiet for a time.
//!
//! A silence is pending, active or expired, by its times alone. History is not rewritten: an active silence whose matchers
//! or start change is expired and a new one takes its place ([`Silences::set`]). Expired ones are kept for the retention
//! time ([`Silences::collect`]).

use std::collections::BTreeMap;

use model::{Labels, MatchOp};
use serde::{Deserialize, Serialize};

use super::matcher::{AlertMatcher, Matchers};
use crate::text::{NameScheme, null_default, serde_time, serde_time_opt};

/// Whether a silence is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SilenceState {
    /// It is.
    Active,
    /// It will be.
    Pending,
    /// It was.
    Expired,
}

/// A silence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Silence {
    /// Its id.
    pub id: String,
    /// All must match.
    pub matchers: Matchers,
    /// From when.
    #[serde(rename = "startsAt", with = "serde_time")]
    pub starts_at_ms: i64,
    /// Until when.
    #[serde(rename = "endsAt", with = "serde_time")]
    pub ends_at_ms: i64,
    /// When it was last changed.
    #[serde(rename = "updatedAt", with = "serde_time")]
    pub updated_at_ms: i64,
    /// By whom.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// Anything else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Silence {
    /// Its state at a time. The end still belongs to it.
    pub fn state(&self, now_ms: i64) -> SilenceState {
        if now_ms < self.starts_at_ms {
            SilenceState::Pending
        } else if now_ms > self.ends_at_ms {
            SilenceState::Expired
        } else {
            SilenceState::Active
        }
    }
}

/// A silence as it is posted to the API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostableSilence {
    /// Id of the silence to change; a new one if empty.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// All must match.
    pub matchers: Matchers,
    /// From when; now if absent.
    #[serde(rename = "startsAt", default, with = "serde_time_opt")]
    pub starts_at_ms: Option<i64>,
    /// Until when.
    #[serde(rename = "endsAt", default, with = "serde_time_opt")]
    pub ends_at_ms: Option<i64>,
    /// By whom.
    #[serde(default, deserialize_with = "null_default")]
    pub created_by: String,
    /// Why.
    #[serde(default, deserialize_with = "null_default")]
    pub comment: String,
    /// Anything else.
    #[serde(default, deserialize_with = "null_default")]
    pub annotations: BTreeMap<String, String>,
}

/// Why a silence was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SilenceError {
    /// No silence has this id.
    #[error("silence not found")]
    NotFound,
    /// It has no matchers.
    #[error("invalid silence: at least one matcher required")]
    NoMatchers,
    /// It would silence everything that lacks some labels.
    #[error("invalid silence: at least one matcher must not match the empty string")]
    MatchesEmpty,
    /// A matcher's name is none.
    #[error("invalid silence: invalid label matcher {index}: invalid label name {name:?}")]
    LabelName {
        /// Which matcher.
        index: usize,
        /// Its name.
        name: String,
    },
    /// It has no end.
    #[error("invalid silence: invalid zero end timestamp")]
    NoEnd,
    /// It ends before it begins.
    #[error("Failed to create silence: start time must be before end time")]
    EndsBeforeStart,
    /// It has ended already.
    #[error("Failed to create silence: end time can't be in the past")]
    EndsInPast,
    /// There are too many silences.
    #[error("exceeded maximum number of silences: {found} (limit: {limit})")]
    TooMany {
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// It is too large.
    #[error("silence exceeded maximum size: {found} bytes (limit: {limit} bytes)")]
    TooLarge {
        /// Its size.
        found: usize,
        /// How large it may be.
        limit: usize,
    },
}

/// Bounds on silences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilenceLimits {
    /// How long an expired silence is kept.
    pub retention_ms: i64,
    /// Most silences, expired ones included; 0 is no limit.
    pub max_silences: usize,
    /// Largest silence in bytes of its JSON form; 0 is no limit.
    pub max_size_bytes: usize,
}

impl Default for SilenceLimits {
    fn default() -> Self {
        Self { retention_ms: 120 * 3_600_000, max_silences: 0, max_size_bytes: 0 }
    }
}

/// All silences, by id.
#[derive(Clone, Debug, Default)]
pub struct Silences {
    by_id: BTreeMap<String, Silence>,
    limits: SilenceLimits,
    names: NameScheme,
}

impl Silences {
    /// No silences yet.
    pub fn new(limits: SilenceLimits, names: NameScheme) -> Self {
        Self { by_id: BTreeMap::new(), limits, names }
    }

    /// Creates a silence, or changes one. Returns the silences that changed, the one to report last: its id differs from
    /// the one given if history would have been rewritten. `new_id` makes an id (a UUID).
    ///
    /// # Errors
    /// When it is none, the id is unknown, or a limit is reached; nothing has changed then.
    pub fn set(
        &mut self,
        silence: PostableSilence,
        now_ms: i64,
        new_id: impl FnOnce() -> String,
    ) -> Result<Vec<Silence>, SilenceError> {
        let mut wanted = self.check(silence, now_ms)?;
        if wanted.id.is_empty() {
            wanted.starts_at_ms = wanted.starts_at_ms.max(now_ms);
            return self.insert_new(wanted, None, new_id);
        }
        let previous = self.by_id.get(&wanted.id).ok_or(SilenceError::NotFound)?.clone();
        if can_update(&previous, &wanted, now_ms) {
            self.check_size(&wanted)?;
            self.by_id.insert(wanted.id.clone(), wanted.clone());
            return Ok(vec![wanted]);
        }
        wanted.starts_at_ms = wanted.starts_at_ms.max(now_ms);
        let ended = expired(previous, now_ms);
        self.insert_new(wanted, ended, new_id)
    }

    fn insert_new(
        &mut self,
        mut silence: Silence,
        ended: Option<Silence>,
        new_id: impl FnOnce() -> String,
    ) -> Result<Vec<Silence>, SilenceError> {
        let limit = self.limits.max_silences;
        if limit > 0 && self.by_id.len() + 1 > limit {
            return Err(SilenceError::TooMany { found: self.by_id.len(), limit });
        }
        silence.id = new_id();
        self.check_size(&silence)?;
        let mut changed = Vec::new();
        for one in ended.into_iter().chain([silence]) {
            self.by_id.insert(one.id.clone(), one.clone());
            changed.push(one);
        }
        Ok(changed)
    }

    fn check(&self, silence: PostableSilence, now_ms: i64) -> Result<Silence, SilenceError> {
        let starts_at_ms = silence.starts_at_ms.unwrap_or(now_ms);
        let ends_at_ms = silence.ends_at_ms.ok_or(SilenceError::NoEnd)?;
        if starts_at_ms >= ends_at_ms {
            return Err(SilenceError::EndsBeforeStart);
        }
        if ends_at_ms < now_ms {
            return Err(SilenceError::EndsInPast);
        }
        if silence.matchers.is_empty() {
            return Err(SilenceError::NoMatchers);
        }
        for (index, matcher) in silence.matchers.iter().enumerate() {
            if !self.names.is_label_name(matcher.name()) {
                return Err(SilenceError::LabelName { index, name: matcher.name().to_owned() });
            }
        }
        // Negative matchers count as not matching the empty text, as Alertmanager has it.
        let matches_empty = |matcher: &AlertMatcher| match matcher.op() {
            MatchOp::Equal => matcher.value().is_empty(),
            MatchOp::Regex => matcher.matches(""),
            MatchOp::NotEqual | MatchOp::NotRegex => false,
        };
        if silence.matchers.iter().all(matches_empty) {
            return Err(SilenceError::MatchesEmpty);
        }
        Ok(Silence {
            id: silence.id,
            matchers: silence.matchers,
            starts_at_ms,
            ends_at_ms,
            updated_at_ms: now_ms,
            created_by: silence.created_by,
            comment: silence.comment,
            annotations: silence.annotations,
        })
    }

    fn check_size(&self, silence: &Silence) -> Result<(), SilenceError> {
        let limit = self.limits.max_size_bytes;
        if limit == 0 {
            return Ok(());
        }
        let found = serde_json::to_vec(silence).map_or(0, |json| json.len());
        if found > limit { Err(SilenceError::TooLarge { found, limit }) } else { Ok(()) }
    }

    /// Ends a silence now; one that has ended stays as it is. Returns it.
    ///
    /// # Errors
    /// When no silence has this id.
    pub fn expire(&mut self, id: &str, now_ms: i64) -> Result<Silence, SilenceError> {
        let silence = self.by_id.get_mut(id).ok_or(SilenceError::NotFound)?;
        if let Some(ended) = expired(silence.clone(), now_ms) {
            *silence = ended;
        }
        Ok(silence.clone())
    }

    /// A silence by id.
    pub fn get(&self, id: &str) -> Option<&Silence> {
        self.by_id.get(id)
    }

    /// All silences, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Silence> {
        self.by_id.values()
    }

    /// Ids of the active silences that match a label set.
    pub fn silencing(&self, labels: &Labels, now_ms: i64) -> Vec<&str> {
        let active = self.by_id.values().filter(|silence| silence.state(now_ms) == SilenceState::Active);
        active.filter(|silence| silence.matchers.matches(labels)).map(|silence| silence.id.as_str()).collect()
    }

    /// Forgets silences that ended longer ago than the retention time. Returns their ids.
    pub fn collect(&mut self, now_ms: i64) -> Vec<String> {
        let retention_ms = self.limits.retention_ms;
        let gone = |silence: &Silence| silence.ends_at_ms.saturating_add(retention_ms) <= now_ms;
        let ids: Vec<String> = self.by_id.values().filter(|s| gone(s)).map(|s| s.id.clone()).collect();
        for id in &ids {
            self.by_id.remove(id);
        }
        ids
    }

    pub(crate) fn restore(&mut self, silence: Silence) {
        self.by_id.insert(silence.id.clone(), silence);
    }

    pub(crate) fn forget(&mut self, id: &str) {
        self.by_id.remove(id);
    }
}

/// Whether `a` may become `b` without rewriting history.
fn can_update(a: &Silence, b: &Silence, now_ms: i64) -> bool {
    if a.matchers != b.matchers {
        return false;
    }
    match a.state(now_ms) {
        SilenceState::Active => {
            a.starts_at_ms.div_euclid(1000) == b.starts_at_ms.div_euclid(1000) && b.ends_at_ms >= now_ms
        }
        SilenceState::Pending => b.starts_at_ms >= now_ms,
        SilenceState::Expired => false,
    }
}

/// The silence ended now, unless it has ended already.
fn expired(mut silence: Silence, now_ms: i64) -> Option<Silence> {
    match silence.state(now_ms) {
        SilenceState::Expired => return None,
        SilenceState::Active => {}
        SilenceState::Pending => silence.starts_at_ms = now_ms,
    }
    // The end belongs to a silence: one that is over now ended before now.
    silence.ends_at_ms = now_ms - 1;
    silence.starts_at_ms = silence.starts_at_ms.min(silence.ends_at_ms);
    silence.updated_at_ms = now_ms;
    Some(silence)
}

/// A random UUID (version 4) of 16 random bytes.
pub fn uuid_v4(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests;
