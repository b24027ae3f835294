//! Contact points: the provisioning API, and the test that sends a message at once.

use alerting::grafana::notifier_config;
use alerting::notify::config::{ConfigOptions, Route};
use alerting::notify::contact_point::{ContactPoint, ContactPointIntegration, GrafanaIntegration};
use alerting::notify::{Notifier, NotifierOptions, Outcome, PostableAlert};
use alerting::text::PromDuration;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{bad, export, provenance};
use crate::alerts::config::{Item, redacted, unredact};
use crate::alerts::notify::contact_point_options;
use crate::api::{ADMIN, Body, EDITOR, Params, Routes, VIEWER};
use crate::app::Shared;
use crate::auth::token;
use crate::error::{ApiError, ApiResult};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/v1/provisioning/contact-points", VIEWER, list)
        .post("/api/v1/provisioning/contact-points", EDITOR, create)
        .get("/api/v1/provisioning/contact-points/export", VIEWER, export_all)
        .put("/api/v1/provisioning/contact-points/{uid}", EDITOR, update)
        .delete("/api/v1/provisioning/contact-points/{uid}", EDITOR, delete)
        .post("/api/alertmanager/grafana/config/api/v1/receivers/test", ADMIN, test)
}

fn point_json(item: &Item<ContactPointIntegration>) -> Value {
    let mut value = serde_json::to_value(redacted(&item.value)).unwrap_or_default();
    value["provenance"] = item.provenance.as_str().into();
    value
}

fn not_found() -> ApiError {
    ApiError::not_found("contact point not found").id("alerting.notifications.contact-points.notFound")
}

async fn list(State(app): State<Shared>, params: Params) -> Json<Value> {
    let config = app.alerts.config.get();
    let name = params.get("name");
    let wanted = config.contact_points.iter().filter(|point| name.is_none_or(|name| point.value.name == name));
    Json(wanted.map(point_json).collect())
}

fn check(app: &Shared, point: &ContactPointIntegration) -> Result<(), ApiError> {
    if point.name.trim().is_empty() {
        return Err(ApiError::bad_request("name: missing"));
    }
    GrafanaIntegration::new(point, &contact_point_options(&app.settings)).map(drop).map_err(bad)
}

async fn create(
    State(app): State<Shared>,
    headers: HeaderMap,
    Body(mut point): Body<ContactPointIntegration>,
) -> ApiResult {
    if point.uid.is_empty() {
        point.uid = token::random_text(14);
    }
    crate::dashboards::model::check_uid(&point.uid)?;
    check(&app, &point)?;
    let config = app.alerts.config.get();
    if config.contact_points.iter().any(|known| known.value.uid == point.uid) {
        return Err(ApiError::conflict(format!("a contact point with uid {:?} exists", point.uid)));
    }
    // Integrations of one name are one contact point: a file's has those that the file says.
    for known in config.contact_points.iter().filter(|known| known.value.name == point.name) {
        known.provenance.check_change()?;
    }
    let item = Item { value: point, provenance: provenance(&headers), updated_ms: app.now_ms() };
    let body = point_json(&item);
    app.alerts.config.edit(|own| own.contact_points.push(item)).await?;
    app.alerts.put_in_force(&app).await;
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

async fn update(
    State(app): State<Shared>,
    Path(uid): Path<String>,
    headers: HeaderMap,
    Body(mut point): Body<ContactPointIntegration>,
) -> ApiResult {
    let config = app.alerts.config.get();
    let known = config.contact_points.iter().find(|known| known.value.uid == uid).ok_or_else(not_found)?;
    known.provenance.check_change()?;
    point.uid = uid;
    if point.name.is_empty() {
        point.name.clone_from(&known.value.name);
    }
    unredact(&mut point, &known.value);
    check(&app, &point)?;
    if point.name != known.value.name {
        check_unused(&app, &known.value)?;
    }
    let item = Item { value: point, provenance: provenance(&headers), updated_ms: app.now_ms() };
    app.alerts
        .config
        .change(|own| {
            let known = own.contact_points.iter_mut().find(|known| known.value.uid == item.value.uid);
            *known.ok_or_else(not_found)? = item;
            Ok(())
        })
        .await?;
    app.alerts.put_in_force(&app).await;
    Ok((StatusCode::ACCEPTED, crate::error::done("contactpoint updated")).into_response())
}

/// # Errors
/// When alerts are sent to the contact point and this is the last that it has.
fn check_unused(app: &Shared, point: &ContactPointIntegration) -> Result<(), ApiError> {
    fn names<'a>(route: &'a Route, out: &mut Vec<&'a str>) {
        out.push(&route.receiver);
        route.routes.iter().for_each(|route| names(route, out));
    }
    let config = app.alerts.config.get();
    if config.contact_points.iter().filter(|known| known.value.name == point.name).count() > 1 {
        return Ok(());
    }
    let policy = config.policy();
    let mut used = Vec::new();
    names(&policy.value, &mut used);
    let settings = config.rules().filter_map(|(_, rule)| rule.value.notification_settings.as_ref());
    used.extend(settings.map(|settings| settings.receiver.as_str()));
    if used.contains(&point.name.as_str()) {
        let message = "the contact point is in use: by the notification policy or by a rule";
        return Err(ApiError::conflict(message).id("alerting.notifications.contact-points.referenced"));
    }
    Ok(())
}

async fn delete(State(app): State<Shared>, Path(uid): Path<String>) -> ApiResult {
    let config = app.alerts.config.get();
    if let Some(known) = config.contact_points.iter().find(|known| known.value.uid == uid) {
        known.provenance.check_change()?;
        check_unused(&app, &known.value)?;
        app.alerts.config.edit(|own| own.contact_points.retain(|point| point.value.uid != uid)).await?;
        app.alerts.put_in_force(&app).await;
    }
    Ok((StatusCode::ACCEPTED, crate::error::done("contactpoint deleted")).into_response())
}

async fn export_all(State(app): State<Shared>, params: Params, headers: HeaderMap) -> ApiResult {
    let config = app.alerts.config.get();
    let name = params.get("name");
    let items = config
        .points_by_name()
        .into_iter()
        .filter(|(point, _)| name.is_none_or(|name| name == *point))
        .map(|(name, points)| {
            let receivers: Vec<Value> = points
                .iter()
                .map(|point| {
                    let mut value = serde_json::to_value(redacted(&point.value)).unwrap_or_default();
                    if let Some(map) = value.as_object_mut() {
                        map.remove("name");
                    }
                    value
                })
                .collect();
            json!({"orgId": 1, "name": name, "receivers": receivers})
        })
        .collect();
    export::answer("contactPoints", items, &params, &headers)
}

#[derive(Deserialize)]
struct Test {
    receivers: Vec<TestReceiver>,
    #[serde(default)]
    alert: Option<TestAlert>,
}

#[derive(Deserialize)]
struct TestReceiver {
    name: String,
    #[serde(default)]
    grafana_managed_receiver_configs: Vec<ContactPointIntegration>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct TestAlert {
    labels: std::collections::BTreeMap<String, String>,
    annotations: std::collections::BTreeMap<String, String>,
}

async fn test(State(app): State<Shared>, Body(test): Body<Test>) -> ApiResult {
    let now_ms = app.now_ms();
    let alert = test.alert.unwrap_or_default();
    let mut posted = PostableAlert {
        labels: [("alertname", "TestAlert"), ("instance", "Foursight")]
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .into(),
        annotations: [("summary".to_owned(), "Notification test".to_owned())].into(),
        starts_at_ms: Some(now_ms),
        ends_at_ms: None,
        generator_url: String::new(),
    };
    posted.labels.extend(alert.labels);
    posted.annotations.extend(alert.annotations);
    let known = app.alerts.config.get();
    let (mut answers, mut failed, mut count) = (Vec::new(), 0, 0);
    for receiver in test.receivers {
        let mut integrations = Vec::new();
        for mut integration in receiver.grafana_managed_receiver_configs {
            if let Some(stored) = known.contact_points.iter().find(|one| one.value.uid == integration.uid) {
                unredact(&mut integration, &stored.value);
            }
            integration.name.clone_from(&receiver.name);
            let result = send_test(&app, &integration, posted.clone(), now_ms).await;
            count += 1;
            let mut body = json!({"name": receiver.name, "uid": integration.uid, "status": "ok"});
            if let Err(error) = result {
                failed += 1;
                body["status"] = "failed".into();
                body["error"] = error.into();
            }
            integrations.push(body);
        }
        answers.push(json!({"name": receiver.name, "grafana_managed_receiver_configs": integrations}));
    }
    let status = match failed {
        0 => StatusCode::OK,
        _ if failed == count => StatusCode::BAD_REQUEST,
        _ => StatusCode::MULTI_STATUS,
    };
    let body = json!({
        "alert": {"labels": posted.labels, "annotations": posted.annotations},
        "receivers": answers, "notified_at": kit::time::Rfc3339(now_ms).to_string(),
    });
    Ok((status, Json(body)).into_response())
}

/// Sends one alert through one integration, by a notifier of its own.
async fn send_test(
    app: &Shared,
    integration: &ContactPointIntegration,
    alert: PostableAlert,
    now_ms: i64,
) -> Result<(), String> {
    let options = contact_point_options(&app.settings);
    GrafanaIntegration::new(integration, &options).map_err(|error| error.to_string())?;
    let point = ContactPoint { org_id: 1, name: integration.name.clone(), receivers: vec![integration.clone()] };
    let route = Route { receiver: integration.name.clone(), group_wait: Some(PromDuration(0)), ..Route::default() };
    let config = notifier_config(&route, &[point], &[], [], &options, ConfigOptions::default());
    let config = config.map_err(|error| error.to_string())?;
    let renderer = app.alerts.notify.read(|notifier| notifier.options().renderer.clone());
    let mut notifier = Notifier::new(config, NotifierOptions::new(renderer), now_ms);
    if let Some((_, error)) = notifier.put_alerts(now_ms, vec![alert]).into_iter().next() {
        return Err(error.to_string());
    }
    let sends = notifier.tick(now_ms);
    if sends.is_empty() {
        let events = notifier.take_events();
        return Err(format!("nothing to send: {events:?}"));
    }
    for send in sends {
        let outcome = app.alerts.sender.send(send.payload, std::time::Duration::from_secs(15)).await;
        match outcome {
            Outcome::Http(answers) => {
                if let Some(refused) = answers.iter().find(|answer| !(200..300).contains(&answer.status)) {
                    let text = String::from_utf8_lossy(&refused.body);
                    let line: String = text.lines().next().unwrap_or("").chars().take(200).collect();
                    return Err(format!("the receiver answered {}: {line}", refused.status));
                }
            }
            Outcome::MailAccepted => {}
            Outcome::Timeout => return Err("no answer in time".to_owned()),
            Outcome::Network(error) | Outcome::Rejected(error) => return Err(error),
        }
    }
    Ok(())
}
