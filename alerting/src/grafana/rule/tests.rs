use serde_json::json;

use super::*;

pub(in crate::grafana) const PLACE: RulePlace<'_> =
    RulePlace { folder_uid: "f1", folder: "Ops", group: "g", interval_ms: 60_000, base_interval_ms: BASE_INTERVAL_MS };

/// A rule that compares the last value of a query with 1; `more` overrides its keys.
pub(in crate::grafana) fn rule(more: serde_json::Value) -> GrafanaRule {
    let mut rule = json!({
        "uid": "r1", "title": "Down", "condition": "C",
        "data": [
            { "refId": "A", "datasourceUid": "prom", "relativeTimeRange": { "from": 600, "to": 0 }, "model": { "expr": "up" } },
            { "refId": "B", "datasourceUid": "__expr__", "model": { "type": "reduce", "expression": "A", "reducer": "last" } },
            { "refId": "C", "datasourceUid": "-100", "model": { "type": "math", "expression": "$B < 1" } },
        ],
    });
    for (key, value) in more.as_object().expect("keys") {
        rule[key] = value.clone();
    }
    serde_json::from_value(rule).expect("a rule")
}

#[test]
fn keys_of_files_and_of_the_api() {
    let file = rule(json!({
        "for": "5m", "keepFiringFor": "1m", "noDataState": "OK", "execErrState": "KeepLast", "dashboardUid": "d", "panelId": 7,
        "labels": { "severity": "page", "level": 3, "on": true }, "isPaused": true, "missing_series_evals_to_resolve": 5,
        "notification_settings": { "receiver": "ops", "group_by": ["a"], "repeat_interval": "1h" },
    }));
    assert_eq!((file.for_.0, file.keep_firing_for.0, file.missing_series_evals), (300_000, 60_000, Some(5)));
    assert_eq!((file.no_data_state, file.exec_err_state), (NoDataState::Ok, ExecErrState::KeepLast));
    assert_eq!((file.labels["level"].as_str(), file.labels["on"].as_str()), ("3", "true"));
    let api =
        rule(json!({ "keep_firing_for": "1m", "orgID": 2, "folderUID": "x", "ruleGroup": "g", "provenance": "api" }));
    assert_eq!((api.keep_firing_for.0, api.org_id, api.folder_uid.as_str()), (60_000, 2, "x"));
    assert_eq!((api.no_data_state, api.exec_err_state), (NoDataState::NoData, ExecErrState::Error));
    let prepared = file.prepare(&PLACE).expect("a good rule");
    assert_eq!(prepared.rule.annotations[PANEL_ID], "7");
    let printed = serde_json::to_value(&file).expect("JSON");
    assert_eq!(
        (&printed["for"], &printed["keep_firing_for"], &printed["noDataState"]),
        (&json!("5m"), &json!("1m"), &json!("OK"))
    );
    assert_eq!(serde_json::from_value::<GrafanaRule>(printed).expect("reads back"), file);
}

#[test]
fn refusals() {
    let cases = [
        (json!({ "title": "" }), "title is empty"),
        (json!({ "title": "x".repeat(191) }), "title is too long"),
        (json!({ "labels": { "__name__": "x" } }), "label \"__name__\" is invalid or reserved"),
        (json!({ "labels": { "__grafana_receiver__": "x" } }), "invalid or reserved"),
        (json!({ "panelId": 3 }), "both annotations __dashboardUid__ and __panelId__ must be specified"),
        (json!({ "missing_series_evals_to_resolve": 0 }), "must be greater than 0"),
        (json!({ "notification_settings": {} }), "receiver must be specified"),
        (json!({ "record": { "metric": "", "from": "B" } }), "must be a valid metric name"),
        (json!({ "record": { "metric": "x", "from": "Z" } }), "condition Z does not exist"),
        (json!({ "condition": "Z" }), "condition Z does not exist"),
        (json!({ "data": [] }), "no queries or expressions are found"),
    ];
    for (more, want) in cases {
        let error = rule(more.clone()).prepare(&PLACE).expect_err(want);
        assert!(error.to_string().contains(want), "{more}: {error}");
    }
    for interval_ms in [0, 5_000, 61_000] {
        let place = RulePlace { interval_ms, ..PLACE };
        let error = rule(json!({})).prepare(&place).expect_err("an interval");
        assert!(error.to_string().contains("divided exactly by scheduler interval"), "{error}");
    }
    assert!(serde_json::from_value::<GrafanaRule>(json!({ "noDataState": "Maybe" })).is_err());
}
