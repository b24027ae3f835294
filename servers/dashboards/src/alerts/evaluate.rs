//! Evaluating rules: their queries are asked of the data sources, their expressions worked out, and what comes of it handed to
//! the notifier, the history and the store, in this order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alerting::grafana::expr::{DataQuery, QuerySource};
use alerting::grafana::{EvalError, Evaluation, Number, Processed, RuleQuery, Series, Value, evaluate};
use alerting::notify::PostableAlert;
use alerting::rules::OutgoingAlert;
use model::Labels;

use super::record;
use super::rules::{Group, Rule, entry};
use crate::api::read_query;
use crate::app::Shared;
use crate::datasources::query::{Answer, Asker, LabelMap};
use crate::error::ApiError;

/// Wait before a query is asked again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Answers of data sources by ref id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers(BTreeMap<String, Result<Vec<Value>, String>>);

impl QuerySource for Answers {
    fn query(&self, query: &DataQuery<'_>) -> Result<Vec<Value>, String> {
        self.0.get(query.ref_id).cloned().unwrap_or_else(|| Err(format!("query {} was not asked", query.ref_id)))
    }
}

fn labels(map: &LabelMap) -> Labels {
    Labels::from_pairs(map)
}

/// An answer as expressions take it: what has one time is a number, what has many a series.
pub(crate) fn values(answer: Answer) -> Result<Vec<Value>, String> {
    Ok(match answer {
        Answer::Matrix(all) => {
            let points = |points: Vec<(i64, f64)>| points.into_iter().map(|(at_ms, value)| (at_ms, Some(value)));
            all.into_iter().map(|one| Value::Series(Series::new(labels(&one.labels), points(one.points)))).collect()
        }
        Answer::Vector(all) => {
            let number = |one: &crate::datasources::query::Series| {
                Value::Number(Number::new(labels(&one.labels), one.points.last().map(|(_, value)| *value)))
            };
            all.iter().map(number).collect()
        }
        Answer::Scalar(_, value) => vec![Value::Number(Number::new(Labels::empty(), Some(value)))],
        Answer::Text(..) => return Err("the query gives a text, not numbers".to_owned()),
        Answer::Lines(_) => {
            return Err("the query gives log lines, not numbers: count them, as with count_over_time".to_owned());
        }
    })
}

/// Asks the data sources of all queries at once.
pub(crate) async fn ask(app: &Shared, queries: &[RuleQuery], now_ms: i64) -> Answers {
    let mut tasks = tokio::task::JoinSet::new();
    for query in queries.iter().filter(|query| !query.is_expression()) {
        let (app, query) = (app.clone(), query.clone());
        tasks.spawn(async move {
            let answer = ask_patiently(&app, &query, now_ms).await;
            (query.ref_id, answer)
        });
    }
    Answers(tasks.join_all().await.into_iter().collect())
}

async fn ask_patiently(app: &Shared, query: &RuleQuery, now_ms: i64) -> Result<Vec<Value>, String> {
    let timeout = Duration::from_millis(app.settings.alerting.evaluation_timeout_ms.unsigned_abs());
    let work = async {
        let mut attempt = 1;
        loop {
            match ask_once(app, query, now_ms, timeout).await {
                // A query that is wrong is wrong the second time too.
                Err(error) if error.status.is_server_error() && attempt < app.settings.alerting.max_attempts => {
                    attempt += 1;
                    tokio::time::sleep(RETRY_DELAY).await;
                }
                result => return result.map_err(|error| error.message),
            }
        }
    };
    match tokio::time::timeout(timeout, work).await {
        Ok(result) => result,
        Err(_) => Err(format!("no answer within {} s", timeout.as_secs())),
    }
}

async fn ask_once(app: &Shared, query: &RuleQuery, now_ms: i64, timeout: Duration) -> Result<Vec<Value>, ApiError> {
    let mut model = query.model.as_object().cloned().unwrap_or_default();
    model.insert("datasource".into(), serde_json::json!({"uid": query.datasource_uid}));
    if !query.query_type.is_empty() && model.get("queryType").and_then(|v| v.as_str()).unwrap_or("").is_empty() {
        model.insert("queryType".into(), query.query_type.clone().into());
    }
    let range = &query.relative_time_range;
    let times = (now_ms - range.from.saturating_mul(1000), now_ms - range.to.saturating_mul(1000));
    let asked = read_query(app, &model, times)?;
    app.metrics.datasource_requests.with(&[&asked.source.kind]).inc();
    let asker = Asker::new(&app.datasources, asked.source, timeout, app.settings.dataproxy.response_limit)?;
    values(asker.ask(&asked.query).await?).map_err(ApiError::bad_request)
}

/// Evaluates the rules of a group one after the other.
pub(crate) async fn evaluate_group(app: &Shared, group: &Arc<Group>, slot_ms: i64) {
    let start = Instant::now();
    app.metrics.scheduler_behind.set((app.now_ms() - slot_ms).max(0) as f64 / 1000.0);
    for rule in &group.rules {
        if app.shutdown.is_triggered() {
            break;
        }
        evaluate_rule(app, rule, slot_ms).await;
    }
    group.finished(slot_ms, start.elapsed().as_secs_f64() * 1000.0);
}

async fn evaluate_rule(app: &Shared, rule: &Arc<Rule>, now_ms: i64) {
    let Some(prepared) = rule.prepared.as_ref().filter(|prepared| !prepared.rule.is_paused) else { return };
    let start = Instant::now();
    let answers = ask(app, &prepared.rule.data, now_ms).await;
    let evaluation = match prepared.rule.record {
        Some(_) => record::evaluate(app, prepared, &answers, now_ms).await,
        None => evaluate(prepared, &answers, now_ms, &rule.read(|state| state.loaded())),
    };
    let took = start.elapsed();
    app.metrics.evaluations.with(&["1"]).inc();
    app.metrics.evaluation_duration.observe_duration(took);
    if let Evaluation::Error(EvalError { message, .. }) = &evaluation {
        app.metrics.evaluation_failures.with(&["1"]).inc();
        tracing::warn!(
            component = "alerting",
            rule = prepared.rule.uid,
            title = prepared.rule.title,
            error = message,
            "evaluation failed"
        );
    }
    let context = app.alerts.rules.context();
    let processed = rule.process(took.as_secs_f64() * 1000.0, |state| match prepared.rule.record {
        // Nobody is told about what a recording rule does.
        Some(_) => record::note(state, prepared, &evaluation, now_ms, &context),
        None => state.process(prepared, &evaluation, now_ms, &context),
    });
    let Some(Processed { alerts, history, .. }) = processed else { return };
    if alerts.is_empty() && history.is_empty() {
        return;
    }
    let history = history.into_iter().map(|event| entry(prepared, event)).collect();
    app.alerts.deliver(app, alerts, history).await;
    if let Err(error) = app.alerts.rules.save(std::slice::from_ref(rule)).await {
        tracing::error!(component = "alerting", %error, "the state of a rule could not be written down");
    }
}

impl super::Alerts {
    /// Hands alerts to the notifier and changes to the history.
    pub(crate) async fn deliver(&self, app: &Shared, alerts: Vec<OutgoingAlert>, history: Vec<super::history::Entry>) {
        for change in &history {
            let event = &change.event;
            tracing::info!(component = "alerting", rule = event.rule_uid, title = event.rule_title, from = event.previous, to = event.current, labels = %event.instance_labels, "state changed");
        }
        if !alerts.is_empty() && app.settings.alerting.execute {
            let now_ms = app.now_ms();
            let alerts: Vec<PostableAlert> = alerts.into_iter().map(PostableAlert::from).collect();
            match self.notify.change(|notifier| notifier.put_alerts(now_ms, alerts)).await {
                Ok(refused) => {
                    for (_, error) in refused {
                        tracing::error!(component = "alerting", %error, "alert not taken");
                    }
                }
                Err(error) => tracing::error!(component = "alerting", %error, "alerts could not be written down"),
            }
        }
        if app.settings.alerting.history
            && let Err(error) = self.history.add(history).await
        {
            tracing::error!(component = "alerting", %error, "changes of state could not be written down");
        }
    }
}
