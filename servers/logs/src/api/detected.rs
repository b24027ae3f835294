//! What can be found in lines: fields with their types and values, and patterns.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use logql::ast::{Expr, LogExpr};
use logql::explore::{self, FieldsRequest};
use logql::params::{self, ParamError, Params as _};
use serde_json::{Value, json};

use super::answer::{Answer, ApiError, json as json_answer, json_of};
use super::encode;
use super::labels::{checked, job, matchers};
use super::params::Params;
use crate::state::{App, Scope};

fn log_expr(params: &Params) -> Result<LogExpr, ApiError> {
    match logql::parse(params.get("query"), Default::default())? {
        Expr::Log(log) => Ok(log),
        Expr::Metric(_) => Err(ApiError::bad("only log selector is supported")),
    }
}

fn fields_request(params: &Params, scope: &Scope) -> Result<FieldsRequest, ApiError> {
    let (start, end) = params::bounds(params, crate::now_ns())?;
    if end < start {
        return Err(ParamError::EndBeforeStart.into());
    }
    let (line_limit, limit) = (params::line_limit(params)?, params::field_limit(params)?);
    let (start_ns, end_ns) = checked(start, end, scope)?;
    Ok(FieldsRequest { start_ns, end_ns, line_limit, limit })
}

/// The fields of the newest lines.
pub(super) async fn fields(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (headers, params) = Params::read(request).await?;
    let scope = app.scope(&headers).await?;
    let request = fields_request(&params, &scope)?;
    let limit = request.limit;
    let expr = log_expr(&params)?;
    let job = job(&scope, &params, &headers, "detected_fields");
    let run =
        app.queries.run(job, move |source, context| explore::detected_fields(source, &expr, &request, context)).await?;
    let list: Vec<Value> = run
        .0
        .iter()
        .map(|field| {
            let parsers = if field.parsers.is_empty() { Value::Null } else { json!(field.parsers) };
            let mut one = json!({
                "label": field.label,
                "type": field.field_type.as_str(),
                "cardinality": field.cardinality,
                "parsers": parsers,
            });
            if !field.json_path.is_empty() {
                one["jsonPath"] = json!(field.json_path);
            }
            one
        })
        .collect();
    Ok(json_of(&if list.is_empty() { json!({}) } else { json!({"fields": list, "limit": limit}) }))
}

/// The values of one field of the newest lines.
pub(super) async fn values(State(app): State<Arc<App>>, Path(name): Path<String>, request: Request) -> Answer {
    let (headers, params) = Params::read(request).await?;
    let scope = app.scope(&headers).await?;
    let request = fields_request(&params, &scope)?;
    let limit = request.limit;
    let expr = log_expr(&params)?;
    let job = job(&scope, &params, &headers, "detected_fields");
    let (values, _) = app
        .queries
        .run(job, move |source, context| explore::field_values(source, &expr, &name, &request, context))
        .await?;
    Ok(json_of(&if values.is_empty() { json!({}) } else { json!({"values": values, "limit": limit}) }))
}

/// Patterns of lines and when they came.
pub(super) async fn patterns(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (headers, params) = Params::read(request).await?;
    let scope = app.scope(&headers).await?;
    if !app.config.patterns_enabled {
        return Err(ApiError::new(StatusCode::NOT_FOUND, "pattern ingester is not enabled (pattern_ingester.enabled)"));
    }
    let (start, end) = params::bounds(&params, crate::now_ns())?;
    let step = params::step(&params, start, end)?;
    let (start, end) = checked(start, end, &scope)?;
    let found = matchers(params.get("query"), false)?;
    let job = job(&scope, &params, &headers, "patterns");
    let ((series, warnings), _) = app
        .queries
        .run(job, move |source, context| explore::patterns(source, &found, start, end, step, context))
        .await?;
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(b"{\"status\":\"success\",");
    if !warnings.is_empty() {
        out.extend_from_slice(b"\"warnings\":");
        out.extend_from_slice(json!(warnings).to_string().as_bytes());
        out.push(b',');
    }
    out.extend_from_slice(b"\"data\":[");
    for (index, one) in series.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"pattern\":");
        encode::string(&mut out, &one.pattern);
        out.extend_from_slice(b",\"level\":");
        encode::string(&mut out, &one.level);
        out.extend_from_slice(b",\"samples\":");
        out.extend_from_slice(json!(one.samples).to_string().as_bytes());
        out.push(b'}');
    }
    out.extend_from_slice(b"]}\n");
    Ok(json_answer(out))
}
