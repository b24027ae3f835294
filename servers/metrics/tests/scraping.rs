//! Scraping over HTTP: what a target is asked for, what its answers do, and what becomes of its series when it goes.

mod common;

use common::{Server, Target};

const TEXT: &str = "text/plain; version=0.0.4";

fn config(target: &Target, more: &str) -> String {
    format!(
        "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\nscrape_configs:\n- job_name: j\n  static_configs:\n  - targets: ['{}']\n{more}",
        target.address
    )
}

async fn last_error(server: &Server) -> String {
    let targets = server.data("/api/v1/targets?state=active").await;
    targets["activeTargets"][0]["lastError"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_asked_as_upstream_asks() {
    let target = Target::start(TEXT, "m 1\n").await;
    let more = "  scrape_native_histograms: true\n  http_headers: {X-Own: {values: [mine]}}\n  basic_auth: {username: u, password: p}\n";
    let mut server = Server::start(&config(&target, more), &[]).await;
    server.until("there is a sample", async || server.value("m").await == Some(1.0)).await;
    let asked = target.asked().remove(0);
    let header = |name: &str| asked.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    assert!(
        header("accept").starts_with("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"),
        "{}",
        header("accept")
    );
    assert_eq!(header("x-prometheus-scrape-timeout-seconds"), "0.2");
    assert_eq!(header("accept-encoding"), "gzip");
    assert!(header("user-agent").starts_with("Prometheus/"));
    assert_eq!(header("x-own"), "mine");
    assert_eq!(header("authorization"), "Basic dTpw");
    assert_eq!(server.value("up").await, Some(1.0));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_cannot_be_used_make_the_target_down() {
    let target = Target::start(TEXT, "m 1\n").await;
    let mut server = Server::start(&config(&target, "  body_size_limit: 1KB\n"), &[]).await;
    server.until("the target is up", async || server.value("up").await == Some(1.0)).await;
    let down = async |want: &str| {
        server.until(want, async || last_error(&server).await.contains(want)).await;
        server.until("the target is down", async || server.value("up").await == Some(0.0)).await;
        server.until("its series have ended", async || server.value("m").await.is_none()).await;
    };
    let up = async || {
        target.set_status(200);
        target.set("m 1\n");
        server.until("the target is up again", async || server.value("m").await == Some(1.0)).await;
    };
    target.set_status(503);
    down("server returned HTTP status 503 Service Unavailable").await;
    up().await;
    target.set("m 1\n".repeat(1000));
    down("body size limit exceeded").await;
    up().await;
    target.set("m 1\nthis is no page\n");
    down("2").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_a_format_needs_a_fallback() {
    let target = Target::start("", "m 1\n").await;
    let mut server = Server::start(&config(&target, ""), &[]).await;
    let want =
        "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target";
    server.until("the target is refused", async || last_error(&server).await == want).await;
    std::fs::write(server.config_file(), config(&target, "  fallback_scrape_protocol: PrometheusText0.0.4\n")).unwrap();
    assert_eq!(server.post("/-/reload", "").await.status, 200);
    server.until("the fallback is used", async || server.value("m").await == Some(1.0)).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn series_that_vanish_around_a_reload_end() {
    let target = Target::start(TEXT, "a 1\nb 1\n").await;
    let mut server = Server::start(&config(&target, ""), &[]).await;
    server.until("there are samples", async || server.value("b").await == Some(1.0)).await;
    target.set("a 1\n");
    // Whether the old task or the new one asks next: somebody knows that there was a `b`.
    assert_eq!(server.post("/-/reload", "").await.status, 200);
    server.until("b has ended", async || server.value("b").await.is_none()).await;
    assert_eq!(server.value("a").await, Some(1.0));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_moves_to_another_file_goes_on() {
    let target = Target::start(TEXT, "m 1\n").await;
    let mut server = Server::start("", &[]).await;
    let path = |name: &str| server.path().join(name);
    let group = format!("- targets: ['{}']\n  labels: {{job: same}}\n", target.address);
    std::fs::write(path("a.yml"), &group).unwrap();
    std::fs::write(path("b.yml"), "[]").unwrap();
    let job = |name: &str, file: &str| {
        format!(
            "- job_name: {name}\n  file_sd_configs:\n  - {{files: ['{}'], refresh_interval: 100ms}}\n",
            path(file).display()
        )
    };
    let config = format!(
        "global: {{scrape_interval: 300ms, scrape_timeout: 300ms}}\nscrape_configs:\n{}{}",
        job("a", "a.yml"),
        job("b", "b.yml")
    );
    std::fs::write(server.config_file(), config).unwrap();
    assert_eq!(server.post("/-/reload", "").await.status, 200);
    server.until("there is a sample", async || server.value("m{job='same'}").await == Some(1.0)).await;
    std::fs::write(path("b.yml"), &group).unwrap();
    std::fs::write(path("a.yml"), "[]").unwrap();
    let in_pool = async |name: &str| {
        let data = server.data(&format!("/api/v1/targets?state=active&scrapePool={name}")).await;
        data["activeTargets"].as_array().map_or(0, Vec::len)
    };
    server.until("the target has moved", async || in_pool("a").await == 0 && in_pool("b").await == 1).await;
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    // Two intervals later the old task has said that its series end: before what the new one stored.
    assert_eq!(server.value("m{job='same'}").await, Some(1.0));
    std::fs::write(path("b.yml"), "[]").unwrap();
    server.until("gone for good, the series ends", async || server.value("m{job='same'}").await.is_none()).await;
    server.until("and its report", async || server.value("up{job='same'}").await.is_none()).await;
    server.stop().await;
}
