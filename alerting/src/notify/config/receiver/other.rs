//! Kinds of integrations that are read and checked, so that a file with them loads, but not sent to.
//!
//! One table says which keys each kind has and which must be there; values are kept as they are.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::http_config;
use crate::notify::config::ConfigError;
use crate::notify::config::global::GlobalConfig;
use crate::notify::config::http::HttpConfig;

/// An integration of a kind that is not sent to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct OtherConfig {
    /// The kind; known once the receiver is resolved.
    pub kind: String,
    /// Whether resolved alerts would be sent.
    pub send_resolved: bool,
    /// The keys as configured. They may hold secrets and are not printed.
    fields: Map<String, Value>,
}

impl From<Map<String, Value>> for OtherConfig {
    fn from(fields: Map<String, Value>) -> Self {
        Self { kind: String::new(), send_resolved: false, fields }
    }
}

impl From<OtherConfig> for Map<String, Value> {
    fn from(config: OtherConfig) -> Self {
        // Which of the values are secret depends on the kind: none is shown.
        config.fields.into_iter().map(|(name, _)| (name, Value::from(super::super::secret::SECRET_TOKEN))).collect()
    }
}

struct Kind {
    name: &'static str,
    send_resolved: bool,
    keys: &'static [&'static str],
    /// Alternatives of which one must be there, with the error if none is.
    required: &'static [(&'static [&'static str], &'static str)],
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "wechat",
        send_resolved: false,
        keys: &[
            "api_secret",
            "api_secret_file",
            "corp_id",
            "message",
            "api_url",
            "to_user",
            "to_party",
            "to_tag",
            "agent_id",
            "message_type",
        ],
        required: &[],
    },
    Kind {
        name: "sns",
        send_resolved: true,
        keys: &[
            "api_url",
            "sigv4",
            "topic_arn",
            "phone_number",
            "target_arn",
            "subject",
            "message",
            "attributes",
            "use_aws_http_client",
        ],
        required: &[(
            &["topic_arn", "phone_number", "target_arn"],
            "must provide either a Target ARN, Topic ARN, or Phone Number for SNS config",
        )],
    },
    Kind {
        name: "jira",
        send_resolved: true,
        keys: &[
            "api_url",
            "api_type",
            "project",
            "summary",
            "description",
            "labels",
            "priority",
            "issue_type",
            "reopen_transition",
            "resolve_transition",
            "wont_fix_resolution",
            "reopen_duration",
            "fields",
        ],
        required: &[
            (&["project"], "missing project in jira_config"),
            (&["issue_type"], "missing issue_type in jira_config"),
        ],
    },
];

impl OtherConfig {
    pub(super) fn resolve(mut self, kind: &str, place: &str, global: &GlobalConfig) -> Result<Self, ConfigError> {
        let error = |problem: String| Err(ConfigError::new(place, problem));
        let Some(kind) = KINDS.iter().find(|known| known.name == kind) else {
            return error(format!("unknown integration {kind}"));
        };
        for key in self.fields.keys() {
            if !kind.keys.contains(&key.as_str()) && key != "send_resolved" && key != "http_config" {
                return error(format!("unknown field `{key}` in {}_configs", kind.name));
            }
        }
        let is_set = |key: &&str| self.fields.get(*key).is_some_and(|v| !v.is_null() && v.as_str() != Some(""));
        for (alternatives, problem) in kind.required {
            if !alternatives.iter().any(is_set) {
                return error((*problem).to_owned());
            }
        }
        for key in kind.keys {
            if let Some(inline) = key.strip_suffix("_file")
                && is_set(key)
                && is_set(&inline)
            {
                return error(format!("at most one of {inline} & {key} must be configured"));
            }
        }
        if let Some(http) = self.fields.get("http_config") {
            let http = HttpConfig::deserialize(http.clone())
                .map_err(|e| ConfigError::new(&format!("{place}.http_config"), e.to_string()))?;
            http_config(Some(http), place, global)?;
        }
        self.kind = kind.name.to_owned();
        self.send_resolved = self.fields.get("send_resolved").and_then(Value::as_bool).unwrap_or(kind.send_resolved);
        Ok(self)
    }
}
