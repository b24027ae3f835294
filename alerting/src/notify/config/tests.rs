use super::*;

fn parse(yaml: &str) -> Result<Config, String> {
    serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
}

fn compile(yaml: &str) -> Result<CompiledConfig, String> {
    parse(yaml)?.compile(ConfigOptions::default()).map_err(|error| error.to_string())
}

const SMALL: &str = "
route: {receiver: team}
receivers: [{name: team}]
";

#[test]
fn the_smallest_configuration_has_all_defaults() {
    let config = compile(SMALL).expect("well formed");
    assert_eq!(config.resolve_timeout_ms, 300_000);
    let root = &config.routes.nodes()[0].options;
    assert_eq!((root.group_wait_ms, root.group_interval_ms, root.repeat_interval_ms), (30_000, 300_000, 14_400_000));
    assert!(root.group_by.is_empty() && !root.group_by_all);
    assert_eq!(config.receivers["team"].labels["name"], "team");
    assert_eq!(config.warnings, [""; 0]);
}

/// A file as teams have it, with most keys in use.
const LARGE: &str = r#"
global:
  resolve_timeout: 10m
  smtp_smarthost: 'localhost:25'
  smtp_from: 'alertmanager@example.org'
  slack_api_url: 'https://hooks.slack.com/services/T/B/x'
  http_config: {proxy_url: 'http://proxy:3128', follow_redirects: false}
templates: ['/etc/alertmanager/template/*.tmpl']
route:
  group_by: ['alertname', 'cluster']
  group_wait: 30s
  receiver: team-X-mails
  labels: {tier: gold}
  routes:
    - match_re: {service: ^(foo1|foo2|baz)$}
      receiver: team-X-mails
      routes:
        - match: {severity: critical}
          receiver: team-X-pager
    - matchers: ['service="files"', severity!~"info|debug"]
      receiver: team-Y-slack
      group_by: ['...']
      continue: true
      mute_time_intervals: [offhours]
      active_time_intervals: [work]
inhibit_rules:
  - name: critical-over-warning
    source_matchers: ['severity="critical"']
    target_matchers: [severity="warning"]
    equal: [alertname, cluster]
mute_time_intervals: [{name: offhours, time_intervals: [{weekdays: [saturday, sunday]}]}]
time_intervals: [{name: work, time_intervals: [{times: [{start_time: '09:00', end_time: '17:00'}]}]}]
receivers:
  - name: team-X-mails
    labels: {team: x}
    email_configs: [{to: 'team-X@example.org', headers: {x-prio: high}}]
  - name: team-X-pager
    pagerduty_configs: [{routing_key: key, details: {num_firing: many, nested: {a: [1, two]}}}]
    webhook_configs: [{url: 'http://host/{{ .Receiver }}', max_alerts: 5, timeout: 10s}, {url_file: /run/url}]
  - name: team-Y-slack
    slack_configs:
      - channel: '#alerts'
        fields: [{title: a, value: b, short: true}]
        actions: [{type: button, text: t, url: 'http://u', name: dropped}]
    telegram_configs: [{bot_token: t, chat_id: -100}]
    discord_configs: [{webhook_url: 'http://discord/x'}]
    msteamsv2_configs: [{webhook_url: 'http://teams/x', http_config: {follow_redirects: true}}]
    opsgenie_configs: [{api_key: k, responders: [{name: ops, type: team}]}]
    victorops_configs: [{routing_key: r, api_key: k}]
    sns_configs: [{topic_arn: t}]
"#;

#[test]
fn a_large_configuration_compiles() {
    let config = compile(LARGE).unwrap_or_else(|error| panic!("{error}"));
    let nodes = config.routes.nodes();
    assert_eq!(
        nodes.iter().map(|node| node.id.as_str()).collect::<Vec<_>>(),
        [
            "{}",
            "{}/{service=~\"^(foo1|foo2|baz)$\"}/0",
            "{}/{service=~\"^(foo1|foo2|baz)$\"}/0/{severity=\"critical\"}/0",
            "{}/{service=\"files\",severity!~\"info|debug\"}/1",
        ]
    );
    assert_eq!(nodes[3].key, "{}/{service=\"files\",severity!~\"info|debug\"}");
    assert!(nodes[3].options.group_by_all && nodes[3].options.labels["tier"] == "gold");
    let x = &config.receivers["team-X-mails"];
    assert_eq!(x.labels["team"], "x");
    let (Integration::Email(mail), 0) = (&*x.integrations[0].0, x.integrations[0].1) else { panic!("a mail: {x:?}") };
    assert_eq!((mail.from.as_str(), mail.require_tls), ("alertmanager@example.org", Some(true)));
    assert_eq!(mail.headers["X-Prio"], "high");
    let pager = &config.receivers["team-X-pager"].integrations;
    assert_eq!(
        pager.iter().map(|(i, at)| (i.name(), *at)).collect::<Vec<_>>(),
        [("pagerduty", 0), ("webhook", 0), ("webhook", 1)]
    );
    let Integration::PagerDuty(pager) = &*pager[0].0 else { panic!("a pager") };
    assert_eq!(pager.details["num_firing"], "many");
    assert_eq!(pager.details["num_resolved"], "{{ .Alerts.Resolved | len }}");
    let y = &config.receivers["team-Y-slack"].integrations;
    let names: Vec<_> = y.iter().map(|(i, _)| i.name()).collect();
    assert_eq!(names, ["discord", "slack", "opsgenie", "victorops", "sns", "telegram", "msteamsv2"]);
    let Integration::Slack(slack) = &*y[1].0 else { panic!("a channel") };
    assert_eq!(slack.api_url.as_ref().map(|u| u.expose()), Some("https://hooks.slack.com/services/T/B/x"));
    assert_eq!(slack.actions[0].name, "");
    assert!(!slack.http_config.as_ref().expect("inherited").follow_redirects);
    let Integration::MsTeamsV2(teams) = &*y[6].0 else { panic!("a team") };
    assert!(teams.http_config.as_ref().is_some_and(|http| http.follow_redirects && http.proxy_url.is_some()));
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    // Printed, it shows no secret and reads back.
    let json = serde_json::to_string(&parse(LARGE).expect("well formed")).expect("always JSON");
    assert!(!json.contains("services/T/B/x") && !json.contains("\"key\"") && json.contains("<secret>"), "{json}");
    assert!(serde_json::from_str::<Config>(&json).is_ok_and(|c| c.validate(ConfigOptions::default()).is_ok()));
}

#[test]
fn refusals_use_the_peers_words() {
    let with_receiver = |body: &str| format!("route: {{receiver: r}}\nreceivers: [{{name: r, {body}}}]");
    let with_route = |body: &str| format!("route: {{receiver: r, {body}}}\nreceivers: [{{name: r}}]");
    let cases = [
        (String::new(), "no route provided in config"),
        ("receivers: [{name: r}]".to_owned(), "no route provided in config"),
        ("route: {}".to_owned(), "root route must specify a default receiver"),
        ("route: {receiver: x}\nreceivers: [{name: r}]".to_owned(), "undefined receiver \"x\" used in route"),
        (with_route("routes: [{receiver: y}]"), "route.routes[0]: undefined receiver \"y\" used in route"),
        (with_route("match: {a: b}"), "root route must not have any matchers"),
        (with_route("matchers: [a=b]"), "root route must not have any matchers"),
        (with_route("continue: true"), "cannot have continue in root route"),
        (with_route("mute_time_intervals: [x]"), "root route must not have any mute time intervals"),
        (with_route("active_time_intervals: [x]"), "root route must not have any active time intervals"),
        (with_route("routes: [{mute_time_intervals: [x]}]"), "undefined time interval \"x\" used in route"),
        (with_route("group_by: ['...', a]"), "cannot have wildcard group_by (`...`) and other labels at the same time"),
        (with_route("group_by: [a, a]"), "duplicated label \"a\" in group_by"),
        (with_route("group_by: ['']"), "invalid label name \"\" in group_by list"),
        (with_route("group_interval: 0s"), "group_interval cannot be zero"),
        (with_route("repeat_interval: 0s"), "repeat_interval cannot be zero"),
        (with_route("group_wait: 5x"), "not a valid duration string"),
        (with_route("routes: [{matchers: ['a=~[']}]"), "missing closing ]"),
        (with_route("routes: [{matchers: ['a b']}]"), "bad matcher format: a b"),
        (with_route("routes: [{match: {'a-b': c}}]"), "invalid label name \"a-b\""),
        (with_route("colour: red"), "unknown field `colour`"),
        (
            "route: {receiver: r}\nreceivers: [{name: r}, {name: r}]".to_owned(),
            "notification config name \"r\" is not unique",
        ),
        ("route: {receiver: r}\nreceivers: [{}]".to_owned(), "missing name in receiver"),
        (
            with_receiver("labels: {name: other}"),
            "receiver label \"name\" must match receiver name \"r\", got \"other\"",
        ),
        (
            with_receiver("slack_configs: [{channel: x}]"),
            "no Slack API URL nor App token set either inline or in a file",
        ),
        (with_receiver("slack_configs: [null]"), "no Slack API URL nor App token set either inline or in a file"),
        (
            with_receiver("slack_configs: [{api_url: 'http://a', api_url_file: b}]"),
            "at most one of api_url & api_url_file must be configured",
        ),
        (
            with_receiver("slack_configs: [{api_url: 'http://a', app_token: b}]"),
            "at most one of api_url/api_url_file & app_token/app_token_file must be configured",
        ),
        (
            with_receiver("slack_configs: [{api_url: 'http://a', update_message: true}]"),
            "update_message can only be used with bot tokens",
        ),
        (
            with_receiver("slack_configs: [{api_url: 'http://a', fields: [{title: t}]}]"),
            "missing value in Slack field configuration",
        ),
        (
            with_receiver("slack_configs: [{api_url: 'http://a', actions: [{text: t}]}]"),
            "missing type in Slack action configuration",
        ),
        (
            with_receiver("slack_configs: [{api_url: 'http://a', actions: [{type: b, text: t}]}]"),
            "missing name or url in Slack action configuration",
        ),
        (with_receiver("slack_configs: [{api_url: 'ftp://a'}]"), "unsupported scheme \"ftp\" for URL"),
        (
            with_receiver("slack_configs: [{app_token: t, http_config: {authorization: {credentials: x}}}]"),
            "http authorization can't be set when using Slack App tokens",
        ),
        (with_receiver("webhook_configs: [{}]"), "one of url or url_file must be configured"),
        (with_receiver("webhook_configs: [null]"), "missing webhook config"),
        (
            with_receiver("webhook_configs: [{url: 'http://a', url_file: b}]"),
            "at most one of url & url_file must be configured",
        ),
        (with_receiver("webhook_configs: [{url: 'a b'}]"), "invalid URL"),
        (with_receiver("email_configs: [{}]"), "missing to address in email config"),
        (with_receiver("email_configs: [{to: a}]"), "no global SMTP smarthost set"),
        (with_receiver("email_configs: [{to: a, smarthost: 'h:25'}]"), "no global SMTP from set"),
        (
            with_receiver("email_configs: [{to: a, headers: {Subject: a, SUBJECT: b}}]"),
            "duplicate header \"Subject\" in email config",
        ),
        (
            with_receiver("email_configs: [{to: a, threading: {enabled: true}}]"),
            "threading.thread_by_date must be either 'none' or 'daily'",
        ),
        (with_receiver("pagerduty_configs: [{}]"), "missing service or routing key in PagerDuty config"),
        (with_receiver("opsgenie_configs: [{}]"), "no global OpsGenie API Key set either inline or in a file"),
        (
            with_receiver("opsgenie_configs: [{api_key: k, responders: [{type: team}]}]"),
            "has to have at least one of id, username or name specified",
        ),
        (
            with_receiver("opsgenie_configs: [{api_key: k, responders: [{id: x, type: wrong}]}]"),
            "does not match valid options",
        ),
        (with_receiver("telegram_configs: [{bot_token: t}]"), "missing chat_id or chat_id_file on telegram_config"),
        (with_receiver("telegram_configs: [{chat_id: 1}]"), "missing bot_token or bot_token_file on telegram_config"),
        (
            with_receiver("telegram_configs: [{bot_token: t, chat_id: 1, parse_mode: x}]"),
            "unknown parse_mode on telegram_config",
        ),
        (with_receiver("discord_configs: [{}]"), "one of webhook_url or webhook_url_file must be configured"),
        (with_receiver("victorops_configs: [{api_key: k}]"), "missing Routing key in VictorOps config"),
        (with_receiver("sns_configs: [{room: x}]"), "unknown field `room` in sns_configs"),
        (
            with_receiver("victorops_configs: [{routing_key: r, api_key: k, custom_fields: {entity_id: x}}]"),
            "custom field entity_id which cannot be used",
        ),
        (with_receiver("victorops_configs: [{routing_key: r}]"), "no global VictorOps API Key set"),
        (with_receiver("pushover_configs: [{token: t}]"), "one of user_key or user_key_file must be configured"),
        (
            with_receiver("pushover_configs: [{token: t, user_key: u, html: true, monospace: true}]"),
            "at most one of monospace & html must be configured",
        ),
        (with_receiver("webex_configs: [{message: x}]"), "missing room_id on webex_config"),
        (with_receiver("webex_configs: [{room_id: x}]"), "missing webex_configs.http_config.authorization"),
        (with_receiver("msteams_configs: [{title: x}]"), "one of webhook_url or webhook_url_file must be configured"),
        (with_receiver("rocketchat_configs: [null]"), "no global Rocketchat TokenID set either inline or in a file"),
        (
            with_receiver("rocketchat_configs: [{token_id: i}]"),
            "no global Rocketchat Token set either inline or in a file",
        ),
        (with_receiver("mattermost_configs: [{}]"), "missing webhook_url or webhook_url_file on mattermost_config"),
        (
            with_receiver("mattermost_configs: [{webhook_url: 'http://m', fields: [{title: x}]}]"),
            "missing value in Mattermost field configuration",
        ),
        (
            with_receiver("incidentio_configs: [{url: 'http://i', http_config: {}}]"),
            "at least one of alert_source_token, alert_source_token_file or http_config.authorization",
        ),
        (
            with_receiver(
                "webhook_configs: [{url: 'http://a', http_config: {basic_auth: {username: u}, authorization: {credentials: x}}}]",
            ),
            "at most one of basic_auth, oauth2 & authorization must be configured",
        ),
        (
            "global: {opsgenie_api_key: a, opsgenie_api_key_file: b}\nroute: {receiver: r}".to_owned(),
            "at most one of opsgenie_api_key & opsgenie_api_key_file must be configured",
        ),
        (
            "global: {slack_app_token: a, slack_api_url: 'http://b'}\nroute: {receiver: r}".to_owned(),
            "at most one of slack_app_token/slack_app_token_file & slack_api_url/slack_api_url_file must be configured",
        ),
        (format!("{SMALL}\ninhibit_rules: [{{equal: ['']}}]"), "invalid label name \"\" in equal list"),
        (format!("{SMALL}\ntime_intervals: [{{time_intervals: []}}]"), "missing name in time interval"),
        (format!("{SMALL}\ntime_intervals: [{{name: a}}, {{name: a}}]"), "time interval \"a\" is not unique"),
        (format!("{SMALL}\nreceiver: []"), "unknown field `receiver`"),
    ];
    for (yaml, want) in cases {
        let yaml = if yaml.is_empty() { "{}".to_owned() } else { yaml };
        let error = compile(&yaml).expect_err(&yaml);
        assert!(error.contains(want), "{yaml}\n  gives {error}\n  wants {want}");
    }
}

#[test]
fn deep_routes_are_refused_not_followed() {
    let mut route = Route { receiver: "r".to_owned(), ..Route::default() };
    for _ in 0..5_000 {
        route = Route { receiver: "r".to_owned(), routes: vec![route], ..Route::default() };
    }
    let receivers = vec![Receiver { name: "r".to_owned(), ..Receiver::default() }];
    let config = Config { route: Some(route), receivers, ..Config::default() };
    let error = config.validate(ConfigOptions::default()).expect_err("too deep");
    assert!(error.problem.contains("nested too deeply"), "{error}");
}
