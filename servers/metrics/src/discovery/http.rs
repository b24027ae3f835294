//! A URL that answers with a JSON list of target groups.

use std::time::{Duration, Instant};

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use kit::client::{Client, Request};
use model::Labels;
use serde::Deserialize;

use super::{Group, Provider};
use crate::config::discovery::HttpDiscovery;

/// A target group as the URL gives it.
#[derive(Debug, Deserialize)]
struct Answered {
    targets: Vec<String>,
    #[serde(default)]
    labels: std::collections::BTreeMap<String, String>,
}

pub(super) async fn run(provider: Provider, config: HttpDiscovery, user_agent: String) {
    let interval =
        Duration::from_millis(u64::try_from(config.refresh_interval_ms).unwrap_or(0)).max(Duration::from_secs(1));
    let client = match Client::new(&config.http, &user_agent) {
        Ok(client) => client,
        Err(e) => {
            tracing::error!(component = "discovery", job = provider.job, url = config.url, error = %e, "HTTP discovery cannot start");
            return;
        }
    };
    loop {
        let begun = Instant::now();
        match ask(&client, &config, interval).await {
            Ok(groups) => provider.found(groups),
            Err(reason) => {
                provider.metrics().http_failures.inc();
                provider.metrics().refresh_failures.with(&["http"]).inc();
                let url = kit::client::without_credentials(&config.url);
                tracing::error!(
                    component = "discovery",
                    job = provider.job,
                    url,
                    err = reason,
                    "unable to refresh target groups"
                );
            }
        }
        provider.metrics().refresh_duration.with(&["http"]).observe(begun.elapsed().as_secs_f64());
        if !provider.stop.sleep(interval).await {
            return;
        }
    }
}

async fn ask(client: &Client, config: &HttpDiscovery, interval: Duration) -> Result<Vec<Group>, String> {
    let seconds = HeaderValue::from_str(&interval.as_secs_f64().to_string()).unwrap_or(HeaderValue::from_static("60"));
    let request = Request::get(&config.url)
        .timeout(interval)
        .header(header::ACCEPT, HeaderValue::from_static("application/json"))
        .header(HeaderName::from_static("x-prometheus-refresh-interval-seconds"), seconds);
    let answer = client.send(request).await.map_err(|e| e.to_string())?;
    if answer.status != StatusCode::OK {
        return Err(format!("server returned HTTP status {}", answer.status));
    }
    let content_type = answer.header(header::CONTENT_TYPE).unwrap_or("");
    if !content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Err(format!("unsupported content type {content_type:?}"));
    }
    let groups: Vec<Answered> = serde_json::from_slice(&answer.body).map_err(|e| e.to_string())?;
    let url = kit::client::without_credentials(&config.url);
    Ok(groups
        .into_iter()
        .enumerate()
        .map(|(at, group)| Group {
            source: format!("{url}:{at}"),
            targets: group
                .targets
                .iter()
                .map(|target| {
                    let mut labels = Labels::from_pairs(&group.labels).to_builder();
                    labels.set("__address__", target).set("__meta_url", &url);
                    labels.build()
                })
                .collect(),
        })
        .collect())
}
