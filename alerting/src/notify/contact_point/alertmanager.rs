//! Contact points that hand alerts on to an Alertmanager.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{SettingsError, comma_list, read};
use crate::grafana::labels::IMAGE_URL;
use crate::notify::config::http::{BasicAuth, HttpConfig};
use crate::notify::config::secret::{Secret, Url};
use crate::notify::render::{Job, RenderError, to_json};
use crate::notify::request::{HttpRequest, Payload};
use crate::text::rfc3339;

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    #[serde(deserialize_with = "comma_list")]
    url: Vec<String>,
    #[serde(rename = "basicAuthUser")]
    user: String,
    #[serde(rename = "basicAuthPassword")]
    password: Secret,
}

impl Settings {
    pub(super) fn new(settings: Value) -> Result<Self, SettingsError> {
        let own: Self = read(settings)?;
        if own.url.is_empty() {
            return Err(SettingsError::new("could not find url property in settings"));
        }
        for url in &own.url {
            Url::new(url).map_err(|error| SettingsError::new(format!("invalid url property in settings: {error}")))?;
        }
        Ok(own)
    }

    pub(super) fn render(&self, job: &Job<'_>) -> Result<Payload, RenderError> {
        let mut alerts = Vec::new();
        for one in &job.message.alerts {
            let alert = &one.alert;
            let mut annotations: Vec<(&str, &str)> = alert.annotations.iter().collect();
            annotations.extend(alert.annotations.get(IMAGE_URL).map(|url| ("image", url)));
            let mut posted = json!({
                "labels": alert.labels.iter().collect::<std::collections::BTreeMap<_, _>>(),
                "annotations": annotations.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
                "startsAt": rfc3339(alert.starts_at_ms),
                "generatorURL": alert.generator_url,
            });
            if let Some(ends_at_ms) = one.ends_at_ms() {
                posted["endsAt"] = rfc3339(ends_at_ms).into();
            }
            alerts.push(posted);
        }
        let body = to_json(&alerts)?;
        let mut http = HttpConfig::default();
        if !self.user.is_empty() {
            let (username, password) = (self.user.clone(), self.password.clone());
            http.basic_auth = Some(BasicAuth { username, password, ..BasicAuth::default() });
        }
        let request = |url: &String| {
            let url = Secret::new(format!("{}/api/v2/alerts", url.trim_end_matches('/')));
            HttpRequest::json(url, body.clone(), Some(http.clone()))
        };
        // One Alertmanager of a cluster would do, but all of them are told, as Grafana does.
        Ok(Payload::Http(self.url.iter().map(request).collect()))
    }
}
