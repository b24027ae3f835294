use super::*;

fn read(text: &str) -> Result<Config, ConfigError> {
    parse(text, &[], Some(PathBuf::from("loki.yaml")))
}

#[test]
fn defaults_are_the_peers() {
    let config = read("").unwrap();
    assert!(config.auth_enabled);
    assert_eq!((config.server.port, config.server.address.as_str()), (3100, "127.0.0.1"));
    assert_eq!(config.storage.dir, PathBuf::from("data/logs"));
    assert_eq!(config.limits.store, logstore::Limits::default());
    assert_eq!(config.limits.request, RequestLimits::default());
    assert_eq!(config.limits.query_timeout, Duration::from_secs(60));
    assert_eq!(config.limits.discover_service_name.len(), 13);
    assert_eq!((config.query.concurrency, config.push.max_body), (4, 100 << 20));
    assert_eq!(config.limits.deletion_mode, DeletionMode::FilterAndDelete);
    assert!(config.limits.volume_enabled && config.ruler.enable_api && !config.patterns_enabled);
    assert_eq!(config.without_effect, Vec::<String>::new());
}

use logql::params::RequestLimits;

#[test]
fn a_single_binarys_file_loads() {
    let text = r#"
auth_enabled: false
server:
  http_listen_port: 0
  http_listen_address: 0.0.0.0
  grpc_listen_port: 9096
  log_level: debug
common:
  instance_addr: 127.0.0.1
  path_prefix: /tmp/loki
  storage:
    filesystem:
      chunks_directory: /tmp/loki/chunks
      rules_directory: /tmp/loki/rules
  replication_factor: 1
  ring:
    kvstore:
      store: inmemory
query_range:
  results_cache:
    cache:
      embedded_cache:
        enabled: true
        max_size_mb: 100
limits_config:
  metric_aggregation_enabled: true
  retention_period: 31d
  max_line_size: 1MB
  retention_stream:
    - selector: '{app="x"}'
      priority: 1
      period: 24h
schema_config:
  configs:
    - from: 2020-10-24
      store: tsdb
      object_store: filesystem
      schema: v13
      index:
        prefix: index_
        period: 24h
pattern_ingester:
  enabled: true
ruler:
  alertmanager_url: http://localhost:9093,http://localhost:9094
frontend:
  encoding: protobuf
"#;
    let config = read(text).unwrap();
    assert_eq!(config.storage.dir, PathBuf::from("/tmp/loki/logstore"));
    assert_eq!(config.ruler.dir, PathBuf::from("/tmp/loki/rules"));
    assert_eq!(config.ruler.alertmanagers, ["http://localhost:9093", "http://localhost:9094"]);
    assert_eq!(config.server.address, "0.0.0.0");
    assert_eq!(config.limits.store.max_line_bytes, 1 << 20);
    assert_eq!(config.limits.retention_period_ns, 31 * 24 * 3_600_000_000_000);
    let x = Labels::from_pairs([("app", "x")]);
    assert_eq!(config.limits.retention_hours(&x), "24");
    assert_eq!(config.limits.retention_hours(&Labels::from_pairs([("app", "y")])), "744");
    assert!(config.patterns_enabled);
    for key in ["server.grpc_listen_port", "schema_config.configs", "common.ring.kvstore.store", "frontend.encoding"] {
        assert!(config.without_effect.iter().any(|k| k == key), "{key} in {:?}", config.without_effect);
    }
}

#[test]
fn wrong_files_are_refused_with_their_place() {
    let cases = [
        ("nope: 1\n", "loki.yaml:1:1: field nope not found in root"),
        ("server:\n  http_port: 1\n", "loki.yaml:2:3: server: field http_port not found in server"),
        (
            "server:\n  http_listen_port: abc\n",
            "loki.yaml:2:21: http_listen_port: cannot read \"abc\" as a whole number",
        ),
        ("auth_enabled: perhaps\n", "loki.yaml:1:15: auth_enabled: cannot read \"perhaps\" as a boolean"),
        (
            "limits_config:\n  query_timeout: 5 parsecs\n",
            "loki.yaml:2:18: query_timeout: cannot read \"5 parsecs\" as a duration such as 1h30m",
        ),
        (
            "limits_config:\n  deletion_mode: sometimes\n",
            "loki.yaml:2:18: deletion_mode: unknown deletion mode \"sometimes\"",
        ),
        (
            "limits_config: 5\n",
            "loki.yaml:1:16: limits_config: cannot read \"5\" as limits_config: a mapping is needed",
        ),
        (
            "target: ingester\n",
            "loki.yaml:1:9: target: target \"ingester\" is not supported: this server runs all parts in one process (target: all)",
        ),
        (
            "limits_config:\n  retention_stream:\n  - {selector: '{a=\"b\"}', period: 1h}\n",
            "loki.yaml:3:35: period: retention period must be >= 24h was 1h",
        ),
        (
            "schema_config:\n  configs:\n  - {from: 2020-01-01, stor: tsdb}\n",
            "loki.yaml:3:24: configs: field stor not found in period_config",
        ),
        (
            "server: {log_level: loud}\n",
            "loki.yaml:1:21: log_level: unknown log level \"loud\" (known: debug, info, warn, error)",
        ),
    ];
    for (text, want) in cases {
        assert_eq!(read(text).unwrap_err().to_string(), want);
    }
}

#[test]
fn flags_go_on_top_of_the_file() {
    let set = [
        ("limits_config.max_line_size".to_owned(), "7".to_owned()),
        ("server.http_listen_port".to_owned(), "9".to_owned()),
    ];
    let config = parse("limits_config: {max_line_size: 5, max_query_series: 3}\n", &set, None).unwrap();
    assert_eq!((config.limits.store.max_line_bytes, config.limits.max_query_series, config.server.port), (7, 3, 9));
    let error = parse("", &[("server.http_listen_port".to_owned(), "x".to_owned())], None).unwrap_err();
    assert!(error.to_string().contains("http_listen_port"), "{error}");
}

#[test]
fn what_is_shown_hides_secrets_and_knows_the_difference() {
    let config = read("auth_enabled: false\ncommon: {storage: {s3: {secret_access_key: hunter2}}}\n").unwrap();
    let shown = yaml::emit(&config.effective());
    assert!(
        !shown.contains("hunter2") && shown.contains("********") && shown.contains("max_line_size: 256KB"),
        "{shown}"
    );
    let diff = yaml::emit(&config.difference());
    assert!(diff.starts_with("auth_enabled: false\n") && !diff.contains("max_line_size"), "{diff}");
    // What is shown can be read again.
    let again = yaml::parse(&yaml::emit(&Config::defaults())).unwrap();
    Schema::get().check(ROOT, &again).unwrap();
    assert!(same(&again, &Config::defaults()));
}

#[test]
fn overrides_lie_on_top_of_the_limits() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("runtime.yaml");
    std::fs::write(
        &file,
        "overrides:\n  a:\n    ingestion_rate_mb: 1\n    retention_period: 48h\n  b: {max_query_series: 9}\n",
    )
    .unwrap();
    let config = read("limits_config: {max_query_series: 7}\n").unwrap();
    let overrides = Overrides::load(std::slice::from_ref(&file), &config).unwrap();
    let (a, b) = (&overrides.tenants["a"], &overrides.tenants["b"]);
    assert_eq!((a.max_query_series, b.max_query_series), (7, 9));
    assert_eq!((a.store.tenant.as_str(), a.retention_period_ns), ("a", 48 * 3_600_000_000_000));
    assert_eq!(a.store.rate.unwrap().bytes_per_second, 1_048_576.0);
    std::fs::write(&file, "overrides:\n  a:\n    ingestion_rat_mb: 1\n").unwrap();
    let error = Overrides::load(std::slice::from_ref(&file), &config).unwrap_err().to_string();
    assert!(error.ends_with("runtime.yaml:3:5: a: field ingestion_rat_mb not found in limits_config"), "{error}");
}
