//! What users set for themselves: stars and preferences; and the preferences of everyone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::store::{Doc, StoreError};

/// How somebody wants to see things; empty means the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Preferences {
    pub(crate) theme: String,
    pub(crate) timezone: String,
    pub(crate) week_start: String,
    pub(crate) language: String,
    #[serde(rename = "homeDashboardUID")]
    pub(crate) home_dashboard_uid: String,
}

impl Preferences {
    /// # Errors
    /// When a value is none of those that there are.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        if !["", "dark", "light", "system"].contains(&self.theme.as_str()) {
            return Err(ApiError::bad_request(format!("theme: {:?} is not dark, light or system", self.theme)));
        }
        let zone = self.timezone.as_str();
        if !["", "browser", "utc", "UTC"].contains(&zone) && jiff::tz::TimeZone::get(zone).is_err() {
            return Err(ApiError::bad_request(format!("timezone: {zone:?} is no time zone")));
        }
        Ok(())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Person {
    /// Uids of dashboards.
    pub(crate) stars: Vec<String>,
    pub(crate) preferences: Preferences,
}

/// By user; 0 is everyone.
#[derive(Debug)]
pub(crate) struct Personal {
    doc: Doc<BTreeMap<u64, Person>>,
}

/// Most stars of a user.
const MAX_STARS: usize = 1000;

impl Personal {
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { doc: Doc::open_or_begin(dir, "personal")? })
    }

    fn all(&self) -> Arc<BTreeMap<u64, Person>> {
        self.doc.get()
    }

    pub(crate) fn of(&self, user_id: u64) -> Person {
        self.all().get(&user_id).cloned().unwrap_or_default()
    }

    pub(crate) async fn set_star(&self, user_id: u64, uid: &str, starred: bool) -> Result<(), ApiError> {
        self.doc
            .change(|all| {
                let stars = &mut all.entry(user_id).or_default().stars;
                stars.retain(|other| other != uid);
                if starred {
                    if stars.len() >= MAX_STARS {
                        return Err(ApiError::bad_request(format!("at most {MAX_STARS} stars")));
                    }
                    stars.push(uid.to_owned());
                }
                Ok(())
            })
            .await
    }

    pub(crate) async fn set_preferences(&self, user_id: u64, preferences: Preferences) -> Result<(), ApiError> {
        preferences.check()?;
        self.doc
            .change(|all| {
                all.entry(user_id).or_default().preferences = preferences;
                Ok(())
            })
            .await
    }

    pub(crate) async fn forget(&self, user_id: u64) -> Result<(), ApiError> {
        if !self.all().contains_key(&user_id) {
            return Ok(());
        }
        self.doc
            .change(|all| {
                all.remove(&user_id);
                Ok(())
            })
            .await
    }
}
