//! The provisioning API of rules and their groups.

use alerting::grafana::{BASE_INTERVAL_MS, GrafanaRule, RulePlace};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{bad, export, provenance, rule_json};
use crate::alerts::config::{AlertingConfig, Item, Provenance, RuleGroup};
use crate::api::{Body, EDITOR, Params, Routes, VIEWER};
use crate::app::Shared;
use crate::auth::token;
use crate::dashboards::model::check_uid;
use crate::error::{ApiError, ApiResult};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/v1/provisioning/alert-rules", VIEWER, list)
        .post("/api/v1/provisioning/alert-rules", EDITOR, create)
        .get("/api/v1/provisioning/alert-rules/export", VIEWER, export_all)
        .get("/api/v1/provisioning/alert-rules/{uid}", VIEWER, get)
        .put("/api/v1/provisioning/alert-rules/{uid}", EDITOR, update)
        .delete("/api/v1/provisioning/alert-rules/{uid}", EDITOR, delete)
        .get("/api/v1/provisioning/alert-rules/{uid}/export", VIEWER, export_rule)
        .get("/api/v1/provisioning/folder/{folder}/rule-groups/{group}", VIEWER, get_group)
        .put("/api/v1/provisioning/folder/{folder}/rule-groups/{group}", EDITOR, put_group)
        .delete("/api/v1/provisioning/folder/{folder}/rule-groups/{group}", EDITOR, delete_group)
        .get("/api/v1/provisioning/folder/{folder}/rule-groups/{group}/export", VIEWER, export_group)
        .post("/api/v1/eval", EDITOR, eval)
}

fn no_rule() -> ApiError {
    ApiError::not_found("alert rule not found").id("alerting.alert-rule.notFound")
}

fn no_group() -> ApiError {
    ApiError::not_found("rule group not found").id("alerting.alert-rule.notFound")
}

async fn list(State(app): State<Shared>) -> Json<Value> {
    let config = app.alerts.config.get();
    Json(config.rules().map(|(group, rule)| rule_json(group, rule)).collect())
}

async fn get(State(app): State<Shared>, Path(uid): Path<String>) -> ApiResult {
    let config = app.alerts.config.get();
    let (group, rule) = config.rule(&uid).ok_or_else(no_rule)?;
    Ok(Json(rule_json(group, rule)).into_response())
}

/// What the server makes of a rule that somebody sends.
fn take(app: &Shared, mut rule: GrafanaRule, interval_ms: i64) -> Result<GrafanaRule, ApiError> {
    if rule.folder_uid.is_empty() || app.folders.get(&rule.folder_uid).is_none() {
        return Err(ApiError::bad_request(format!("folder {:?} does not exist", rule.folder_uid)));
    }
    if rule.rule_group.trim().is_empty() {
        return Err(ApiError::bad_request("ruleGroup: missing"));
    }
    if rule.uid.is_empty() {
        rule.uid = token::random_text(14);
    }
    check_uid(&rule.uid)?;
    rule.org_id = 1;
    check(app, &rule, interval_ms)?;
    Ok(rule)
}

fn check(app: &Shared, rule: &GrafanaRule, interval_ms: i64) -> Result<(), ApiError> {
    let place = RulePlace {
        folder_uid: &rule.folder_uid,
        folder: &app.folders.title(&rule.folder_uid),
        group: &rule.rule_group,
        interval_ms,
        base_interval_ms: BASE_INTERVAL_MS,
    };
    rule.prepare(&place).map_err(bad)?;
    for (name, text) in rule.labels.iter().chain(&rule.annotations) {
        let checked = app.alerts.rules.expander.check(&rule.title, text);
        checked.map_err(|error| ApiError::bad_request(format!("{name}: {error}")))?;
    }
    if let Some(settings) = &rule.notification_settings
        && !app.alerts.config.get().receivers().contains(settings.receiver.as_str())
    {
        return Err(ApiError::bad_request(format!("contact point {:?} does not exist", settings.receiver)));
    }
    Ok(())
}

/// Puts a rule into its group, which is made if need be, and out of any other. Where the rule was it stays.
fn put(own: &mut AlertingConfig, item: Item<GrafanaRule>, interval_ms: i64) {
    let (folder_uid, name) = (item.value.folder_uid.clone(), item.value.rule_group.clone());
    let uid = item.value.uid.clone();
    for group in own.groups.iter_mut().filter(|group| group.folder_uid != folder_uid || group.name != name) {
        group.rules.retain(|rule| rule.value.uid != uid);
    }
    own.groups.retain(|group| !group.rules.is_empty() || (group.folder_uid == folder_uid && group.name == name));
    let group = match own.groups.iter_mut().find(|group| group.folder_uid == folder_uid && group.name == name) {
        Some(group) => group,
        None => {
            own.groups.push(RuleGroup { folder_uid, name, interval_ms, rules: Vec::new() });
            let last = own.groups.len() - 1;
            &mut own.groups[last]
        }
    };
    match group.rules.iter_mut().find(|rule| rule.value.uid == uid) {
        Some(known) => *known = item,
        None => group.rules.push(item),
    }
}

fn interval_of(app: &Shared, config: &AlertingConfig, folder_uid: &str, group: &str) -> i64 {
    config.group(folder_uid, group).map_or(app.settings.alerting.default_interval_ms, |group| group.interval_ms)
}

async fn create(State(app): State<Shared>, headers: HeaderMap, Body(rule): Body<GrafanaRule>) -> ApiResult {
    let config = app.alerts.config.get();
    let interval_ms = interval_of(&app, &config, &rule.folder_uid, &rule.rule_group);
    let rule = take(&app, rule, interval_ms)?;
    if config.rule(&rule.uid).is_some() {
        return Err(
            ApiError::conflict(format!("a rule with uid {:?} exists", rule.uid)).id("alerting.alert-rule.conflict")
        );
    }
    check_title(&config, &rule)?;
    let uid = rule.uid.clone();
    let item = Item { value: rule, provenance: provenance(&headers), updated_ms: app.now_ms() };
    app.alerts.config.edit(|own| put(own, item, interval_ms)).await?;
    app.alerts.put_in_force(&app).await;
    answer(&app, &uid, StatusCode::CREATED)
}

/// Titles are unique in a group's folder.
fn check_title(config: &AlertingConfig, rule: &GrafanaRule) -> Result<(), ApiError> {
    let mut others = config.rules().filter(|(group, other)| {
        group.folder_uid == rule.folder_uid && other.value.title == rule.title && other.value.uid != rule.uid
    });
    match others.next() {
        Some(_) => {
            Err(ApiError::conflict("a rule with this title exists in the folder").id("alerting.alert-rule.conflict"))
        }
        None => Ok(()),
    }
}

fn answer(app: &Shared, uid: &str, status: StatusCode) -> ApiResult {
    let config = app.alerts.config.get();
    let (group, rule) = config.rule(uid).ok_or_else(no_rule)?;
    Ok((status, Json(rule_json(group, rule))).into_response())
}

async fn update(
    State(app): State<Shared>,
    Path(uid): Path<String>,
    headers: HeaderMap,
    Body(mut rule): Body<GrafanaRule>,
) -> ApiResult {
    let config = app.alerts.config.get();
    let (group, known) = config.rule(&uid).ok_or_else(no_rule)?;
    known.provenance.check_change()?;
    rule.uid = uid.clone();
    if rule.folder_uid.is_empty() {
        rule.folder_uid.clone_from(&group.folder_uid);
    }
    if rule.rule_group.is_empty() {
        rule.rule_group.clone_from(&group.name);
    }
    let interval_ms = interval_of(&app, &config, &rule.folder_uid, &rule.rule_group);
    let rule = take(&app, rule, interval_ms)?;
    check_title(&config, &rule)?;
    let item = Item { value: rule, provenance: provenance(&headers), updated_ms: app.now_ms() };
    app.alerts.config.edit(|own| put(own, item, interval_ms)).await?;
    app.alerts.put_in_force(&app).await;
    answer(&app, &uid, StatusCode::OK)
}

async fn delete(State(app): State<Shared>, Path(uid): Path<String>) -> ApiResult {
    // Deleting what is not there is no mistake: it is what was wanted.
    app.alerts.delete_rules(&app, std::slice::from_ref(&uid)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn get_group(State(app): State<Shared>, Path((folder, name)): Path<(String, String)>) -> ApiResult {
    let config = app.alerts.config.get();
    let group = config.group(&folder, &name).ok_or_else(no_group)?;
    Ok(Json(group_json(group)).into_response())
}

fn group_json(group: &RuleGroup) -> Value {
    let rules: Vec<Value> = group.rules.iter().map(|rule| rule_json(group, rule)).collect();
    json!({"title": group.name, "folderUid": group.folder_uid, "interval": group.interval_ms / 1000, "rules": rules})
}

#[derive(Deserialize)]
struct PutGroup {
    #[serde(default)]
    interval: i64,
    #[serde(default)]
    rules: Vec<GrafanaRule>,
}

async fn put_group(
    State(app): State<Shared>,
    Path((folder, name)): Path<(String, String)>,
    headers: HeaderMap,
    Body(new): Body<PutGroup>,
) -> ApiResult {
    let config = app.alerts.config.get();
    let interval_ms = match new.interval {
        0 => interval_of(&app, &config, &folder, &name),
        seconds => seconds.saturating_mul(1000),
    };
    replace_group(&app, &folder, &name, interval_ms, new.rules, provenance(&headers)).await?;
    let config = app.alerts.config.get();
    let group = config.group(&folder, &name).ok_or_else(no_group)?;
    Ok(Json(group_json(group)).into_response())
}

/// What became of the rules of a group.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    pub(super) created: Vec<String>,
    pub(super) updated: Vec<String>,
    pub(super) deleted: Vec<String>,
}

/// Makes a group have these rules and no others.
pub(super) async fn replace_group(
    app: &Shared,
    folder: &str,
    name: &str,
    interval_ms: i64,
    rules: Vec<GrafanaRule>,
    provenance: Provenance,
) -> Result<Replaced, ApiError> {
    let config = app.alerts.config.get();
    let known = config.group(folder, name);
    for rule in known.iter().flat_map(|group| &group.rules) {
        rule.provenance.check_change()?;
    }
    let now_ms = app.now_ms();
    let mut replaced = Replaced::default();
    let mut items: Vec<Item<GrafanaRule>> = Vec::new();
    for mut rule in rules {
        rule.folder_uid = folder.to_owned();
        rule.rule_group = name.to_owned();
        let rule = take(app, rule, interval_ms)?;
        let twice = items.iter().any(|item| item.value.uid == rule.uid || item.value.title == rule.title);
        if twice {
            return Err(ApiError::bad_request(format!("rule {:?} is there twice", rule.title)));
        }
        check_title(&config, &rule)?;
        match config.rule(&rule.uid) {
            Some((_, before)) => {
                before.provenance.check_change()?;
                replaced.updated.push(rule.uid.clone());
            }
            None => replaced.created.push(rule.uid.clone()),
        }
        items.push(Item { value: rule, provenance, updated_ms: now_ms });
    }
    for rule in known.iter().flat_map(|group| &group.rules) {
        if !items.iter().any(|item| item.value.uid == rule.value.uid) {
            replaced.deleted.push(rule.value.uid.clone());
        }
    }
    app.alerts
        .config
        .change(|own| {
            let uids: Vec<String> = items.iter().map(|item| item.value.uid.clone()).collect();
            for group in &mut own.groups {
                group.rules.retain(|rule| !uids.contains(&rule.value.uid));
            }
            own.groups.retain(|group| !group.rules.is_empty() && (group.folder_uid != folder || group.name != name));
            if !items.is_empty() {
                let (folder_uid, name) = (folder.to_owned(), name.to_owned());
                own.groups.push(RuleGroup { folder_uid, name, interval_ms, rules: items });
            }
            Ok(())
        })
        .await?;
    app.alerts.put_in_force(app).await;
    Ok(replaced)
}

async fn delete_group(State(app): State<Shared>, Path((folder, name)): Path<(String, String)>) -> ApiResult {
    let config = app.alerts.config.get();
    let group = config.group(&folder, &name).ok_or_else(no_group)?;
    let uids: Vec<String> = group.rules.iter().map(|rule| rule.value.uid.clone()).collect();
    app.alerts.delete_rules(&app, &uids).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn export_all(State(app): State<Shared>, params: Params, headers: HeaderMap) -> ApiResult {
    let config = app.alerts.config.get();
    let (folders, name) = (params.texts("folderUid"), params.get("group"));
    let wanted = config.groups.iter().filter(|group| {
        (folders.is_empty() || folders.contains(&group.folder_uid)) && name.is_none_or(|name| group.name == name)
    });
    let items = wanted.map(|group| export::group_json(group, &app.folders.title(&group.folder_uid))).collect();
    export::answer("groups", items, &params, &headers)
}

async fn export_rule(
    State(app): State<Shared>,
    Path(uid): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> ApiResult {
    let config = app.alerts.config.get();
    let (group, rule) = config.rule(&uid).ok_or_else(no_rule)?;
    let alone = RuleGroup { rules: vec![rule.clone()], ..group.clone() };
    let item = export::group_json(&alone, &app.folders.title(&group.folder_uid));
    export::answer("groups", vec![item], &params, &headers)
}

async fn export_group(
    State(app): State<Shared>,
    Path((folder, name)): Path<(String, String)>,
    params: Params,
    headers: HeaderMap,
) -> ApiResult {
    let config = app.alerts.config.get();
    let group = config.group(&folder, &name).ok_or_else(no_group)?;
    let item = export::group_json(group, &app.folders.title(&group.folder_uid));
    export::answer("groups", vec![item], &params, &headers)
}

#[derive(Deserialize)]
struct Eval {
    #[serde(default)]
    data: Vec<alerting::grafana::RuleQuery>,
    #[serde(default)]
    condition: String,
    #[serde(default)]
    now: Option<String>,
}

/// Evaluates queries and expressions as a rule would.
async fn eval(State(app): State<Shared>, Body(eval): Body<Eval>) -> ApiResult {
    let now_ms = match eval.now.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => text.parse::<jiff::Timestamp>().map_err(bad)?.as_millisecond(),
        None => app.now_ms(),
    };
    let condition = match eval.condition.as_str() {
        "" => eval.data.last().map(|query| query.ref_id.clone()).unwrap_or_default(),
        name => name.to_owned(),
    };
    let results = crate::alerts::expressions::evaluate(&app, &eval.data, &condition, now_ms).await?;
    Ok(Json(json!({ "results": results })).into_response())
}
