//! Data sources: what they are, where they are kept, and the clients that reach them.
//!
//! All of them are in one document, those from provisioning files included ([`provision`] puts them there at the start).
//! Secrets go in and never come out: an answer only says which are set. [`DataSources::client`] has the one HTTP client of
//! a source, with its credentials; [`proxy`] forwards browsers' requests through it, [`query`] asks for itself.

pub(crate) mod access;
pub(crate) mod client;
pub(crate) mod frames;
pub(crate) mod provision;
pub(crate) mod proxy;
pub(crate) mod query;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use axum::http::StatusCode;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::auth::token;
use crate::dashboards::model::check_uid;
use crate::error::ApiError;
use crate::store::{Doc, StoreError, hex, sha256};
use client::SourceClient;

/// Secrets by name. They print as their names only.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secrets(pub(crate) BTreeMap<String, String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Secrets {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Kinds of data sources that this server can ask by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SourceKind {
    Prometheus,
    Loki,
    Alertmanager,
    /// Anything else: reached through the proxy only.
    Other,
}

/// A data source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DataSource {
    pub(crate) id: u64,
    pub(crate) uid: String,
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) access: String,
    pub(crate) url: String,
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) basic_auth: bool,
    pub(crate) basic_auth_user: String,
    pub(crate) with_credentials: bool,
    pub(crate) is_default: bool,
    pub(crate) json_data: Map<String, Value>,
    pub(crate) secrets: Secrets,
    /// Cannot be changed through the API.
    pub(crate) read_only: bool,
    /// Comes from a provisioning file.
    pub(crate) provisioned: bool,
    pub(crate) version: i64,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
}

impl DataSource {
    pub(crate) fn source_kind(&self) -> SourceKind {
        match self.kind.as_str() {
            "prometheus" | "grafana-amazonprometheus-datasource" | "grafana-azureprometheus-datasource" => {
                SourceKind::Prometheus
            }
            "loki" => SourceKind::Loki,
            "alertmanager" => SourceKind::Alertmanager,
            _ => SourceKind::Other,
        }
    }

    /// A text of `jsonData`.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.json_data.get(key).and_then(Value::as_str).unwrap_or("")
    }

    /// A boolean of `jsonData`.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.json_data.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A number of `jsonData`, be it written as text.
    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        let value = self.json_data.get(key)?;
        value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
    }

    /// As the API shows it. Those who may not change it see neither where it is nor who it signs in as.
    pub(crate) fn to_json(&self, full: bool, admin: bool) -> Value {
        let hidden = |text: &str| if admin { text.to_owned() } else { String::new() };
        let mut out = json!({
            "id": self.id,
            "uid": self.uid,
            "orgId": 1,
            "name": self.name,
            "type": self.kind,
            "typeName": self.type_name(),
            "typeLogoUrl": "",
            "access": self.access,
            "url": hidden(&kit::client::without_credentials(&self.url)),
            "user": hidden(&self.user),
            "database": hidden(&self.database),
            "basicAuth": self.basic_auth,
            "isDefault": self.is_default,
            "jsonData": self.json_data,
            "readOnly": self.read_only,
        });
        if let (true, Some(map)) = (full, out.as_object_mut()) {
            let set = self.secrets.0.iter().filter(|(_, value)| !value.is_empty());
            let set: Map<String, Value> = set.map(|(name, _)| (name.clone(), true.into())).collect();
            map.insert("basicAuthUser".into(), hidden(&self.basic_auth_user).into());
            map.insert("withCredentials".into(), self.with_credentials.into());
            map.insert("secureJsonFields".into(), Value::Object(set));
            map.insert("version".into(), self.version.into());
            map.insert("apiVersion".into(), "".into());
        }
        out
    }

    fn type_name(&self) -> String {
        match self.source_kind() {
            SourceKind::Prometheus => "Prometheus".to_owned(),
            SourceKind::Loki => "Loki".to_owned(),
            SourceKind::Alertmanager => "Alertmanager".to_owned(),
            SourceKind::Other => self.kind.clone(),
        }
    }

    /// # Errors
    /// When it could never work; the message names the field.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.name.trim().is_empty() {
            return Err("name: must not be empty".into());
        }
        if self.name.len() > 190 {
            return Err("name: at most 190 characters".into());
        }
        if self.kind.is_empty() {
            return Err("type: must not be empty".into());
        }
        check_uid(&self.uid).map_err(|e| format!("uid: {}", e.message))?;
        if self.source_kind() != SourceKind::Other || !self.url.is_empty() {
            check_url(&self.url).map_err(|e| format!("url: {e}"))?;
        }
        Ok(())
    }
}

/// An absolute `http` or `https` URL with a host.
fn check_url(url: &str) -> Result<(), String> {
    if url.is_empty() {
        return Err("must not be empty".into());
    }
    let uri: axum::http::Uri = url.parse().map_err(|e| format!("{:?}: {e}", kit::client::without_credentials(url)))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(()),
        _ => Err(format!("{:?} is no http or https URL", kit::client::without_credentials(url))),
    }
}

/// The uid of a source that was not given one: the same for the same name.
pub(crate) fn uid_of_name(name: &str) -> String {
    format!("P{}", hex(&sha256(name.as_bytes())[..8]).to_uppercase())
}

/// See the module.
#[derive(Debug)]
pub(crate) struct DataSources {
    doc: Doc<Vec<DataSource>>,
    /// By uid, with the version they were made for.
    clients: Mutex<HashMap<String, (i64, Arc<SourceClient>)>>,
    whitelist: Vec<String>,
}

pub(crate) fn not_found() -> ApiError {
    ApiError::not_found("Data source not found").id("datasources.not-found")
}

impl DataSources {
    pub(crate) fn open(dir: &Path, whitelist: Vec<String>) -> Result<Self, StoreError> {
        Ok(Self { doc: Doc::open(dir, "datasources")?, clients: Mutex::default(), whitelist })
    }

    /// All, by name.
    pub(crate) fn all(&self) -> Vec<DataSource> {
        let mut all = Vec::clone(&self.doc.get());
        all.sort_by_key(|source| source.name.to_lowercase());
        all
    }

    pub(crate) fn by_uid(&self, uid: &str) -> Option<DataSource> {
        let all = self.doc.get();
        all.iter().find(|source| source.uid == uid).cloned()
    }

    pub(crate) fn by_id(&self, id: u64) -> Option<DataSource> {
        self.doc.get().iter().find(|source| source.id == id).cloned()
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<DataSource> {
        self.doc.get().iter().find(|source| source.name == name).cloned()
    }

    /// As dashboards refer to it: a uid, a name, or nothing for the default one.
    pub(crate) fn by_reference(&self, reference: &str) -> Option<DataSource> {
        if reference.is_empty() || reference == "default" || reference == "-- Default --" {
            return self.default_of(None);
        }
        self.by_uid(reference).or_else(|| self.by_name(reference))
    }

    /// The default source; of a kind, the default one or else the first of the kind.
    pub(crate) fn default_of(&self, kind: Option<&str>) -> Option<DataSource> {
        let all = self.all();
        let fits = |source: &&DataSource| kind.is_none_or(|kind| source.kind == kind);
        let default = all.iter().find(|source| source.is_default && fits(source));
        default.or_else(|| all.iter().find(|source| kind.is_some() && fits(source))).cloned()
    }

    /// Adds a source; returns it.
    pub(crate) async fn add(&self, source: DataSource, now_ms: i64) -> Result<DataSource, ApiError> {
        self.doc
            .change(|all| {
                if all.iter().any(|other| other.name == source.name) {
                    return Err(ApiError::conflict("data source with the same name already exists"));
                }
                let mut source = source;
                if source.uid.is_empty() {
                    source.uid = token::random_text(14).to_lowercase();
                }
                if all.iter().any(|other| other.uid == source.uid) {
                    return Err(ApiError::conflict("data source with the same uid already exists"));
                }
                source.check().map_err(|message| ApiError::bad_request(format!("Validation error, {message}")))?;
                source.id = all.iter().map(|other| other.id).max().unwrap_or(0) + 1;
                source.version = 1;
                (source.created_ms, source.updated_ms) = (now_ms, now_ms);
                source.is_default |= all.is_empty();
                keep_one_default(all, &source);
                all.push(source.clone());
                Ok(source)
            })
            .await
    }

    /// Changes a source: `change` gets a copy of it, with its secrets.
    pub(crate) async fn update(
        &self,
        uid: &str,
        force: bool,
        now_ms: i64,
        change: impl FnOnce(&mut DataSource) -> Result<(), ApiError>,
    ) -> Result<DataSource, ApiError> {
        let updated = self
            .doc
            .change(|all| {
                let at = all.iter().position(|source| source.uid == uid).ok_or_else(not_found)?;
                if all[at].read_only && !force {
                    return Err(ApiError::forbidden("Cannot update read-only data source"));
                }
                let mut source = all[at].clone();
                change(&mut source)?;
                source.check().map_err(|message| ApiError::bad_request(format!("Validation error, {message}")))?;
                if all.iter().any(|other| other.uid != uid && (other.name == source.name || other.uid == source.uid)) {
                    return Err(ApiError::conflict("data source with the same name already exists"));
                }
                source.version += 1;
                source.updated_ms = now_ms;
                keep_one_default(all, &source);
                all[at] = source.clone();
                Ok(source)
            })
            .await?;
        self.clients.lock().remove(uid);
        Ok(updated)
    }

    /// Forgets a source.
    pub(crate) async fn delete(&self, uid: &str, force: bool) -> Result<DataSource, ApiError> {
        let gone = self
            .doc
            .change(|all| {
                let at = all.iter().position(|source| source.uid == uid).ok_or_else(not_found)?;
                if all[at].read_only && !force {
                    return Err(ApiError::forbidden("Cannot delete read-only data source"));
                }
                Ok(all.remove(at))
            })
            .await?;
        self.clients.lock().remove(uid);
        Ok(gone)
    }

    /// The client of a source.
    ///
    /// # Errors
    /// When its settings cannot be used, or it is somewhere that is not allowed.
    pub(crate) fn client(&self, source: &DataSource) -> Result<Arc<SourceClient>, ApiError> {
        let mut clients = self.clients.lock();
        if let Some((_, client)) = clients.get(&source.uid).filter(|(version, _)| *version == source.version) {
            return Ok(client.clone());
        }
        self.check_whitelist(source)?;
        let client = Arc::new(SourceClient::new(source).map_err(|message| {
            ApiError::new(StatusCode::BAD_GATEWAY, format!("data source {}: {message}", source.name))
        })?);
        clients.insert(source.uid.clone(), (source.version, client.clone()));
        Ok(client)
    }

    fn check_whitelist(&self, source: &DataSource) -> Result<(), ApiError> {
        if self.whitelist.is_empty() {
            return Ok(());
        }
        let uri: Option<axum::http::Uri> = source.url.parse().ok();
        let address = uri.and_then(|uri| {
            let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
            Some(format!("{}:{port}", uri.host()?))
        });
        if address.is_some_and(|address| self.whitelist.contains(&address)) {
            return Ok(());
        }
        Err(ApiError::forbidden("Data source is not allowed: its address is not in data_source_proxy_whitelist"))
    }
}

fn keep_one_default(all: &mut [DataSource], source: &DataSource) {
    if source.is_default {
        all.iter_mut().filter(|other| other.uid != source.uid).for_each(|other| other.is_default = false);
    }
}
