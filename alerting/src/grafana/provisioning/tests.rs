use model::Labels;

use super::*;

const FILE: &str = r#"
apiVersion: 1
groups:
  - orgId: 1
    name: g
    folder: Ops
    interval: 1m
    rules:
      - uid: r1
        title: Down
        condition: C
        data:
          - refId: A
            relativeTimeRange: { from: 600, to: 0 }
            datasourceUid: prom
            model: { expr: up }
          - refId: C
            datasourceUid: __expr__
            model: { type: math, expression: $A < 1 }
        for: 5m
        labels: { severity: page }
deleteRules:
  - { orgId: 1, uid: old }
contactPoints:
  - orgId: 1
    name: ops
    receivers:
      - { uid: c1, type: slack, settings: { url: "https://hooks.slack.com/x" } }
  - orgId: 1
    name: other
    receivers:
      - { uid: c2, type: mqtt, settings: {} }
policies:
  - orgId: 1
    receiver: ops
    group_by: [grafana_folder, alertname]
    routes:
      - receiver: other
        object_matchers: [["team", "=~", "db|web"]]
        mute_time_intervals: [nights]
templates:
  - { orgId: 1, name: t, template: "{{ define \"t\" }}x{{ end }}" }
muteTimes:
  - orgId: 1
    name: nights
    time_intervals: [{ times: [{ start_time: "22:00", end_time: "24:00" }] }]
"#;

fn settings(json: Value) -> NotificationSettings {
    serde_json::from_value(json).expect("settings")
}

#[test]
fn a_file_becomes_a_configuration() {
    let file: ProvisioningFile = serde_saphyr::from_str(FILE).expect("a provisioning file");
    assert_eq!((file.groups[0].interval.0, file.groups[0].rules[0].for_.0), (60_000, 300_000));
    assert_eq!((file.delete_rules[0].uid.as_str(), file.templates[0].name.as_str()), ("old", "t"));
    let all = [
        settings(serde_json::json!({ "receiver": "other" })),
        settings(serde_json::json!({ "receiver": "other", "group_by": ["host"], "group_wait": "5s" })),
    ];
    let mute_times: Vec<NamedIntervals> = file.mute_times.iter().map(|one| one.intervals.clone()).collect();
    let compiled = notifier_config(
        &file.policies[0].route,
        &file.contact_points,
        &mute_times,
        &all,
        &ContactPointOptions::default(),
        ConfigOptions::default(),
    )
    .expect("a good configuration");
    assert_eq!(
        compiled.warnings,
        ["contact point \"other\": notifications of type mqtt are not supported and will fail"]
    );
    let find = |labels: &[(&str, String)]| {
        let labels = Labels::from_pairs(labels.iter().map(|(n, v)| (*n, v.as_str())));
        let options = &compiled.routes.node(compiled.routes.matching(&labels)[0]).expect("a node").options;
        let group_by: Vec<&str> = options.group_by.iter().map(String::as_str).collect();
        (options.receiver.clone(), group_by.join(","), options.group_wait_ms, options.mute_time_intervals.len())
    };
    let by_default = "alertname,grafana_folder".to_owned();
    let cases: [(Vec<(&str, String)>, _); 4] = [
        (vec![("alertname", "x".to_owned())], ("ops".to_owned(), by_default.clone(), 30_000, 0)),
        (vec![("team", "db".to_owned())], ("other".to_owned(), by_default.clone(), 30_000, 1)),
        (routing_labels(&all[0]), ("other".to_owned(), by_default, 30_000, 0)),
        (routing_labels(&all[1]), ("other".to_owned(), "alertname,grafana_folder,host".to_owned(), 5_000, 0)),
    ];
    for (labels, want) in cases {
        assert_eq!(find(&labels), want, "{labels:?}");
    }
}

#[test]
fn files_write_and_read_back() {
    let file: ProvisioningFile = serde_saphyr::from_str(FILE).expect("a provisioning file");
    let json = serde_json::to_value(&file).expect("JSON");
    assert_eq!(serde_json::from_value::<ProvisioningFile>(json).expect("reads back"), file);
}

#[test]
fn what_is_wrong_is_found() {
    let route = |receiver: &str| Route { receiver: receiver.to_owned(), ..Route::default() };
    let config = |route: &Route| {
        notifier_config(route, &[], &[], [], &ContactPointOptions::default(), ConfigOptions::default()).map(|_| ())
    };
    let error = config(&route("nobody")).expect_err("no such contact point");
    assert_eq!(error.to_string(), "route: undefined receiver \"nobody\" used in route");
    assert!(serde_saphyr::from_str::<ProvisioningFile>("policies: [{ receiver: a, colour: red }]").is_err());
}
