//! Templates of messages: the shared definitions, and texts of a configuration expanded with them.
//!
//! [`Templates`] holds the default definitions, then those of the operator's files, which may replace them. A [`Page`] is
//! one message seen through them: renderers hand it the texts of their configuration one by one. Where a receiver wants
//! HTML, the data is escaped before it goes in, so that no label can bring markup of its own.

mod data;
mod grafana;
mod route_labels;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use gotemplate::gotime::Zone;
use gotemplate::{CallResult, Context, Host, Limits, MissingKey, TemplateSet, Value, sets};
use jiff::Timestamp;

use super::message::Message;

pub(crate) use grafana::{ExtendedAlert, extend, private};

const ALERTMANAGER_DEFAULTS: &str = include_str!("alertmanager.tmpl");
const GRAFANA_DEFAULTS: &str = include_str!("grafana.tmpl");

/// Most parsed texts kept.
const MAX_PARSED: usize = 1024;

/// Whose functions and default definitions templates have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Alertmanager's.
    Alertmanager,
    /// Grafana's: Alertmanager's, and more.
    Grafana,
}

/// A template that cannot be read or executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// The template engine's words.
    pub message: String,
}

impl From<gotemplate::Error> for TemplateError {
    fn from(error: gotemplate::Error) -> Self {
        Self { message: error.to_string() }
    }
}

/// The definitions that messages are made with, and what they know of the server.
#[derive(Debug)]
pub struct Templates {
    dialect: Dialect,
    shared: TemplateSet,
    parsed: Mutex<HashMap<String, Arc<TemplateSet>>>,
    external_url: String,
    version: String,
    local: Zone,
}

impl Templates {
    /// The default definitions and those of files, given as (name, text) in their order. `external_url`: where the server
    /// is reached, without a slash at its end; `version`: what messages say it is.
    ///
    /// # Errors
    /// The first file that is not a template.
    pub fn new(
        dialect: Dialect,
        files: &[(String, String)],
        external_url: &str,
        version: &str,
    ) -> Result<Self, TemplateError> {
        let functions = match dialect {
            Dialect::Alertmanager => sets::alertmanager(),
            Dialect::Grafana => sets::grafana(),
        };
        let mut shared = TemplateSet::new("", functions).missing_key(MissingKey::Zero);
        shared.parse_named("default.tmpl", ALERTMANAGER_DEFAULTS)?;
        if dialect == Dialect::Grafana {
            shared.parse_named("grafana.tmpl", GRAFANA_DEFAULTS)?;
        }
        for (name, text) in files {
            shared.parse_named(name, text)?;
        }
        Ok(Self {
            dialect,
            shared,
            parsed: Mutex::default(),
            external_url: external_url.trim_end_matches('/').to_owned(),
            version: version.to_owned(),
            local: Zone::Utc,
        })
    }

    /// With what templates call the local zone; UTC otherwise.
    #[must_use]
    pub fn local_zone(mut self, zone: Zone) -> Self {
        self.local = zone;
        self
    }

    /// Where the server is reached.
    pub fn external_url(&self) -> &str {
        &self.external_url
    }

    /// What messages say the server's version is.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whose functions and definitions they are.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Expands a text about a message, for trying out templates.
    ///
    /// # Errors
    /// When the text cannot be read or executed.
    pub fn render(&self, text: &str, message: &Message, now_ms: i64) -> Result<String, TemplateError> {
        self.page(message, now_ms).text(text)
    }

    /// A message seen through these templates.
    pub(crate) fn page<'a>(&'a self, message: &'a Message, now_ms: i64) -> Page<'a> {
        Page { templates: self, message, now_ms, html: false, vars: None }
    }

    /// Labels of a route, which may be templates and name each other; those that fail are left out. Also returns what went
    /// wrong, by label.
    pub(crate) fn route_labels(
        &self,
        raw: &BTreeMap<String, String>,
        message: &Message,
        now_ms: i64,
    ) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        route_labels::render(self, raw, message, now_ms)
    }

    fn parse(&self, text: &str) -> Result<Arc<TemplateSet>, gotemplate::Error> {
        let lock = || self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(text) {
            return Ok(known.clone());
        }
        let set = Arc::new(self.shared.with_text("", text)?);
        let mut parsed = lock();
        if parsed.len() >= MAX_PARSED {
            parsed.clear();
        }
        parsed.insert(text.to_owned(), set.clone());
        Ok(set)
    }

    fn execute(
        &self,
        text: &str,
        data: impl FnOnce() -> Value<'static>,
        host: &dyn Host,
        now_ms: i64,
    ) -> Result<String, gotemplate::Error> {
        if text.is_empty() || !text.contains("{{") {
            return Ok(text.to_owned());
        }
        let set = self.parse(text)?;
        let context = Context {
            now: Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::UNIX_EPOCH),
            local: self.local.clone(),
            host,
            limits: Limits { output: 10 << 20, ..Limits::default() },
        };
        set.render(data(), &context)
    }
}

/// One message seen through templates.
#[derive(Clone, Copy)]
pub(crate) struct Page<'a> {
    templates: &'a Templates,
    message: &'a Message,
    now_ms: i64,
    html: bool,
    vars: Option<&'a BTreeMap<String, String>>,
}

impl<'a> Page<'a> {
    /// The page with its data escaped for HTML.
    pub(crate) fn html(self) -> Self {
        Self { html: true, ..self }
    }

    /// The page with variables of a custom payload.
    pub(crate) fn vars(self, vars: &'a BTreeMap<String, String>) -> Self {
        Self { vars: Some(vars), ..self }
    }

    /// What a text of the configuration writes.
    pub(crate) fn text(&self, text: &str) -> Result<String, TemplateError> {
        let host = RenderedLabels(&self.message.route_labels);
        Ok(self.templates.execute(text, || self.data(), &host, self.now_ms)?)
    }

    fn data(&self) -> Value<'static> {
        match self.templates.dialect {
            Dialect::Alertmanager => data::value(self.message, self.templates, self.html),
            Dialect::Grafana => grafana::value(self.message, self.templates, self.html, self.now_ms, self.vars),
        }
    }
}

/// Answers `routeLabels` with labels that are rendered already.
struct RenderedLabels<'a>(&'a BTreeMap<String, String>);

impl Host for RenderedLabels<'_> {
    fn call<'d>(&'d self, name: &str, args: &[Value<'d>]) -> Option<CallResult<'d>> {
        match (name, args) {
            ("routeLabels", [Value::Str(label)]) => {
                Some(Ok(self.0.get(&*label.to_str()).map_or("", String::as_str).into()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
