//! How a query is answered, and what each part of that took. Beyond the peer's API.

use std::sync::Arc;

use axum::extract::{Request, State};
use logql::params::{self, Params as _};
use logql::{PlanNode, QueryError, QueryOutput, Value};
use serde_json::json;

use super::answer::{Answer, ApiError, json_of};
use super::encode;
use super::params::Params;
use super::query::{Prepared, prepare};
use crate::queries::Queries;
use crate::state::App;

/// The plan of a query: of an instant query with `time`, else of a range query. With `analyze=true` the query is run and
/// its parts are measured.
pub(super) async fn explain(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (headers, params) = Params::read(request).await?;
    let now_ns = crate::now_ns();
    let request = match params.get("time") {
        "" => params::range_request(&params, now_ns)?,
        _ => params::instant_request(&params, now_ns)?,
    };
    let analyze = matches!(params.get("analyze"), "true" | "1");
    let Some(prepared) = prepare(&app, &headers, &params, request).await? else {
        return Err(ApiError::bad("the time range lies before what may be queried"));
    };
    let Prepared { expr, request, job, scope } = prepared;
    let engine = Queries::engine(&scope.limits);
    let ((plan, output), timing) = app
        .queries
        .run(job, move |source, context| -> Result<(PlanNode, Option<QueryOutput>), QueryError> {
            if analyze {
                let (output, plan) = engine.analyze(source, &expr, &request, context)?;
                return Ok((plan, Some(output)));
            }
            Ok((engine.explain(&expr, &request, context)?, None))
        })
        .await?;
    let mut data = json!({"text": plan.to_string(), "plan": plan});
    if let Some(output) = output {
        data["stats"] = encode::statistics(&output.stats, timing);
        data["results"] = json!(match &output.value {
            Value::Streams(found) => found.streams.iter().map(|stream| stream.entries.len()).sum(),
            Value::Vector(samples) => samples.len(),
            Value::Matrix(series) => series.len(),
            Value::Scalar(..) => 1,
        });
    }
    Ok(json_of(&json!({"status": "success", "data": data})))
}
