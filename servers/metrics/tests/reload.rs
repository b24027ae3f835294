//! Reloading: a configuration that cannot be used changes nothing, a good one takes effect; the log of queries.

mod common;

use axum::http::{Method, StatusCode};
use common::{Server, Target};

fn config(job: &str, target: &Target) -> String {
    format!(
        "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}\nscrape_configs:\n- job_name: {job}\n  static_configs:\n  - targets: ['{}']\n",
        target.address
    )
}

async fn jobs(server: &Server) -> Vec<String> {
    let data = server.data("/api/v1/scrape_pools").await;
    data["scrapePools"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

async fn own_metric(server: &Server, name: &str) -> Option<f64> {
    let page = server.get("/metrics").await;
    let page = String::from_utf8_lossy(&page.body).into_owned();
    page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_configuration_leaves_the_old_one_in_force() {
    let target = Target::start("text/plain; version=0.0.4", "m 1\n").await;
    let mut server = Server::start(&config("first", &target), &[]).await;
    let metric = "prometheus_config_last_reload_successful";
    assert_eq!(own_metric(&server, metric).await, Some(1.0));
    let rules = server.path().join("rules.yml");
    std::fs::write(&rules, "groups:\n- name: a\n  rules:\n  - record: x\n    expr: sum(\n").unwrap();
    let broken = [
        ("no YAML", "a: [".to_owned(), "1:"),
        ("an unknown field", config("second", &target) + "  scrape_intervall: 1s\n", "scrape_intervall"),
        (
            "a bad rule file",
            config("second", &target) + &format!("rule_files: ['{}']\n", rules.display()),
            "parse error",
        ),
        ("jobs of one name", config("second", &target) + "- job_name: second\n", "second"),
    ];
    for (what, text, said) in broken {
        std::fs::write(server.config_file(), text).unwrap();
        let answer = server.post("/-/reload", "").await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{what}");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(text.starts_with("failed to reload config:") && text.contains(said), "{what}: {text}");
        assert_eq!(jobs(&server).await, ["first"], "{what}");
        assert_eq!(own_metric(&server, metric).await, Some(0.0), "{what}");
        let notices = server.data("/api/v1/notifications").await;
        assert_eq!(notices[0]["text"], "Configuration reload has failed.", "{what}: {notices}");
        assert_eq!(server.data("/api/v1/status/runtimeinfo").await["reloadConfigSuccess"], false, "{what}");
        let yaml = server.data("/api/v1/status/config").await["yaml"].as_str().unwrap().to_owned();
        assert!(yaml.contains("job_name: first"), "{what}: {yaml}");
    }
    // The old configuration is not only shown: its target is still asked.
    let asked = target.asked().len();
    server.until("the target is scraped", async || target.asked().len() > asked + 1).await;

    std::fs::write(server.config_file(), config("third", &target)).unwrap();
    assert_eq!(server.post("/-/reload", "").await.status, StatusCode::OK);
    assert_eq!(server.data("/api/v1/notifications").await, serde_json::json!([]));
    assert_eq!(jobs(&server).await, ["third"]);
    assert_eq!(own_metric(&server, metric).await, Some(1.0));
    server.until("the new job brings samples", async || server.value("m{job=\"third\"}").await == Some(1.0)).await;
    server.until("the old job's series have ended", async || server.value("m{job=\"first\"}").await.is_none()).await;
    assert_eq!(server.method(Method::GET, "/-/reload").await.status, StatusCode::METHOD_NOT_ALLOWED);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_loaded_when_told_to_watch() {
    let target = Target::start("text/plain; version=0.0.4", "m 1\n").await;
    let flags = ["--enable-feature=auto-reload-config", "--config.auto-reload-interval=50ms"];
    let mut server = Server::start(&config("first", &target), &flags).await;
    std::fs::write(server.config_file(), "broken: [").unwrap();
    server
        .until("the broken file was looked at", async || {
            server.data("/api/v1/status/runtimeinfo").await["reloadConfigSuccess"] == false
        })
        .await;
    assert_eq!(jobs(&server).await, ["first"]);
    std::fs::write(server.config_file(), config("a_second_one", &target)).unwrap();
    server.until("the new file is in force", async || jobs(&server).await == ["a_second_one"]).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_logged_where_the_configuration_says() {
    let mut server = Server::start("", &[]).await;
    let log = server.path().join("queries.log");
    std::fs::write(server.config_file(), format!("global: {{query_log_file: '{}'}}\n", log.display())).unwrap();
    assert_eq!(server.post("/-/reload", "").await.status, StatusCode::OK);
    server.query("1 + 1").await;
    assert_eq!(server.error("/api/v1/query?query=absent_function(1)").await.0, 400);
    let lines = std::fs::read_to_string(&log).unwrap();
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(first["params"]["query"], "1 + 1");
    assert_eq!(first["httpRequest"]["path"], "/api/v1/query");
    assert!(first["stats"]["timings"]["execTotalTime"].is_number());
    std::fs::write(server.config_file(), "").unwrap();
    assert_eq!(server.post("/-/reload", "").await.status, StatusCode::OK);
    let before = std::fs::read_to_string(&log).unwrap().len();
    server.query("2 + 2").await;
    assert_eq!(std::fs::read_to_string(&log).unwrap().len(), before);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_how_long_data_is_kept() {
    let target = Target::start("text/plain; version=0.0.4", "m 1\n").await;
    let kept = |retention: &str| config("kept", &target) + "storage:\n  tsdb:\n    retention:\n" + retention;
    let shown = async |server: &Server| {
        server.data("/api/v1/status/runtimeinfo").await["storageRetention"].as_str().unwrap().to_owned()
    };
    let mut server = Server::start(&kept("      time: 30d\n"), &["--storage.tsdb.retention.size=1GB"]).await;
    assert_eq!(shown(&server).await, "30d or 1GiB");
    let limit = "prometheus_tsdb_retention_limit_seconds";
    assert_eq!(own_metric(&server, limit).await, Some(30.0 * 86_400.0));

    let classes = |selector: &str| {
        kept(&format!(
            "      time: 2d\n      size: 5GB\n      classes:\n      - {{selector: '{selector}', time: 1y}}\n"
        ))
    };
    std::fs::write(server.config_file(), classes("{job=\"billing\"}")).unwrap();
    assert_eq!(server.post("/-/reload", "").await.status, StatusCode::OK);
    assert_eq!(shown(&server).await, "2d or 5GiB, 1 for some series");
    assert_eq!(own_metric(&server, limit).await, Some(2.0 * 86_400.0));

    std::fs::write(server.config_file(), classes("{job=")).unwrap();
    let answer = server.post("/-/reload", "").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(text.contains("the selector of a retention class is wrong"), "{text}");
    assert_eq!(shown(&server).await, "2d or 5GiB, 1 for some series");
    server.stop().await;
}
