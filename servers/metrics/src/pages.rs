//! Pages for people: what is scraped, what runs, what is configured, and a form for queries. Plain HTML, no script.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use promql::{SampleValue, TimeParams, Value};

use crate::api::params::Params;
use crate::queries::{Origin, QueryRequest};
use crate::scrape::Health;
use crate::state::App;

const STYLE: &str = include_str!("pages.css");

/// Routes of the pages.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("query") }))
        .route("/graph", get(|| async { Redirect::temporary("query") }))
        .route("/query", get(query))
        .route("/targets", get(targets))
        .route("/status", get(status))
        .route("/flags", get(flags))
        .route("/config", get(config))
        .route("/tsdb-status", get(tsdb_status))
        .route("/pages.css", get(|| async { ([(header::CONTENT_TYPE, "text/css")], STYLE) }))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn page(title: &str, body: &str) -> Response {
    let links = ["query", "targets", "rules", "alerts", "status", "tsdb-status", "config", "flags", "metrics"]
        .iter()
        .map(|link| {
            let class = if *link == title { " class=\"here\"" } else { "" };
            format!("<a href=\"{link}\"{class}>{link}</a>")
        })
        .collect::<String>();
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{} · metrics</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><link rel=\"stylesheet\" href=\"pages.css\"></head>\
         <body><nav><b>Foursight metrics</b>{links}</nav><main>{body}</main></body></html>",
        escape(title)
    );
    let policy = "default-src 'none'; style-src 'self'; form-action 'self'";
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, policy)], html)
        .into_response()
}

async fn query(State(app): State<Arc<App>>, request: Request) -> Response {
    let params = match Params::read(request).await {
        Ok(params) => params,
        Err(e) => return e.into_response(),
    };
    let text = params.get("query");
    let mut body = format!(
        "<form><textarea name=\"query\" rows=\"3\" autofocus aria-label=\"query\">{}</textarea><button>Run</button></form>",
        escape(text)
    );
    if !text.is_empty() {
        let request = QueryRequest {
            text: text.to_owned(),
            times: TimeParams::Instant(kit::time::now_ms()),
            timeout: app.queries.settings().timeout,
            lookback_ms: 0,
            per_step_stats: false,
            origin: Origin::Http { path: "/query".to_owned(), client: String::new() },
        };
        match app.queries.run(request).await {
            Ok(answered) => result(&mut body, &answered.output.value),
            Err(e) => {
                let _ = write!(body, "<pre class=\"bad\">{}</pre>", escape(&e.to_string()));
            }
        }
    }
    page("query", &body)
}

/// Most rows of a table.
const MAX_ROWS: usize = 1_000;

fn result(body: &mut String, value: &Value) {
    let row = |body: &mut String, labels: &str, value: &str| {
        let _ = write!(body, "<tr><td><code>{}</code></td><td>{}</td></tr>", escape(labels), escape(value));
    };
    body.push_str("<table><tr><th>series</th><th>value</th></tr>");
    match value {
        Value::Scalar { value, .. } => row(body, "scalar", &value.to_string()),
        Value::String { value, .. } => row(body, "string", value),
        Value::Vector { samples, .. } => {
            for sample in samples.iter().take(MAX_ROWS) {
                let value = match &sample.value {
                    SampleValue::Float(value) => value.to_string(),
                    SampleValue::Histogram(histogram) => format!("count {} sum {}", histogram.count, histogram.sum),
                };
                row(body, &sample.labels.to_string(), &value);
            }
        }
        Value::Matrix(series) => {
            for series in series.iter().take(MAX_ROWS) {
                let values: Vec<_> =
                    series.floats.iter().map(|(time, value)| format!("{value} @ {}", *time as f64 / 1000.0)).collect();
                row(body, &series.labels.to_string(), &values.join("\n"));
            }
        }
    }
    body.push_str("</table>");
}

async fn targets(State(app): State<Arc<App>>) -> Response {
    let mut body = String::new();
    let now = kit::time::now_ms();
    for view in app.scrapes.view() {
        let up = view.active.iter().filter(|target| target.last().health == Health::Up).count();
        let _ = write!(body, "<h2>{} <small>{up} of {} up</small></h2>", escape(&view.name), view.active.len());
        if let Some(problem) = &view.problem {
            let _ = write!(body, "<p class=\"bad\">{}</p>", escape(problem));
        }
        body.push_str("<table><tr><th>target</th><th>state</th><th>labels</th><th>last scrape</th><th>took</th><th>error</th></tr>");
        for target in &view.active {
            let last = target.last();
            let ago = if last.time_ms == 0 {
                "never".to_owned()
            } else {
                format!("{:.1} s ago", (now - last.time_ms) as f64 / 1000.0)
            };
            let _ = write!(
                body,
                "<tr><td>{}</td><td class=\"{1}\">{1}</td><td><code>{2}</code></td><td>{ago}</td><td>{3:.1} ms</td><td class=\"bad\">{4}</td></tr>",
                escape(&kit::client::without_credentials(&target.url)),
                last.health.as_str(),
                escape(&target.labels.to_string()),
                last.duration.as_secs_f64() * 1000.0,
                escape(last.error.as_deref().unwrap_or(""))
            );
        }
        body.push_str("</table>");
        if view.dropped_count > 0 {
            let _ = write!(body, "<p>{} targets were dropped by relabelling.</p>", view.dropped_count);
        }
    }
    if body.is_empty() {
        body.push_str("<p>No scrape jobs are configured.</p>");
    }
    page("targets", &body)
}

async fn status(State(app): State<Arc<App>>) -> Response {
    let (ok, last_ms) = app.reloads.last();
    let stats = app.db.stats();
    let rows = [
        ("version", crate::api::version().to_owned()),
        ("started", kit::time::Rfc3339(app.started_ms).to_string()),
        (
            "configuration",
            format!(
                "{} at {}",
                if ok { "loaded" } else { "refused, the old one is in force" },
                kit::time::Rfc3339(last_ms)
            ),
        ),
        ("retention", app.retention_text.load().to_string()),
        ("series in memory", stats.head_series.to_string()),
        ("blocks", format!("{} ({} bytes)", stats.blocks, stats.block_bytes)),
        ("writes", stats.refusing.map_or_else(|| "taken".to_owned(), |reason| format!("refused: {reason}"))),
        ("damaged places", stats.damage.to_string()),
    ];
    let mut body = String::from("<table>");
    for (name, value) in rows {
        let _ = write!(body, "<tr><th>{name}</th><td>{}</td></tr>", escape(&value));
    }
    body.push_str("</table>");
    page("status", &body)
}

async fn flags(State(app): State<Arc<App>>) -> Response {
    let mut body = String::from("<table>");
    for (name, value) in &app.flags {
        let _ = write!(body, "<tr><td><code>--{}</code></td><td>{}</td></tr>", escape(name), escape(value));
    }
    body.push_str("</table>");
    page("flags", &body)
}

async fn config(State(app): State<Arc<App>>) -> Response {
    page("config", &format!("<pre>{}</pre>", escape(&app.config.load().to_yaml())))
}

async fn tsdb_status(State(app): State<Arc<App>>) -> Response {
    let worker = app.clone();
    let report = tokio::task::spawn_blocking(move || worker.db.cardinality(20)).await;
    let body = match report {
        Ok(Ok(report)) => {
            let mut body = format!("<p>{} series, {} label pairs in memory.</p>", report.series, report.pairs);
            for (title, rows) in [
                ("series by metric", &report.series_by_metric),
                ("values by label", &report.values_by_name),
                ("series by label pair", &report.series_by_pair),
            ] {
                let _ = write!(body, "<h2>{title}</h2><table>");
                for row in rows {
                    let _ = write!(body, "<tr><td><code>{}</code></td><td>{}</td></tr>", escape(&row.name), row.count);
                }
                body.push_str("</table>");
            }
            body
        }
        Ok(Err(e)) => format!("<p class=\"bad\">{}</p>", escape(&e.to_string())),
        Err(e) => format!("<p class=\"bad\">{}</p>", escape(&e.to_string())),
    };
    page("tsdb-status", &body)
}
