use std::path::Path;

use super::*;
use crate::interpolate::test_env;

fn read(text: &str, env: &'static [(&'static str, &'static str)]) -> Result<Ini, String> {
    Ini::new(Path::new("grafana.ini"), text, &test_env(env)).map_err(|e| e.to_string())
}

#[test]
fn reads_values_as_grafana_does() {
    let text = "\u{feff}app_mode = development\n; comment\n# another\n[server]\nhttp_port: 3001 ; behind\n\
        domain = 'a;b'\nroot_url = %(protocol)s://%(domain)s:%(http_port)s/sub\n\
        [security]\nadmin_password = \"\"\"#pass;word\"\"\"\nadmin_user = \"quoted\" # comment\n\
        secret_key = back\\;slash\ncontent_security_policy_template = \"\"\"one\ntwo\"\"\"\n\
        [users]\ndefault_theme = li\\\n   ght\nhome_page =\n[DEFAULT]\ninstance_name = x\n";
    let ini = read(text, &[]).unwrap();
    let cases = [
        ("", "app_mode", Some("development")),
        ("", "instance_name", Some("x")),
        ("server", "http_port", Some("3001")),
        ("server", "domain", Some("a;b")),
        ("server", "root_url", Some("http://a;b:3001/sub")),
        ("security", "admin_password", Some("#pass;word")),
        ("security", "admin_user", Some("quoted")),
        ("security", "secret_key", Some("back;slash")),
        ("security", "content_security_policy_template", Some("one\ntwo")),
        ("users", "default_theme", Some("light")),
        ("users", "home_page", None),
        ("users", "nothing", None),
    ];
    for (section, key, want) in cases {
        assert_eq!(ini.text(section, key), want, "[{section}] {key}");
    }
    assert_eq!(ini.warnings(), [] as [String; 0]);
}

#[test]
fn the_environment_wins() {
    let env: &'static [_] = &[
        ("GF_SERVER_HTTP_PORT", "9"),
        ("GF_AUTH_ANONYMOUS_ENABLED", "true"),
        ("GF_SECURITY_ADMIN_USER", ""),
        ("HOST", "h"),
    ];
    let ini = read("[server]\nhttp_port = 1\nhttp_addr = ${HOST}\n[security]\nadmin_user = me\n", env).unwrap();
    assert_eq!(ini.integer("server", "http_port", 0), Ok(9));
    assert_eq!(ini.bool("auth.anonymous", "enabled", false), Ok(true));
    assert_eq!(ini.text("security", "admin_user"), Some("me"));
    assert_eq!(ini.text("server", "http_addr"), Some("h"));
}

#[test]
fn unknown_and_repeated_keys_are_warned_of_with_their_line() {
    let ini =
        read("[server]\nhttp_prot = 1\nhttp_port = 2\nhttp_port = 3\n[nope]\na = 1\n[plugin.x]\na = 1\n", &[]).unwrap();
    let want = [
        "grafana.ini:2: key http_prot is unknown in section [server], it is ignored",
        "grafana.ini:4: http_port is given twice, this one counts",
        "grafana.ini:6: section [nope] is unknown, it is ignored",
    ];
    assert_eq!(ini.warnings(), want);
    assert_eq!(ini.integer("server", "http_port", 0), Ok(3));
}

#[test]
fn errors_name_the_line() {
    for (text, want) in [
        ("a = 1\n[server\n", "grafana.ini:2: the section's closing bracket is missing"),
        ("[server]\nnonsense\n", "grafana.ini:2: expected a [section], a comment or key = value, found \"nonsense\""),
        ("[a]\n= 5\n", "grafana.ini:2: a value without a key"),
        ("[a]\nb = \"open\n", "grafana.ini:2: the closing \" is missing"),
        ("[a]\nb = \"\"\"open\nc = 1\n", "grafana.ini:2: the closing \"\"\" is missing"),
        ("[a]\nb = %(b)s\n", "grafana.ini:2: %(b)s refers to itself"),
        (
            "[a]\nb = $__file{/no/such/file}\n",
            "grafana.ini:2: $__file{/no/such/file}: No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(read(text, &[]).unwrap_err(), want, "{text:?}");
    }
    let ini = read("[server]\nhttp_port = many\n", &[("GF_DATAPROXY_TIMEOUT", "x")]).unwrap();
    let error = ini.integer("server", "http_port", 0).unwrap_err();
    assert_eq!(error.to_string(), "grafana.ini:2: [server] http_port: \"many\" is no whole number");
    let error = ini.integer("dataproxy", "timeout", 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment variable GF_DATAPROXY_TIMEOUT: [dataproxy] timeout: \"x\" is no whole number"
    );
}

#[test]
fn durations() {
    for (text, want) in [
        ("30", 30_000),
        ("1h30m", 5_400_000),
        ("7d", 604_800_000),
        ("1M", 2_592_000_000),
        ("-1s", -1000),
        ("0.5s", 500),
    ] {
        assert_eq!(duration_ms(text), Ok(want), "{text}");
    }
    for text in ["", "x", "5 parsecs", "1h2", "..s", "inf", "99999999999y"] {
        assert!(duration_ms(text).is_err(), "{text}");
    }
}
