//! Following a query live over a websocket: first what is stored already, then what comes.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use logql::ast::{Expr, LogExpr};
use logql::params::{self, Params as _};
use logql::{Entry, LogParams, QueryContext, QueryError};
use model::{Direction, Labels, LogSource};

use super::answer::{Answer, ApiError};
use super::params::Params;
use super::{checks, encode};
use crate::queries::Job;
use crate::source::Tenancy;
use crate::state::{App, Scope};
use crate::tail::{FollowError, Follower, Pushed};

/// Most seconds that entries may be held back.
const MAX_DELAY_S: u64 = 5;
/// Most entries of a frame.
const FRAME_ENTRIES: usize = 100;
/// Bytes of lines at which a frame is full.
const FRAME_BYTES: usize = 1 << 20;
/// How often the other side is asked whether it is there.
const PING: Duration = Duration::from_secs(5);
/// A client that takes no frame for this long is given up.
const STALLED: Duration = Duration::from_secs(60);
/// How long what came live is compared with what was sent from the store.
const OVERLAP: Duration = Duration::from_secs(10);

/// Form of the frames.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Labels as an object.
    V1 { categorize: bool },
    /// Labels as text.
    Legacy,
}

/// A tail as asked for.
struct Tail {
    expr: LogExpr,
    start_ns: i64,
    limit: usize,
    delay: Duration,
    form: Form,
    job: Job,
}

/// Frames of the current API.
pub(super) async fn tail(State(app): State<Arc<App>>, request: Request) -> Answer {
    let categorize = super::query::categorizes(request.headers());
    begin(app, request, Form::V1 { categorize }).await
}

/// Frames of the first API.
pub(super) async fn legacy(State(app): State<Arc<App>>, request: Request) -> Answer {
    begin(app, request, Form::Legacy).await
}

async fn begin(app: Arc<App>, request: Request, form: Form) -> Answer {
    let (mut parts, body) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await;
    let (headers, params) = Params::read(Request::from_parts(parts, body)).await?;
    let tenant = app.tenants.one_named(&headers)?;
    let text = params.get("query");
    let expr = logql::parse(text, super::query::parse_options(&params))?;
    let (limit, delay) = (params::limit(&params)?, delay(params.get("delay_for"))?);
    let now_ns = crate::now_ns();
    let start_ns = match params.get("start") {
        "" => params::bounds(&params, now_ns)?.0,
        start => {
            params::parse_time(start).map_err(|e| ApiError::bad(format!("could not parse 'start' parameter: {e}")))?
        }
    };
    let scope = app.scope(&headers).await?;
    let tags = checks::tags(&headers);
    checks::admit(text, &expr, &tags, &scope.limits)?;
    let kind = checks::kind(&expr);
    let Expr::Log(expr) = expr else { return Err(ApiError::bad("only log selector is supported")) };
    let (start_ns, _) = checked_start(start_ns, now_ns, &scope);
    let upgrade = upgrade.map_err(|rejection| {
        ApiError::new(StatusCode::BAD_REQUEST, format!("Bad Request\nwebsocket: {}", rejection.body_text()))
    })?;
    // A tenant may be followed before anything is stored for it.
    let tenant = app.tenants.open(&tenant).await?;
    let most = scope.limits.max_concurrent_tail_requests;
    let scope = Scope { tenancy: Tenancy::new(vec![tenant.clone()], false), ..scope };
    let matchers = expr.selector.matchers.clone();
    let follower = Follower::new(tenant, matchers, most).map_err(|error| match error {
        FollowError::TooMany { .. } => ApiError::bad(error),
        FollowError::Store(_) => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    })?;
    let job = super::query::job(&scope, text, kind, "range", tags);
    let tail = Tail { expr, start_ns, limit, delay, form, job };
    let upgrade = upgrade.max_message_size(64 << 10);
    Ok(upgrade.on_upgrade(move |socket| run(app, socket, follower, tail)).into_response())
}

fn checked_start(start_ns: i64, now_ns: i64, scope: &Scope) -> (i64, i64) {
    let lookback = scope.limits.max_query_lookback_ns;
    let oldest = if lookback > 0 { now_ns.saturating_sub(lookback) } else { i64::MIN };
    (start_ns.max(oldest), now_ns)
}

fn delay(text: &str) -> Result<Duration, ApiError> {
    if text.is_empty() {
        return Ok(Duration::ZERO);
    }
    let seconds: u64 =
        text.parse().map_err(|_| ApiError::bad(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))?;
    if seconds > MAX_DELAY_S {
        return Err(ApiError::bad(format!("delay_for can't be greater than {MAX_DELAY_S}")));
    }
    Ok(Duration::from_secs(seconds))
}

/// An entry for comparing.
type Seen = (i64, String, Box<str>);

fn seen(entry: &Entry) -> Seen {
    (entry.timestamp_ns, entry.labels.all.to_string(), entry.line.clone())
}

/// Why a tail ends.
enum End {
    /// The client is gone.
    Gone,
    /// The server or a limit ends it; the reason is sent.
    Said(u16, String),
}

async fn run(app: Arc<App>, mut socket: WebSocket, follower: Follower, tail: Tail) {
    let _active = app.tail.active.track();
    let _streams = app.tail.streams.track();
    let end = follow(&app, &mut socket, &follower, &tail).await;
    app.tail.dropped.add(follower.lost_entries());
    if let End::Said(code, reason) = end {
        let frame = CloseFrame { code, reason: reason.into() };
        // The client may be gone by now.
        let _ = tokio::time::timeout(Duration::from_secs(5), socket.send(Message::Close(Some(frame)))).await;
    }
}

async fn follow(app: &App, socket: &mut WebSocket, follower: &Follower, tail: &Tail) -> End {
    let begun = Instant::now();
    let categorize = matches!(tail.form, Form::V1 { categorize: true });
    let mut live = match logql::Tail::new(&tail.expr, categorize, crate::now_ns()) {
        Ok(live) => live,
        Err(error) => return End::Said(close_code::ERROR, error.to_string()),
    };
    let stored = match stored(app, tail).await {
        Ok(stored) => stored,
        Err(error) => return End::Said(close_code::ERROR, error.text),
    };
    // Entries that were stored while the tail began come both ways.
    let mut overlap: HashSet<Seen> = stored.iter().map(seen).collect();
    if let Err(end) = send(app, socket, tail, stored, Vec::new()).await {
        return end;
    }
    let most = app.config.query.tail_max;
    let end = tokio::time::sleep(if most.is_zero() { Duration::from_secs(365 * 86_400) } else { most });
    tokio::pin!(end);
    let mut ping = tokio::time::interval_at((Instant::now() + PING).into(), PING);
    let mut held: Vec<(Instant, Entry)> = Vec::new();
    loop {
        let due = held.first().map(|(since, _)| *since + tail.delay);
        tokio::select! {
            received = follower.receive() => {
                let lost = received.lost;
                app.tail.dropped.add(received.lost_entries);
                let mut entries = match filter(live, received.pieces, tail.start_ns).await {
                    Ok((back, entries)) => {
                        live = back;
                        entries
                    }
                    Err(error) => return End::Said(close_code::ERROR, error.to_string()),
                };
                if begun.elapsed() < OVERLAP {
                    entries.retain(|entry| overlap.is_empty() || !overlap.remove(&seen(entry)));
                } else {
                    overlap = HashSet::new();
                }
                let now = if tail.delay.is_zero() { std::mem::take(&mut entries) } else { Vec::new() };
                let arrived = Instant::now();
                held.extend(entries.into_iter().map(|entry| (arrived, entry)));
                if let Err(end) = send(app, socket, tail, now, lost).await {
                    return end;
                }
            }
            () = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            } => {
                let entries = release(&mut held, |since| since.elapsed() >= tail.delay);
                if let Err(end) = send(app, socket, tail, entries, Vec::new()).await {
                    return end;
                }
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Close(_))) | Some(Err(_)) | None => return End::Gone,
                Some(Ok(_)) => {}
            },
            _ = ping.tick() => {
                if !deliver(socket, Message::Ping(Vec::new().into())).await {
                    return End::Gone;
                }
            }
            () = &mut end => return End::Said(close_code::NORMAL, "reached tail max duration limit".to_owned()),
            () = app.stop.triggered() => return End::Said(close_code::AWAY, "server is stopping".to_owned()),
        }
    }
}

/// Takes out what was held back long enough, and whatever is older than that, in the order of times.
fn release(held: &mut Vec<(Instant, Entry)>, is_due: impl Fn(&Instant) -> bool) -> Vec<Entry> {
    let newest = held.iter().filter(|(since, _)| is_due(since)).map(|(_, entry)| entry.timestamp_ns).max();
    let Some(newest) = newest else { return Vec::new() };
    let mut entries: Vec<Entry> =
        held.extract_if(.., |(_, entry)| entry.timestamp_ns <= newest).map(|(_, entry)| entry).collect();
    entries.sort_by_key(|entry| entry.timestamp_ns);
    entries
}

async fn deliver(socket: &mut WebSocket, message: Message) -> bool {
    matches!(tokio::time::timeout(STALLED, socket.send(message)).await, Ok(Ok(())))
}

/// The newest entries that are stored, oldest first.
async fn stored(app: &App, tail: &Tail) -> Result<Vec<Entry>, ApiError> {
    let end_ns = crate::now_ns();
    if tail.start_ns >= end_ns {
        return Ok(Vec::new());
    }
    let (expr, params) = (tail.expr.clone(), params(tail, (tail.start_ns, end_ns), Direction::Backward));
    let limit = tail.limit;
    let work = move |source: &dyn LogSource, context: &QueryContext<'_>| {
        let mut found = collect(source, &expr, &params, context, limit)?;
        found.reverse();
        Ok(found)
    };
    Ok(app.queries.run(tail.job.clone(), work).await?.0)
}

fn params(tail: &Tail, (start_ns, end_ns): (i64, i64), direction: Direction) -> LogParams {
    let categorize = matches!(tail.form, Form::V1 { categorize: true });
    LogParams { start_ns, end_ns, direction, limit: tail.limit, interval_ns: 0, categorize, after: None }
}

fn collect(
    source: &dyn LogSource,
    expr: &LogExpr,
    params: &LogParams,
    context: &QueryContext<'_>,
    limit: usize,
) -> Result<Vec<Entry>, QueryError> {
    let mut found = Vec::new();
    logql::for_each_entry(source, expr, params, context, |entry, _| {
        found.push(entry);
        if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(found)
}

/// Runs the pipeline over what was pushed, in the order of the pushes; gives the pipeline back.
async fn filter(
    mut live: logql::Tail,
    pieces: Vec<Pushed>,
    start_ns: i64,
) -> Result<(logql::Tail, Vec<Entry>), tokio::task::JoinError> {
    tokio::task::spawn_blocking(move || {
        let mut found = Vec::new();
        live.set_now(crate::now_ns());
        for piece in &pieces {
            live.push(&piece.labels, &piece.entries, |entry| {
                if entry.timestamp_ns >= start_ns {
                    found.push(entry);
                }
            });
        }
        (live, found)
    })
    .await
}

async fn send(
    app: &App,
    socket: &mut WebSocket,
    tail: &Tail,
    entries: Vec<Entry>,
    mut lost: Vec<(Labels, i64)>,
) -> Result<(), End> {
    let mut rest = entries.as_slice();
    while !rest.is_empty() || !lost.is_empty() {
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            bytes += entry.line.len();
            bytes <= FRAME_BYTES
        };
        let count = rest.iter().take(FRAME_ENTRIES).take_while(fits).count().max(1).min(rest.len());
        let (frame, others) = rest.split_at(count);
        rest = others;
        let text = frame_text(tail.form, frame, &std::mem::take(&mut lost));
        app.tail.bytes.add(text.len() as u64);
        let Ok(text) = String::from_utf8(text) else { return Err(End::Gone) };
        if !deliver(socket, Message::Text(text.into())).await {
            return Err(End::Gone);
        }
    }
    Ok(())
}

/// A frame; entries of one label set that follow each other share an item, so that the order of all entries is kept.
fn frame_text(form: Form, entries: &[Entry], lost: &[(Labels, i64)]) -> Vec<u8> {
    let mut streams: Vec<logql::StreamEntries> = Vec::new();
    for entry in entries {
        let labels = match &entry.labels.categories {
            Some(categories) => &categories.stream,
            None => &entry.labels.all,
        };
        match streams.last_mut() {
            Some(last) if last.labels == *labels => last.entries.push(entry.clone()),
            _ => streams.push(logql::StreamEntries { labels: labels.clone(), entries: vec![entry.clone()] }),
        }
    }
    let found = logql::LogResult { streams, next: None };
    let mut out = b"{\"streams\":".to_vec();
    match form {
        Form::V1 { categorize } => {
            out.push(b'[');
            encode::streams(&mut out, &found, categorize);
            out.push(b']');
        }
        Form::Legacy => encode::legacy_streams(&mut out, &found),
    }
    if !lost.is_empty() {
        out.extend_from_slice(b",\"dropped_entries\":[");
        for (index, (labels, timestamp_ns)) in lost.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            match form {
                Form::V1 { .. } => {
                    out.extend_from_slice(format!("{{\"timestamp\":\"{timestamp_ns}\",\"labels\":").as_bytes());
                    encode::object(&mut out, labels.iter());
                }
                Form::Legacy => {
                    let time = encode::rfc3339(*timestamp_ns);
                    out.extend_from_slice(format!("{{\"Timestamp\":\"{time}\",\"Labels\":").as_bytes());
                    encode::string(&mut out, &labels.to_string());
                }
            }
            out.push(b'}');
        }
        out.push(b']');
    }
    if form == (Form::V1 { categorize: true }) {
        out.extend_from_slice(b",\"encodingFlags\":[\"categorize-labels\"]");
    }
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_held_back_comes_in_the_order_of_its_times() {
        let begun = Instant::now();
        let later = begun + Duration::from_secs(1);
        let entry = |timestamp_ns| Entry { timestamp_ns, line: "".into(), labels: Default::default() };
        let mut held = vec![(begun, entry(5)), (later, entry(3)), (later, entry(7)), (later, entry(4))];
        let times = |entries: Vec<Entry>| entries.iter().map(|entry| entry.timestamp_ns).collect::<Vec<_>>();
        assert_eq!(times(release(&mut held, |since| *since == begun)), [3, 4, 5]);
        assert!(release(&mut held, |since| *since == begun).is_empty());
        assert_eq!(times(release(&mut held, |_| true)), [7]);
    }
}
