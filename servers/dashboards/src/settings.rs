//! What the server was told: flags over environment over `grafana.ini` over defaults, read once at the start.
//!
//! Two defaults differ from Grafana's on purpose: the server listens on loopback unless an address is given, and without a
//! configured password the first administrator gets a random one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kit::config::Secret;

use crate::auth::Role;
use crate::ini::{Ini, IniError};
use crate::options::Options;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) server: Server,
    pub(crate) paths: Paths,
    pub(crate) security: Security,
    pub(crate) auth: Auth,
    pub(crate) users: Users,
    pub(crate) dashboards: Dashboards,
    pub(crate) dataproxy: DataProxy,
    pub(crate) alerting: Alerting,
    pub(crate) annotations: Annotations,
    pub(crate) smtp: Option<Smtp>,
    pub(crate) log: Log,
    pub(crate) metrics: Metrics,
    pub(crate) date_formats: BTreeMap<String, String>,
    pub(crate) feature_toggles: BTreeMap<String, bool>,
    pub(crate) foursight: Foursight,
    /// What is worth a warning, to be logged once the log runs.
    pub(crate) warnings: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// Addresses to listen on.
    pub(crate) listen: Vec<String>,
    /// Certificate and key, for HTTPS.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    pub(crate) domain: String,
    pub(crate) enforce_domain: bool,
    /// How browsers reach the server, with a slash at the end.
    pub(crate) root_url: String,
    /// Whether `root_url` was given.
    pub(crate) root_url_given: bool,
    /// The path below which everything is served: empty or `/grafana`.
    pub(crate) sub_path: String,
    pub(crate) read_timeout_ms: i64,
    pub(crate) headers: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Paths {
    pub(crate) data: PathBuf,
    pub(crate) provisioning: PathBuf,
}

#[derive(Clone, Debug)]
pub(crate) struct Security {
    pub(crate) create_admin: bool,
    pub(crate) admin_user: String,
    pub(crate) admin_password: Option<Secret>,
    pub(crate) admin_email: String,
    pub(crate) cookie_secure: bool,
    /// Value of the attribute, `None` to leave it out.
    pub(crate) cookie_samesite: Option<&'static str>,
    pub(crate) allow_embedding: bool,
    pub(crate) strict_transport_security: Option<String>,
    pub(crate) content_security_policy: Option<String>,
    pub(crate) brute_force_protection: bool,
    pub(crate) max_login_attempts: u32,
    pub(crate) csrf_trusted_origins: Vec<String>,
    /// `host:port` that data sources may be at; empty for any.
    pub(crate) proxy_whitelist: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Auth {
    pub(crate) cookie_name: String,
    pub(crate) max_inactive_ms: i64,
    pub(crate) max_lifetime_ms: i64,
    pub(crate) rotation_ms: i64,
    pub(crate) login_form: bool,
    /// Role of those who are not signed in, if they are let in.
    pub(crate) anonymous: Option<Role>,
    pub(crate) hide_version: bool,
    pub(crate) basic: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Users {
    pub(crate) default_theme: String,
    pub(crate) home_page: String,
    pub(crate) viewers_can_edit: bool,
    pub(crate) default_role: Role,
    pub(crate) org_name: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Dashboards {
    pub(crate) versions_to_keep: usize,
    pub(crate) min_refresh_interval: String,
    pub(crate) home_path: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub(crate) struct DataProxy {
    pub(crate) timeout_ms: i64,
    pub(crate) send_user_header: bool,
    /// Most bytes of an answer that the server itself reads.
    pub(crate) response_limit: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Alerting {
    pub(crate) execute: bool,
    pub(crate) evaluation_timeout_ms: i64,
    pub(crate) max_attempts: u32,
    pub(crate) min_interval_ms: i64,
    pub(crate) default_interval_ms: i64,
    pub(crate) jitter: bool,
    pub(crate) resolved_retention_ms: i64,
    pub(crate) notification_retention_ms: i64,
    pub(crate) history: bool,
    pub(crate) max_silences: usize,
    pub(crate) max_silence_bytes: usize,
    pub(crate) disabled_labels: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Annotations {
    /// Oldest annotation kept, 0 for no limit.
    pub(crate) max_age_ms: i64,
    pub(crate) max_count: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Smtp {
    pub(crate) host: String,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) from: String,
    pub(crate) from_name: String,
    pub(crate) hello: String,
    pub(crate) skip_verify: bool,
    pub(crate) starttls_policy: String,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    pub(crate) level: kit::log::Level,
    pub(crate) format: kit::log::Format,
}

#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) enabled: bool,
    pub(crate) basic_auth: Option<(String, Secret)>,
}

/// Section `[foursight]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Foursight {
    pub(crate) web_url: Option<String>,
    pub(crate) node_url: Option<String>,
    pub(crate) agent_url: Option<String>,
    pub(crate) metrics_url: Option<String>,
    pub(crate) logs_url: Option<String>,
    pub(crate) slack_receiver_url: Option<String>,
}

impl Settings {
    /// Reads everything that the options name.
    ///
    /// # Errors
    /// When the file cannot be read, or a value of it cannot be used: with file and line.
    pub(crate) fn load(options: &Options) -> Result<Self, IniError> {
        let home = options.homepath.clone().unwrap_or_else(|| PathBuf::from("."));
        let (file, text) = match &options.config {
            Some(file) => (file.clone(), Some(file.clone())),
            None => {
                let usual = home.join("conf/grafana.ini");
                (usual.clone(), usual.is_file().then_some(usual))
            }
        };
        let text = match text {
            Some(path) => std::fs::read_to_string(&path).map_err(|e| IniError::unreadable(&path, &e))?,
            None => String::new(),
        };
        let mut ini = Ini::new(&file, &text, &options.env)?;
        if let Some(data) = &options.data {
            ini.set("paths", "data", data.display().to_string(), "--data");
        }
        if let Some(dir) = &options.provisioning {
            ini.set("paths", "provisioning", dir.display().to_string(), "--provisioning");
        }
        Self::read(&ini, &home, options)
    }

    fn read(ini: &Ini, home: &Path, options: &Options) -> Result<Self, IniError> {
        let path = |section: &str, key: &str, default: &str| match ini.text(section, key) {
            // Flags are relative to where the command runs, as everywhere.
            Some(text) if options.has_flag(key) => PathBuf::from(text),
            Some(text) => home.join(text),
            None => home.join(default),
        };
        let texts = |section: &str| ini.section(section).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        Ok(Self {
            server: server(ini, home, options)?,
            paths: Paths {
                data: path("paths", "data", "data"),
                provisioning: path("paths", "provisioning", "conf/provisioning"),
            },
            security: security(ini)?,
            auth: auth(ini)?,
            users: Users {
                default_theme: one_of(ini, "users", "default_theme", &["dark", "light", "system"], "dark")?.to_owned(),
                home_page: ini.text("users", "home_page").unwrap_or("").to_owned(),
                viewers_can_edit: ini.bool("users", "viewers_can_edit", false)?,
                default_role: role(ini, "users", "auto_assign_org_role")?,
                org_name: ini.text("auth.anonymous", "org_name").unwrap_or("Main Org.").to_owned(),
            },
            dashboards: Dashboards {
                versions_to_keep: at_least(ini, "dashboards", "versions_to_keep", 20, 1)? as usize,
                min_refresh_interval: {
                    ini.duration_ms("dashboards", "min_refresh_interval", 5000)?;
                    ini.text("dashboards", "min_refresh_interval").unwrap_or("5s").to_owned()
                },
                home_path: ini.text("dashboards", "default_home_dashboard_path").map(|text| home.join(text)),
            },
            dataproxy: DataProxy {
                timeout_ms: positive_ms(ini, "dataproxy", "timeout", 30_000)?,
                send_user_header: ini.bool("dataproxy", "send_user_header", false)?,
                response_limit: match at_least(ini, "dataproxy", "response_limit", 0, 0)? {
                    0 => 64 << 20,
                    limit => usize::try_from(limit).unwrap_or(usize::MAX),
                },
            },
            alerting: alerting(ini)?,
            annotations: Annotations {
                max_age_ms: ini.duration_ms("annotations.api", "max_age", 0)?,
                max_count: at_least(ini, "annotations.api", "max_annotations_to_keep", 0, 0)? as usize,
            },
            smtp: smtp(ini)?,
            log: Log {
                level: match one_of(ini, "log", "level", &["debug", "info", "warn", "error", "critical"], "info")? {
                    "debug" => kit::log::Level::Debug,
                    "warn" => kit::log::Level::Warn,
                    "error" | "critical" => kit::log::Level::Error,
                    _ => kit::log::Level::Info,
                },
                format: match one_of(ini, "log.console", "format", &["console", "text", "json"], "console")? {
                    "json" => kit::log::Format::Json,
                    _ => kit::log::Format::Logfmt,
                },
            },
            metrics: Metrics {
                enabled: ini.bool("metrics", "enabled", true)?,
                basic_auth: ini
                    .text("metrics", "basic_auth_username")
                    .zip(ini.text("metrics", "basic_auth_password"))
                    .map(|(user, password)| (user.to_owned(), Secret::new(password))),
            },
            date_formats: texts("date_formats"),
            feature_toggles: feature_toggles(ini),
            foursight: foursight(ini)?,
            warnings: ini.warnings().iter().cloned().chain(not_built(ini)).collect(),
        })
    }
}

fn server(ini: &Ini, home: &Path, options: &Options) -> Result<Server, IniError> {
    let port = ini.integer("server", "http_port", 3000)?;
    let port = u16::try_from(port).map_err(|_| ini.error("server", "http_port", format!("{port} is no port")))?;
    let protocol = one_of(ini, "server", "protocol", &["http", "https", "h2", "socket"], "http")?;
    let tls = match protocol {
        "socket" => return Err(ini.error("server", "protocol", "this server does not listen on a Unix socket")),
        "http" => None,
        _ => {
            let file = |key: &str| {
                let text = ini.text("server", key);
                text.map(|text| home.join(text)).ok_or_else(|| ini.error("server", key, "needed for HTTPS"))
            };
            Some((file("cert_file")?, file("cert_key")?))
        }
    };
    let host = ini.text("server", "http_addr").unwrap_or("127.0.0.1");
    let bracketed = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    let listen = if options.listen.is_empty() { vec![format!("{bracketed}:{port}")] } else { options.listen.clone() };
    let domain = ini.text("server", "domain").unwrap_or("localhost").to_owned();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let given = ini.text("server", "root_url");
    let mut root_url = match given {
        Some(url) => url.to_owned(),
        None => match listen.first() {
            // Where it listens is where it can be reached; the domain's default only says "localhost".
            Some(address) if ini.text("server", "domain").is_none() => {
                format!("{scheme}://{}/", address.replace("0.0.0.0", "localhost").replace("[::]", "localhost"))
            }
            _ => format!("{scheme}://{domain}:{port}/"),
        },
    };
    if !root_url.starts_with("http://") && !root_url.starts_with("https://") {
        return Err(ini.error("server", "root_url", format!("{root_url:?} is no http or https URL")));
    }
    if !root_url.ends_with('/') {
        root_url.push('/');
    }
    let sub_path = if ini.bool("server", "serve_from_sub_path", false)? {
        let rest = root_url.split_once("://").map_or("", |(_, rest)| rest);
        rest.find('/').map(|at| rest[at..].trim_end_matches('/').to_owned()).unwrap_or_default()
    } else {
        String::new()
    };
    Ok(Server {
        listen,
        tls,
        domain,
        enforce_domain: ini.bool("server", "enforce_domain", false)?,
        root_url,
        root_url_given: given.is_some(),
        sub_path,
        read_timeout_ms: match ini.duration_ms("server", "read_timeout", 0)? {
            // A plain number counts minutes here.
            ms if ini.text("server", "read_timeout").is_some_and(|t| t.parse::<f64>().is_ok()) => ms * 60,
            ms => ms,
        },
        headers: ini.section("server.custom_response_headers").map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
    })
}

fn security(ini: &Ini) -> Result<Security, IniError> {
    let words = |key: &str| -> Vec<String> {
        let text = ini.text("security", key).unwrap_or("");
        text.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let same_site = one_of(ini, "security", "cookie_samesite", &["lax", "strict", "none", "disabled"], "lax")?;
    let hsts = if ini.bool("security", "strict_transport_security", false)? {
        let age = at_least(ini, "security", "strict_transport_security_max_age_seconds", 86_400, 0)?;
        let mut value = format!("max-age={age}");
        if ini.bool("security", "strict_transport_security_preload", false)? {
            value.push_str("; preload");
        }
        if ini.bool("security", "strict_transport_security_subdomains", false)? {
            value.push_str("; includeSubDomains");
        }
        Some(value)
    } else {
        None
    };
    Ok(Security {
        create_admin: !ini.bool("security", "disable_initial_admin_creation", false)?,
        admin_user: ini.text("security", "admin_user").unwrap_or("admin").to_owned(),
        admin_password: ini.text("security", "admin_password").map(Secret::new),
        admin_email: ini.text("security", "admin_email").unwrap_or("admin@localhost").to_owned(),
        cookie_secure: ini.bool("security", "cookie_secure", false)?,
        cookie_samesite: match same_site {
            "lax" => Some("Lax"),
            "strict" => Some("Strict"),
            "none" => Some("None"),
            _ => None,
        },
        allow_embedding: ini.bool("security", "allow_embedding", false)?,
        strict_transport_security: hsts,
        // A policy of one's own may be stricter or looser; without one there is a strict one.
        content_security_policy: match ini.bool("security", "content_security_policy", false)? {
            true => ini.text("security", "content_security_policy_template").map(str::to_owned),
            false => None,
        },
        brute_force_protection: !ini.bool("security", "disable_brute_force_login_protection", false)?,
        max_login_attempts: at_least(ini, "security", "brute_force_login_protection_max_attempts", 5, 1)? as u32,
        csrf_trusted_origins: words("csrf_trusted_origins"),
        proxy_whitelist: words("data_source_proxy_whitelist"),
    })
}

fn auth(ini: &Ini) -> Result<Auth, IniError> {
    const DAY_MS: i64 = 86_400_000;
    let anonymous = ini.bool("auth.anonymous", "enabled", false)?;
    let cookie_name = ini.text("auth", "login_cookie_name").unwrap_or("grafana_session").to_owned();
    if !cookie_name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)) {
        return Err(ini.error("auth", "login_cookie_name", format!("{cookie_name:?} is no name for a cookie")));
    }
    Ok(Auth {
        cookie_name,
        max_inactive_ms: positive_ms(ini, "auth", "login_maximum_inactive_lifetime_duration", 7 * DAY_MS)?,
        max_lifetime_ms: positive_ms(ini, "auth", "login_maximum_lifetime_duration", 30 * DAY_MS)?,
        rotation_ms: at_least(ini, "auth", "token_rotation_interval_minutes", 10, 2)? * 60_000,
        login_form: !ini.bool("auth", "disable_login_form", false)? && !ini.bool("auth", "disable_login", false)?,
        anonymous: if anonymous { Some(role(ini, "auth.anonymous", "org_role")?) } else { None },
        hide_version: ini.bool("auth.anonymous", "hide_version", false)?,
        basic: ini.bool("auth.basic", "enabled", true)?,
    })
}

fn alerting(ini: &Ini) -> Result<Alerting, IniError> {
    const SECTION: &str = "unified_alerting";
    let disabled = ini.text("unified_alerting.reserved_labels", "disabled_labels").unwrap_or("");
    Ok(Alerting {
        execute: ini.bool(SECTION, "execute_alerts", true)? && ini.bool(SECTION, "enabled", true)?,
        evaluation_timeout_ms: positive_ms(ini, SECTION, "evaluation_timeout", 30_000)?,
        max_attempts: at_least(ini, SECTION, "max_attempts", 3, 1)? as u32,
        min_interval_ms: positive_ms(ini, SECTION, "min_interval", 10_000)?,
        default_interval_ms: positive_ms(ini, SECTION, "default_rule_evaluation_interval", 60_000)?,
        jitter: !ini.bool(SECTION, "disable_jitter", false)?,
        resolved_retention_ms: ini.duration_ms(SECTION, "resolved_alert_retention", 15 * 60_000)?,
        notification_retention_ms: positive_ms(ini, SECTION, "notification_log_retention", 5 * 86_400_000)?,
        history: ini.bool("unified_alerting.state_history", "enabled", true)?,
        max_silences: at_least(ini, SECTION, "alertmanager_max_silences_count", 0, 0)? as usize,
        max_silence_bytes: at_least(ini, SECTION, "alertmanager_max_silence_size_bytes", 0, 0)? as usize,
        disabled_labels: disabled.split(',').map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect(),
    })
}

fn smtp(ini: &Ini) -> Result<Option<Smtp>, IniError> {
    if !ini.bool("smtp", "enabled", false)? {
        return Ok(None);
    }
    let text = |key: &str, default: &str| ini.text("smtp", key).unwrap_or(default).to_owned();
    Ok(Some(Smtp {
        host: text("host", "localhost:25"),
        user: text("user", ""),
        password: Secret::new(text("password", "")),
        from: text("from_address", "admin@grafana.localhost"),
        from_name: text("from_name", "Grafana"),
        hello: text("ehlo_identity", ""),
        skip_verify: ini.bool("smtp", "skip_verify", false)?,
        starttls_policy: text("starttls_policy", ""),
    }))
}

fn foursight(ini: &Ini) -> Result<Foursight, IniError> {
    let url = |key: &str| {
        ini.read("foursight", key, None, |text| {
            if text.starts_with("http://") || text.starts_with("https://") {
                Ok(Some(text.trim_end_matches('/').to_owned()))
            } else {
                Err(format!("{text:?} is no http or https URL"))
            }
        })
    };
    Ok(Foursight {
        web_url: url("web_url")?,
        node_url: url("node_url")?,
        agent_url: url("agent_url")?,
        metrics_url: url("metrics_url")?,
        logs_url: url("logs_url")?,
        slack_receiver_url: url("slack_receiver_url")?,
    })
}

fn feature_toggles(ini: &Ini) -> BTreeMap<String, bool> {
    let mut toggles = BTreeMap::new();
    for (key, value) in ini.section("feature_toggles") {
        if key == "enable" {
            toggles.extend(value.split([',', ' ']).filter(|name| !name.is_empty()).map(|name| (name.to_owned(), true)));
        } else {
            toggles.insert(key.to_owned(), matches!(value, "true" | "1" | "yes"));
        }
    }
    toggles
}

/// Settings that ask for something this server does not have: better a word now than a search later.
fn not_built(ini: &Ini) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |section: &str, key: &str, what: &str| found.push(ini.error(section, key, what).to_string());
    let on = |section: &str, key: &str| matches!(ini.bool(section, key, false), Ok(true));
    for section in
        ["proxy", "jwt", "ldap", "generic_oauth", "github", "gitlab", "google", "azuread", "okta", "grafana_com"]
    {
        let section = format!("auth.{section}");
        if on(&section, "enabled") {
            note(&section, "enabled", "this way to sign in is not built, users sign in with a password or a token");
        }
    }
    if ini.text("database", "type").is_some_and(|kind| kind != "sqlite3") || ini.text("database", "url").is_some() {
        note("database", "type", "no database is used: everything is kept in files below [paths] data");
    }
    if on("quota", "enabled") {
        note("quota", "enabled", "quotas are not enforced");
    }
    if on("unified_alerting.screenshots", "capture") {
        note("unified_alerting.screenshots", "capture", "pictures of panels are not made, messages go out without");
    }
    if ini.text("unified_alerting", "ha_peers").is_some() || ini.text("unified_alerting", "ha_redis_address").is_some()
    {
        note("unified_alerting", "ha_peers", "this server does not form clusters, it works alone");
    }
    if on("users", "allow_sign_up") {
        note("users", "allow_sign_up", "users cannot sign up, an administrator adds them");
    }
    if on("public_dashboards", "enabled") {
        note("public_dashboards", "enabled", "public dashboards are not built");
    }
    found
}

fn one_of<'a>(ini: &Ini, section: &str, key: &str, known: &[&'a str], default: &'a str) -> Result<&'a str, IniError> {
    ini.read(section, key, default, |text| {
        let found = known.iter().find(|known| known.eq_ignore_ascii_case(text));
        found.copied().ok_or_else(|| format!("{text:?} is not one of {}", known.join(", ")))
    })
}

fn role(ini: &Ini, section: &str, key: &str) -> Result<Role, IniError> {
    let name = one_of(ini, section, key, &["Viewer", "Editor", "Admin"], "Viewer")?;
    Ok(Role::from_name(name).unwrap_or(Role::Viewer))
}

fn at_least(ini: &Ini, section: &str, key: &str, default: i64, min: i64) -> Result<i64, IniError> {
    let value = ini.integer(section, key, default)?;
    if value < min { Err(ini.error(section, key, format!("{value} is less than {min}"))) } else { Ok(value) }
}

fn positive_ms(ini: &Ini, section: &str, key: &str, default: i64) -> Result<i64, IniError> {
    let value = ini.duration_ms(section, key, default)?;
    if value <= 0 { Err(ini.error(section, key, "must be longer than nothing")) } else { Ok(value) }
}

/// Settings for tests: defaults over a directory.
#[cfg(test)]
pub(crate) fn test_settings(dir: &Path, ini: &str) -> Settings {
    let options = Options {
        data: Some(dir.join("data")),
        provisioning: Some(dir.join("provisioning")),
        listen: vec!["127.0.0.1:0".into()],
        ..Options::default()
    };
    let env: crate::interpolate::Env = std::sync::Arc::new(|_| None);
    let mut parsed = Ini::new(Path::new("grafana.ini"), ini, &env).unwrap();
    parsed.set("paths", "data", dir.join("data").display().to_string(), "--data");
    parsed.set("paths", "provisioning", dir.join("provisioning").display().to_string(), "--provisioning");
    Settings::read(&parsed, dir, &options).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Settings, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("grafana.ini");
        std::fs::write(&file, text).unwrap();
        let env: crate::interpolate::Env = std::sync::Arc::new(|_| None);
        let options = Options { config: Some(file.clone()), env, ..Options::default() };
        Settings::load(&options).map_err(|e| e.to_string().replace(&file.display().to_string(), "grafana.ini"))
    }

    #[test]
    fn defaults_are_safe() {
        let settings = load("").unwrap();
        assert_eq!(settings.server.listen, ["127.0.0.1:3000"]);
        assert_eq!(settings.server.root_url, "http://127.0.0.1:3000/");
        assert!(settings.security.admin_password.is_none() && settings.auth.anonymous.is_none());
        assert_eq!(settings.warnings, [] as [String; 0]);
    }

    #[test]
    fn reads_what_is_there() {
        let settings = load(
            "[server]\nhttp_addr = ::1\nhttp_port = 8080\nroot_url = https://x.test/grafana\nserve_from_sub_path = true\n\
             [auth.anonymous]\nenabled = true\norg_role = editor\n[paths]\ndata = d\n\
             [foursight]\nweb_url = http://10.0.0.1:5000/\n[feature_toggles]\nenable = a,b\nc = false\n",
        )
        .unwrap();
        assert_eq!(settings.server.listen, ["[::1]:8080"]);
        assert_eq!(
            (settings.server.root_url.as_str(), settings.server.sub_path.as_str()),
            ("https://x.test/grafana/", "/grafana")
        );
        assert_eq!(settings.auth.anonymous, Some(Role::Editor));
        assert_eq!(settings.paths.data, Path::new("./d"));
        assert_eq!(settings.foursight.web_url.as_deref(), Some("http://10.0.0.1:5000"));
        assert_eq!(settings.feature_toggles.get("b"), Some(&true));
    }

    #[test]
    fn wrong_values_name_their_line() {
        for (text, want) in [
            ("[server]\nhttp_port = 70000\n", "grafana.ini:2: [server] http_port: 70000 is no port"),
            ("[server]\nprotocol = https\n", "grafana.ini: [server] cert_file: needed for HTTPS"),
            (
                "\n[server]\nroot_url = nowhere\n",
                "grafana.ini:3: [server] root_url: \"nowhere\" is no http or https URL",
            ),
            (
                "[auth.anonymous]\nenabled = perhaps\n",
                "grafana.ini:2: [auth.anonymous] enabled: \"perhaps\" is neither true nor false",
            ),
            (
                "[auth.anonymous]\nenabled = 1\norg_role = King\n",
                "grafana.ini:3: [auth.anonymous] org_role: \"King\" is not one of Viewer, Editor, Admin",
            ),
            ("[dashboards]\nversions_to_keep = 0\n", "grafana.ini:2: [dashboards] versions_to_keep: 0 is less than 1"),
        ] {
            assert_eq!(load(text).unwrap_err(), want);
        }
        let settings = load("[auth.ldap]\nenabled = true\n").unwrap();
        assert!(
            settings.warnings[0].contains("grafana.ini:2: [auth.ldap] enabled: this way to sign in is not built"),
            "{:?}",
            settings.warnings
        );
    }
}
