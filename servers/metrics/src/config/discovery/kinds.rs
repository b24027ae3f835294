//! Discovery kinds that are read and checked, but not done: which fields they have and what upstream demands of them.
//!
//! One row a kind. A field that is not in its row is an error, as upstream.

use kit::client::{HTTP_CLIENT_KEYS, HttpClientConfig};
use kit::config::PromDuration;
use kit::yaml::{ConfigError, FromNode, Kind, Node, Section};

use super::check_http_url;

/// A discovery section of a kind that this server does not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherDiscovery {
    /// `consul`, `kubernetes`, …
    pub kind: &'static str,
}

#[derive(Clone, Copy)]
enum Type {
    Text,
    Number,
    Flag,
    Duration,
    Texts,
    /// Mapping of texts.
    Pairs,
    /// Mapping or list with fields of its own, see the check.
    Any,
}
use Type::{Any, Duration, Flag, Number, Pairs, Text, Texts};

struct Row {
    kind: &'static str,
    /// Whether the settings of the HTTP client stand among the fields.
    http: bool,
    fields: &'static [(&'static str, Type)],
    check: fn(&Fields<'_>) -> Result<(), String>,
}

/// The fields of a section, for checks.
pub(super) struct Fields<'a> {
    pub(super) node: &'a Node,
    pub(super) http: &'a HttpClientConfig,
}

impl Fields<'_> {
    pub(super) fn text(&self, key: &str) -> String {
        self.node.get(key).and_then(|node| String::from_node(node).ok()).unwrap_or_default()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        !self.text(key).is_empty()
    }

    pub(super) fn items(&self, key: &str) -> &[Node] {
        match self.node.get(key).map(|node| &node.kind) {
            Some(Kind::Sequence(items)) => items,
            _ => &[],
        }
    }

    fn one_of(&self, key: &str, allowed: &[&str], message: impl Fn(&str) -> String) -> Result<(), String> {
        let value = self.text(key);
        if value.is_empty() || allowed.contains(&value.as_str()) { Ok(()) } else { Err(message(&value)) }
    }

    fn secret_or_file(&self) -> Result<(), String> {
        match (self.has("secret_key"), self.has("secret_key_file")) {
            (true, true) => Err("at most one of secret_key & secret_key_file must be configured".to_owned()),
            (false, false) => Err("one of secret_key & secret_key_file must be configured".to_owned()),
            _ => Ok(()),
        }
    }

    fn need(&self, key: &str, message: &str) -> Result<(), String> {
        if self.has(key) { Ok(()) } else { Err(message.to_owned()) }
    }
}

fn nothing(_: &Fields<'_>) -> Result<(), String> {
    Ok(())
}

const AWS: &[(&str, Type)] = &[
    ("endpoint", Text),
    ("region", Text),
    ("access_key", Text),
    ("secret_key", Text),
    ("profile", Text),
    ("role_arn", Text),
    ("external_id", Text),
    ("refresh_interval", Duration),
    ("port", Number),
    ("filters", Any),
    ("clusters", Texts),
    ("request_concurrency", Number),
];

const ROWS: &[Row] = &[
    Row {
        kind: "aws",
        http: true,
        fields: &[
            ("role", Text),
            ("endpoint", Text),
            ("region", Text),
            ("access_key", Text),
            ("secret_key", Text),
            ("profile", Text),
            ("role_arn", Text),
            ("external_id", Text),
            ("refresh_interval", Duration),
            ("port", Number),
            ("filters", Any),
            ("clusters", Texts),
            ("request_concurrency", Number),
        ],
        check: |f| {
            f.need("role", "aws SD configuration requires a role")?;
            f.one_of("role", &["ec2", "ecs", "lightsail", "msk", "rds", "elasticache"], |role| {
                format!("unknown AWS SD role {role:?}")
            })?;
            aws_filters(f)
        },
    },
    Row {
        kind: "azure",
        http: true,
        fields: &[
            ("environment", Text),
            ("port", Number),
            ("subscription_id", Text),
            ("tenant_id", Text),
            ("client_id", Text),
            ("client_secret", Text),
            ("refresh_interval", Duration),
            ("authentication_method", Text),
            ("resource_group", Text),
        ],
        check: azure,
    },
    Row {
        kind: "consul",
        http: true,
        fields: &[
            ("server", Text),
            ("path_prefix", Text),
            ("token", Text),
            ("datacenter", Text),
            ("namespace", Text),
            ("partition", Text),
            ("tag_separator", Text),
            ("scheme", Text),
            ("username", Text),
            ("password", Text),
            ("allow_stale", Flag),
            ("filter", Text),
            ("health_filter", Text),
            ("services", Texts),
            ("tags", Texts),
            ("node_meta", Pairs),
            ("refresh_interval", Duration),
        ],
        check: |f| {
            if f.node.get("server").is_some() {
                f.need("server", "consul SD configuration requires a server address")?
            }
            if (f.has("username") || f.has("password"))
                && (f.http.basic_auth.is_some() || f.http.authorization.is_some())
            {
                return Err(
                    "at most one of consul SD configuration username and password and basic auth can be configured"
                        .to_owned(),
                );
            }
            Ok(())
        },
    },
    Row {
        kind: "digitalocean",
        http: true,
        fields: &[("port", Number), ("refresh_interval", Duration), ("server", Text)],
        check: nothing,
    },
    Row {
        kind: "docker",
        http: true,
        fields: &[
            ("host", Text),
            ("port", Number),
            ("filters", Any),
            ("host_networking_host", Text),
            ("match_first_network", Flag),
            ("refresh_interval", Duration),
        ],
        check: |f| f.need("host", "host missing"),
    },
    Row {
        kind: "dockerswarm",
        http: true,
        fields: &[("host", Text), ("role", Text), ("port", Number), ("filters", Any), ("refresh_interval", Duration)],
        check: |f| {
            f.need("host", "host missing")?;
            f.need("role", "role missing (one of: tasks, services, nodes)")?;
            f.one_of("role", &["services", "nodes", "tasks"], |role| {
                format!("invalid role {role}, expected tasks, services, or nodes")
            })
        },
    },
    Row { kind: "ec2", http: true, fields: AWS, check: aws_filters },
    Row { kind: "ecs", http: true, fields: AWS, check: aws_filters },
    Row { kind: "elasticache", http: true, fields: AWS, check: nothing },
    Row { kind: "lightsail", http: true, fields: AWS, check: nothing },
    Row { kind: "msk", http: true, fields: AWS, check: nothing },
    Row { kind: "rds", http: true, fields: AWS, check: nothing },
    Row {
        kind: "eureka",
        http: true,
        fields: &[("server", Text), ("refresh_interval", Duration)],
        check: |f| {
            f.need("server", "eureka_sd: empty or null eureka server")?;
            check_http_url(&f.text("server")).map_err(|_| "eureka_sd: invalid eureka server URL".to_owned())
        },
    },
    Row {
        kind: "gce",
        http: false,
        fields: &[
            ("project", Text),
            ("zone", Text),
            ("filter", Text),
            ("refresh_interval", Duration),
            ("port", Number),
            ("tag_separator", Text),
        ],
        check: |f| {
            f.need("project", "GCE SD configuration requires a project")?;
            f.need("zone", "GCE SD configuration requires a zone")
        },
    },
    Row {
        kind: "hetzner",
        http: true,
        fields: &[("role", Text), ("label_selector", Text), ("port", Number), ("refresh_interval", Duration)],
        check: |f| {
            f.need("role", "role missing (one of: robot, hcloud)")?;
            f.one_of("role", &["robot", "hcloud"], |_| "unknown role".to_owned())
        },
    },
    Row {
        kind: "ionos",
        http: true,
        fields: &[("datacenter_id", Text), ("port", Number), ("refresh_interval", Duration)],
        check: |f| f.need("datacenter_id", "datacenter id can't be empty"),
    },
    Row {
        kind: "kubernetes",
        http: true,
        fields: &[
            ("api_server", Text),
            ("role", Text),
            ("kubeconfig_file", Text),
            ("namespaces", Any),
            ("selectors", Any),
            ("attach_metadata", Any),
        ],
        check: super::kubernetes::check,
    },
    Row {
        kind: "kuma",
        http: true,
        fields: &[("server", Text), ("refresh_interval", Duration), ("fetch_timeout", Duration), ("client_id", Text)],
        check: |f| {
            f.need("server", "kuma SD server must not be empty")?;
            check_http_url(&f.text("server")).map_err(str::to_owned)
        },
    },
    Row {
        kind: "linode",
        http: true,
        fields: &[("refresh_interval", Duration), ("port", Number), ("tag_separator", Text), ("region", Text)],
        check: nothing,
    },
    Row {
        kind: "marathon",
        http: true,
        fields: &[("servers", Texts), ("refresh_interval", Duration), ("auth_token", Text), ("auth_token_file", Text)],
        check: marathon,
    },
    Row {
        kind: "nerve",
        http: false,
        fields: &[("servers", Texts), ("paths", Texts), ("timeout", Duration)],
        check: |f| zookeeper(f, "nerve"),
    },
    Row {
        kind: "nomad",
        http: true,
        fields: &[
            ("allow_stale", Flag),
            ("namespace", Text),
            ("refresh_interval", Duration),
            ("region", Text),
            ("server", Text),
            ("tag_separator", Text),
        ],
        check: |f| {
            if f.node.get("server").is_some() {
                f.need("server", "nomad SD configuration requires a server address")
            } else {
                Ok(())
            }
        },
    },
    Row {
        kind: "oci",
        http: true,
        fields: &[
            ("auth", Text),
            ("region", Text),
            ("tenancy", Text),
            ("user", Text),
            ("fingerprint", Text),
            ("key_file", Text),
            ("key_passphrase", Text),
            ("compartments", Texts),
            ("port", Number),
            ("refresh_interval", Duration),
        ],
        check: |f| {
            f.one_of("auth", &["api_key", "instance_principal"], |auth| {
                format!("oci_sd: unknown auth method {auth:?}, expected \"api_key\" or \"instance_principal\"")
            })
        },
    },
    Row {
        kind: "openstack",
        http: false,
        fields: &[
            ("identity_endpoint", Text),
            ("username", Text),
            ("userid", Text),
            ("password", Text),
            ("project_name", Text),
            ("project_id", Text),
            ("domain_name", Text),
            ("domain_id", Text),
            ("application_credential_name", Text),
            ("application_credential_id", Text),
            ("application_credential_secret", Text),
            ("role", Text),
            ("region", Text),
            ("refresh_interval", Duration),
            ("port", Number),
            ("all_tenants", Flag),
            ("tls_config", Any),
            ("availability", Text),
        ],
        check: |f| {
            f.one_of("availability", &["public", "internal", "admin"], |value| {
                format!("unknown availability {value}, must be one of admin, internal or public")
            })?;
            f.need("role", "role missing (one of: instance, hypervisor, loadbalancer)")?;
            f.one_of("role", &["instance", "hypervisor", "loadbalancer"], |role| {
                format!("unknown OpenStack SD role {role:?}")
            })?;
            f.need("region", "openstack SD configuration requires a region")
        },
    },
    Row {
        kind: "outscale",
        http: true,
        fields: &[
            ("region", Text),
            ("endpoint", Text),
            ("access_key", Text),
            ("secret_key", Text),
            ("secret_key_file", Text),
            ("port", Number),
            ("refresh_interval", Duration),
        ],
        check: |f| {
            f.need("region", "outscale SD configuration requires a region")?;
            f.secret_or_file()
        },
    },
    Row {
        kind: "ovhcloud",
        http: false,
        fields: &[
            ("endpoint", Text),
            ("application_key", Text),
            ("application_secret", Text),
            ("consumer_key", Text),
            ("refresh_interval", Duration),
            ("service", Text),
        ],
        check: |f| {
            f.need("endpoint", "endpoint can not be empty")?;
            f.need("application_key", "application key can not be empty")?;
            f.need("application_secret", "application secret can not be empty")?;
            f.need("consumer_key", "consumer key can not be empty")?;
            if matches!(f.text("service").as_str(), "dedicated_server" | "vps") {
                Ok(())
            } else {
                Err(format!("unknown service: {}", f.text("service")))
            }
        },
    },
    Row {
        kind: "puppetdb",
        http: true,
        fields: &[
            ("url", Text),
            ("query", Text),
            ("include_parameters", Flag),
            ("port", Number),
            ("refresh_interval", Duration),
        ],
        check: |f| {
            f.need("url", "URL is missing")?;
            check_http_url(&f.text("url")).map_err(str::to_owned)?;
            f.need("query", "query missing")
        },
    },
    Row {
        kind: "scaleway",
        http: true,
        fields: &[
            ("project_id", Text),
            ("api_url", Text),
            ("zone", Text),
            ("access_key", Text),
            ("secret_key", Text),
            ("secret_key_file", Text),
            ("name_filter", Text),
            ("tags_filter", Texts),
            ("role", Text),
            ("refresh_interval", Duration),
            ("port", Number),
        ],
        check: |f| {
            f.one_of("role", &["instance", "baremetal"], |role| format!("unknown role {role:?}"))?;
            f.need("role", "role missing (one of: instance, baremetal)")?;
            f.need("project_id", "project_id is mandatory")?;
            f.secret_or_file()?;
            f.need("access_key", "access_key is mandatory")
        },
    },
    Row {
        kind: "serverset",
        http: false,
        fields: &[("servers", Texts), ("paths", Texts), ("timeout", Duration)],
        check: |f| zookeeper(f, "serverset"),
    },
    Row {
        kind: "stackit",
        http: true,
        fields: &[
            ("project", Text),
            ("region", Text),
            ("endpoint", Text),
            ("service_account_key", Text),
            ("service_account_key_path", Text),
            ("private_key", Text),
            ("private_key_path", Text),
            ("credentials_file_path", Text),
            ("port", Number),
            ("refresh_interval", Duration),
        ],
        check: |f| {
            let endpoint = f.text("endpoint");
            if !endpoint.is_empty() && check_http_url(&endpoint).is_err() {
                return Err(format!("stackit_sd: invalid endpoint {endpoint:?}"));
            }
            f.need("project", "stackit_sd: project is mandatory")
        },
    },
    Row {
        kind: "triton",
        http: false,
        fields: &[
            ("account", Text),
            ("role", Text),
            ("dns_suffix", Text),
            ("endpoint", Text),
            ("groups", Texts),
            ("port", Number),
            ("refresh_interval", Duration),
            ("tls_config", Any),
            ("version", Number),
        ],
        check: |f| {
            f.one_of("role", &["container", "cn"], |_| {
                "triton SD configuration requires role to be 'container' or 'cn'".to_owned()
            })?;
            f.need("account", "triton SD configuration requires an account")?;
            f.need("dns_suffix", "triton SD configuration requires a dns_suffix")?;
            f.need("endpoint", "triton SD configuration requires an endpoint")
        },
    },
    Row {
        kind: "uyuni",
        http: true,
        fields: &[
            ("server", Text),
            ("username", Text),
            ("password", Text),
            ("entitlement", Text),
            ("separator", Text),
            ("refresh_interval", Duration),
        ],
        check: |f| {
            f.need("server", "Uyuni SD configuration requires server host")?;
            check_http_url(&f.text("server")).map_err(|_| "Uyuni Server URL is not valid".to_owned())?;
            f.need("username", "Uyuni SD configuration requires a username")?;
            f.need("password", "Uyuni SD configuration requires a password")
        },
    },
    Row { kind: "vultr", http: true, fields: &[("port", Number), ("refresh_interval", Duration)], check: nothing },
];

fn azure(f: &Fields<'_>) -> Result<(), String> {
    let missing = |what: &str| format!("azure SD configuration requires a {what}");
    f.need("subscription_id", &missing("subscription_id"))?;
    let method = f.text("authentication_method");
    match method.as_str() {
        "" | "OAuth" => {
            for key in ["tenant_id", "client_id", "client_secret"] {
                f.need(key, &missing(key))?;
            }
            Ok(())
        }
        "ManagedIdentity" | "SDK" | "WorkloadIdentity" => Ok(()),
        other => Err(format!(
            "unknown authentication_type {other:?}. Supported types are \"OAuth\", \"ManagedIdentity\", \"SDK\" or \"WorkloadIdentity\""
        )),
    }
}

fn aws_filters(f: &Fields<'_>) -> Result<(), String> {
    let empty = |filter: &Node| match filter.get("values").map(|node| &node.kind) {
        Some(Kind::Sequence(values)) => values.is_empty(),
        _ => true,
    };
    if f.items("filters").iter().any(empty) {
        return Err("EC2 SD configuration filter values cannot be empty".to_owned());
    }
    Ok(())
}

fn marathon(f: &Fields<'_>) -> Result<(), String> {
    if f.items("servers").is_empty() {
        return Err("marathon_sd: must contain at least one Marathon server".to_owned());
    }
    let (token, file) = (f.has("auth_token"), f.has("auth_token_file"));
    if token && file {
        return Err("marathon_sd: at most one of auth_token & auth_token_file must be configured".to_owned());
    }
    if token || file {
        for (key, names) in [
            ("basic_auth", "basic_auth, auth_token & auth_token_file"),
            ("bearer_token", "bearer_token, bearer_token_file, auth_token & auth_token_file"),
            ("bearer_token_file", "bearer_token, bearer_token_file, auth_token & auth_token_file"),
            ("authorization", "auth_token, auth_token_file & authorization"),
        ] {
            if f.node.get(key).is_some() {
                return Err(format!("marathon_sd: at most one of {names} must be configured"));
            }
        }
    }
    Ok(())
}

fn zookeeper(f: &Fields<'_>, kind: &str) -> Result<(), String> {
    if f.items("servers").is_empty() {
        return Err(format!("{kind} SD config must contain at least one Zookeeper server"));
    }
    if f.items("paths").is_empty() {
        return Err(format!("{kind} SD config must contain at least one path"));
    }
    match f.items("paths").iter().filter_map(|path| String::from_node(path).ok()).find(|path| !path.starts_with('/')) {
        Some(path) => Err(format!("{kind} SD config paths must begin with '/': {path}")),
        None => Ok(()),
    }
}

/// Reads every section of these kinds out of a job's.
pub(super) fn read(section: &mut Section<'_>) -> Result<Vec<OtherDiscovery>, ConfigError> {
    let mut found = Vec::new();
    for row in ROWS {
        let key = format!("{}_sd_configs", row.kind);
        for node in section.list::<Node>(&key, &format!("section in {key}"))? {
            check(row, &node)?;
            found.push(OtherDiscovery { kind: row.kind });
        }
    }
    Ok(found)
}

fn check(row: &Row, node: &Node) -> Result<(), ConfigError> {
    let mut section = Section::new(node, "discovery.plain")?;
    for (key, kind) in row.fields {
        match kind {
            Text => section.opt::<String>(key).map(|_| ()),
            Number => section.opt::<i64>(key).map(|_| ()),
            Flag => section.opt::<bool>(key).map(|_| ()),
            Duration => section.opt::<PromDuration>(key).map(|_| ()),
            Texts => section.opt::<Vec<String>>(key).map(|_| ()),
            Pairs => section.opt::<std::collections::BTreeMap<String, String>>(key).map(|_| ()),
            Any => {
                section.raw(key);
                Ok(())
            }
        }?;
    }
    // Marathon's own tokens are judged before the client's settings, with a message of their own.
    let http = HttpClientConfig::from_node(&section.take(if row.http { &HTTP_CLIENT_KEYS } else { &[] }));
    let own = (row.check)(&Fields { node, http: http.as_ref().unwrap_or(&HttpClientConfig::default()) });
    if row.kind == "marathon" {
        own.as_ref().map_err(|message| ConfigError::at(node, message.as_str()))?;
    }
    http?;
    own.map_err(|message| ConfigError::at(node, message))?;
    section.finish()
}
