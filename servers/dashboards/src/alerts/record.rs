//! Recording rules: what a query gives is written to a data source, by remote write.

use std::time::Duration;

use alerting::SampleValue;
use alerting::grafana::{EvalError, Evaluation, PreparedRule, Processed, RuleContext, RuleState, recorded};
use wire::remote_write::RequestWriter;

use super::evaluate::Answers;
use crate::app::Shared;
use crate::datasources::SourceKind;
use crate::error::ApiError;

/// Longest a write may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Works out the samples and writes them. No instances come of it.
pub(super) async fn evaluate(app: &Shared, rule: &PreparedRule, answers: &Answers, now_ms: i64) -> Evaluation {
    let samples = match recorded(rule, answers, now_ms) {
        Ok(samples) => samples,
        Err(error) => return Evaluation::Error(error),
    };
    let mut writer = RequestWriter::new();
    for sample in &samples {
        if let SampleValue::Float(value) = sample.value {
            writer.series(sample.labels.iter(), |series| series.sample(sample.timestamp_ms, value));
        }
    }
    let target = rule.rule.record.as_ref().map(|record| record.target_datasource_uid.as_str()).unwrap_or_default();
    let written = if samples.is_empty() { Ok(()) } else { write(app, target, &writer.finish()).await };
    match written {
        Ok(()) => Evaluation::Instances(Vec::new()),
        Err(error) => Evaluation::Error(EvalError {
            message: format!("what was recorded could not be written: {error}"),
            datasource_uid: target.to_owned(),
            ..EvalError::default()
        }),
    }
}

async fn write(app: &Shared, target: &str, message: &[u8]) -> Result<(), ApiError> {
    let source = match target {
        "" => app.datasources.default_of(Some("prometheus")),
        uid => app.datasources.by_reference(uid),
    };
    let source = source.ok_or_else(|| ApiError::not_found(format!("data source {target:?} not found")))?;
    if source.source_kind() != SourceKind::Prometheus {
        return Err(ApiError::bad_request(format!("data source {} is not of type prometheus", source.name)));
    }
    app.datasources.client(&source)?.remote_write("api/v1/write", message, TIMEOUT).await
}

/// Takes note of how it went: health and error. Nobody is told of anything.
pub(super) fn note(
    state: &mut RuleState,
    rule: &PreparedRule,
    evaluation: &Evaluation,
    now_ms: i64,
    context: &RuleContext<'_>,
) -> Processed {
    state.process(rule, evaluation, now_ms, context);
    Processed::default()
}
