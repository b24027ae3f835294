//! The command-line clients, as programs against a server.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

use support::{Server, now_ns};

fn client(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foursight-logs"));
    command.args(args).env_remove("LOKI_ADDR").stdin(Stdio::null());
    command
}

/// Output of a client, on a thread that the server does not need.
async fn run(args: Vec<String>) -> Output {
    let args = move || client(&args.iter().map(String::as_str).collect::<Vec<_>>()).output().unwrap();
    tokio::task::spawn_blocking(args).await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_print_what_a_server_has() {
    let dir = tempfile::tempdir().unwrap();
    let yaml = "limits_config: {discover_service_name: [], discover_log_levels: false}\n";
    let server = Server::start(dir.path(), yaml).await;
    let now = now_ns() - 600_000_000_000;
    let lines: Vec<String> = (0..250).map(|n| format!("line {n}")).collect();
    // Three entries share each time, so that batches end between entries of one time.
    let entries: Vec<(i64, &str)> =
        lines.iter().enumerate().map(|(n, line)| (now + n as i64 / 3 * 1_000_000_000, line.as_str())).collect();
    assert_eq!(server.push(r#"{"job":"a","host":"h"}"#, &entries).await.status, 204);
    let args = |args: &[&str]| {
        let mut all = vec!["query".to_owned(), format!("--addr={}", server.url)];
        all.extend(args.iter().map(|arg| (*arg).to_owned()));
        all
    };
    let all: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let forward = run(args(&["-q", "-o", "raw", "--forward", "--limit=0", "--batch=10", r#"{job="a"}"#])).await;
    assert_eq!((text(&forward.stdout), text(&forward.stderr)), (all.clone(), String::new()));
    let backward = run(args(&["-q", "-o", "raw", "--limit=20", "--batch=7", r#"{job="a"}"#])).await;
    assert_eq!(text(&backward.stdout).lines().count(), 20);
    assert_eq!(text(&backward.stdout).lines().next(), Some("line 249"));
    let shown = run(args(&["--limit=1", "--timezone=UTC", r#"{job="a"}"#])).await;
    assert!(text(&shown.stderr).contains("Common labels: {host=\"h\", job=\"a\"}"), "{}", text(&shown.stderr));
    assert!(text(&shown.stdout).ends_with("Z {} line 249\n"), "{}", text(&shown.stdout));

    let prefix = dir.path().join("download").display().to_string();
    let parts = format!("--part-path-prefix={prefix}");
    let download = [
        "-q",
        "-o",
        "raw",
        "--forward",
        "--since=15m",
        "--parallel-duration=1m",
        "--parallel-max-workers=3",
        &parts,
        "--merge-parts",
        r#"{job="a"}"#,
    ];
    let merged = run(args(&download)).await;
    assert_eq!((text(&merged.stdout), text(&merged.stderr)), (all, String::new()));
    let left = std::fs::read_dir(dir.path()).unwrap().flatten();
    assert_eq!(left.filter(|entry| entry.file_name().to_string_lossy().contains(".part")).count(), 0);

    let labels = run(args(&["-q", "labels", "job"])).await;
    assert_eq!(text(&labels.stdout), "a\n");
    let series = run(args(&["-q", "series", "{}"])).await;
    assert_eq!(text(&series.stdout), "{host=\"h\", job=\"a\"}\n");
    let count = run(args(&["-q", "instant-query", r#"sum(count_over_time({job="a"}[1h]))"#])).await;
    assert!(text(&count.stdout).contains("\"250\""), "{}", text(&count.stdout));
    for (wrong, want) in [("{job=", "parse error"), ("rate({a=\"b\"}[1m]", "parse error")] {
        let failed = run(args(&["-q", wrong])).await;
        assert!(!failed.status.success() && text(&failed.stderr).contains(want), "{}", text(&failed.stderr));
    }
    server.stop().await;
    assert!(
        !run(vec!["query".into(), "--addr=http://127.0.0.1:1".into(), "-q".into(), "{}".into()]).await.status.success()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_prints_what_comes() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "limits_config: {discover_log_levels: false}\n").await;
    assert_eq!(server.push(r#"{"job":"a"}"#, &[(now_ns(), "stored")]).await.status, 204);
    let address = format!("--addr={}", server.url);
    let mut tail =
        client(&["tail", &address, "-q", "-o", "raw", r#"{job="a"} != "no""#]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let (first, mut lines) =
        tokio::task::spawn_blocking(move || (lines.next().unwrap().unwrap(), lines)).await.unwrap();
    assert_eq!(first, "stored");
    assert_eq!(server.push(r#"{"job":"a"}"#, &[(now_ns(), "no"), (now_ns(), "live")]).await.status, 204);
    let second = tokio::task::spawn_blocking(move || lines.next().unwrap().unwrap()).await.unwrap();
    assert_eq!(second, "live");
    tail.kill().unwrap();
    tail.wait().unwrap();
    server.stop().await;
    let refused =
        run(vec!["tail".into(), "--addr=http://127.0.0.1:1".into(), "rate({a=\"b\"}[1m])".into(), "--help".into()])
            .await;
    assert!(refused.status.success());
}

#[test]
fn standard_input_is_asked_without_a_server() {
    let ask = |args: &[&str], input: &str| {
        let mut child = client(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        text(&output.stdout)
    };
    let input = "level=info msg=one\nlevel=error msg=two\nlevel=error msg=three\n";
    let query = r#"{job="x"} | logfmt | level="error" | line_format "{{.msg}} of {{.job}}""#;
    assert_eq!(ask(&["query", "--stdin", "-q", "-o", "raw", query], input), "two of x\nthree of x\n");
    assert_eq!(ask(&["query", "--stdin", "-q", "-o", "raw", "--limit=1", query], input), "two of x\n");
    let count = ask(&["query", "--stdin", "-q", r#"sum by (level) (count_over_time({job="x"} | logfmt [1h]))"#], input);
    assert_eq!(count, "{level=\"error\"} 2\n{level=\"info\"} 1\n");
    assert_eq!(ask(&["query", "fmt", r#"{a="b"}|="x""#], ""), "{a=\"b\"} |= \"x\"\n");
}
