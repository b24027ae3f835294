//! What may be asked of a data source through the proxy.
//!
//! The proxy signs in on behalf of everyone who may look at dashboards, so it passes on what looking needs: reading series,
//! labels and lines. Deleting, writing, reloading and stopping a data source is not for a browser, whoever sits at it.

use axum::http::{Method, StatusCode};
use kit::percent;

use super::SourceKind;
use crate::auth::Role;
use crate::error::ApiError;

/// Paths that may be asked with GET and POST, `*` for one segment.
const PROMETHEUS_QUERIES: &[&str] = &[
    "api/v1/query",
    "api/v1/query_range",
    "api/v1/query_exemplars",
    "api/v1/series",
    "api/v1/labels",
    "api/v1/format_query",
    "api/v1/parse_query",
];

const LOKI_QUERIES: &[&str] = &[
    "loki/api/v1/query",
    "loki/api/v1/query_range",
    "loki/api/v1/labels",
    "loki/api/v1/label",
    "loki/api/v1/label/*/values",
    "loki/api/v1/series",
    "loki/api/v1/index/stats",
    "loki/api/v1/index/volume",
    "loki/api/v1/index/volume_range",
    "loki/api/v1/patterns",
    "loki/api/v1/detected_labels",
    "loki/api/v1/detected_fields",
    "loki/api/v1/detected_field/*/values",
    "loki/api/v1/format_query",
];

/// Paths of Loki that may be asked with GET besides.
const LOKI_READS: &[&str] = &[
    "loki/api/v1/tail",
    "loki/api/v1/rules",
    "loki/api/v1/rules/*",
    "loki/api/v1/rules/*/*",
    "loki/api/v1/status/buildinfo",
    "loki/api/v1/drilldown-limits",
    "prometheus/api/v1/rules",
    "prometheus/api/v1/alerts",
    "api/prom/query",
    "api/prom/label",
    "api/prom/label/*/values",
    "api/prom/series",
    "api/prom/tail",
    "ready",
    "metrics",
];

fn fits(path: &str, patterns: &[&str]) -> bool {
    let segments: Vec<&str> = path.split('/').collect();
    patterns.iter().any(|pattern| {
        let wanted: Vec<&str> = pattern.split('/').collect();
        wanted.len() == segments.len()
            && wanted
                .iter()
                .zip(&segments)
                .all(|(wanted, found)| (*wanted == "*" && !found.is_empty()) || wanted == found)
    })
}

/// Whether a request may pass. `path` is without a slash at the front and has been through [`clean_path`].
///
/// # Errors
/// 403 when it may not.
pub(crate) fn check(kind: SourceKind, method: &Method, path: &str, role: Role) -> Result<(), ApiError> {
    let path = path.trim_end_matches('/');
    let read = matches!(*method, Method::GET | Method::HEAD);
    let allowed = match kind {
        SourceKind::Prometheus => {
            let admin = path.starts_with("api/v1/admin") || path == "-/reload" || path == "-/quit";
            (read && !admin) || (*method == Method::POST && fits(path, PROMETHEUS_QUERIES))
        }
        SourceKind::Loki => {
            fits(path, LOKI_QUERIES) && (read || *method == Method::POST) || (read && fits(path, LOKI_READS))
        }
        SourceKind::Alertmanager => read && path.starts_with("api/v2/"),
        // What the rest of the world means by its paths nobody here knows.
        SourceKind::Other => (read && role >= Role::Viewer) || role >= Role::Editor,
    };
    if allowed {
        return Ok(());
    }
    Err(ApiError::new(StatusCode::FORBIDDEN, format!("{method} {path} is not passed on to the data source"))
        .id("datasources.proxy.not-allowed"))
}

/// The path to be asked for, as it was written.
///
/// # Errors
/// 400 when it would leave the data source's URL, also when that is hidden in escapes.
pub(crate) fn clean_path(raw: &str) -> Result<&str, ApiError> {
    let bad = || ApiError::bad_request("the path leads out of the data source").id("datasources.proxy.path");
    let path = raw.trim_start_matches('/');
    if path.contains("//") {
        return Err(bad());
    }
    let mut decoded = path.to_owned();
    // Escapes within escapes: whoever undoes them more often than this has other problems.
    for _ in 0..3 {
        let leaves = decoded.split(['/', '\\']).any(|segment| matches!(segment.split(';').next(), Some(".." | ".")));
        if leaves || decoded.contains('\0') || decoded.contains(['\n', '\r']) {
            return Err(bad());
        }
        decoded = percent::decode(&decoded);
    }
    Ok(path)
}

/// Pairs as a query string or form.
pub(crate) fn encode_pairs(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(k, v)| format!("{}={}", percent::encode(k), percent::encode(v))).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reading_passes() {
        use SourceKind::*;
        let cases = [
            (Prometheus, "GET", "api/v1/query", true),
            (Prometheus, "POST", "api/v1/query_range", true),
            (Prometheus, "GET", "api/v1/label/a/values", true),
            (Prometheus, "GET", "api/v1/status/buildinfo", true),
            (Prometheus, "POST", "api/v1/admin/tsdb/delete_series", false),
            (Prometheus, "GET", "api/v1/admin/tsdb/snapshot", false),
            (Prometheus, "PUT", "api/v1/query", false),
            (Prometheus, "DELETE", "api/v1/series", false),
            (Prometheus, "POST", "-/reload", false),
            (Prometheus, "POST", "api/v1/write", false),
            (Loki, "GET", "loki/api/v1/query_range", true),
            (Loki, "POST", "loki/api/v1/query_range", true),
            (Loki, "GET", "loki/api/v1/label/job/values", true),
            (Loki, "GET", "loki/api/v1/tail", true),
            (Loki, "POST", "loki/api/v1/push", false),
            (Loki, "GET", "loki/api/v1/delete", false),
            (Loki, "GET", "ingester/shutdown", false),
            (Loki, "GET", "config", false),
            (Alertmanager, "GET", "api/v2/alerts", true),
            (Alertmanager, "POST", "api/v2/silences", false),
            (Other, "GET", "x", true),
            (Other, "POST", "x", false),
        ];
        for (kind, method, path, want) in cases {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(check(kind, &method, path, Role::Viewer).is_ok(), want, "{kind:?} {method} {path}");
        }
        assert!(check(Other, &Method::POST, "x", Role::Editor).is_ok());
        assert!(check(Loki, &Method::POST, "loki/api/v1/push", Role::Admin).is_err());
    }

    #[test]
    fn paths_stay_below_the_source() {
        for path in ["api/v1/query", "/api/v1/label/a%2Fb/values", "a..b/c", "api/v1/label/..x/values", ""] {
            assert!(clean_path(path).is_ok(), "{path}");
        }
        for path in [
            "../x",
            "a/../b",
            "a/..",
            "a/%2e%2e/b",
            "a/%2E./b",
            "a%2f..%2fb",
            "a/..%5cb",
            "%252e%252e/x",
            "a/./b",
            "..;/x",
            "a//b",
            "a%00b",
            "a%0d%0ab",
        ] {
            assert!(clean_path(path).is_err(), "{path}");
        }
    }
}
