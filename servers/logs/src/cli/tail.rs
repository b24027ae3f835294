//! Following a query over a websocket; when the connection breaks, where it was.

use std::io::Write;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use futures_util::StreamExt;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::client::{Api, CliError, streams};
use super::flags::{OutputFlags, TailFlags};
use super::output::Printer;

/// Longest pause before connecting again.
const MAX_PAUSE: Duration = Duration::from_secs(30);

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// `tail`
pub(super) async fn run(flags: TailFlags) -> Result<(), CliError> {
    let api = Api::new(&flags.server, flags.shown.quiet)?;
    let since = i64::try_from(flags.since.as_nanos()).unwrap_or(i64::MAX);
    let start_ns = crate::now_ns().saturating_sub(since);
    follow(&api, &flags.shown, &flags.query, flags.limit, start_ns, flags.delay_for).await
}

/// Follows until something is wrong that a new connection does not heal.
pub(super) async fn follow(
    api: &Api,
    shown: &OutputFlags,
    query: &str,
    limit: usize,
    mut start_ns: i64,
    delay_for: u64,
) -> Result<(), CliError> {
    let mut printer = Printer::new(&OutputFlags { include_common_labels: true, ..shown.clone() });
    printer.begin(&[]);
    let mut pause = Duration::from_secs(1);
    loop {
        let params = vec![
            ("query", query.to_owned()),
            ("limit", limit.to_string()),
            ("start", start_ns.to_string()),
            ("delay_for", delay_for.to_string()),
        ];
        let problem = match connect(api, &params).await {
            Ok(mut socket) => {
                pause = Duration::from_secs(1);
                read(&mut socket, &printer, &mut start_ns).await?
            }
            Err(e @ (CliError::Usage(_) | CliError::Answer(_))) => return Err(e),
            Err(CliError::Status { status, text }) if status < 500 && status != 429 => {
                return Err(CliError::Status { status, text });
            }
            Err(e) => e.to_string(),
        };
        eprintln!("{problem}; connecting again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

async fn connect(api: &Api, params: &super::client::Params) -> Result<Socket, CliError> {
    let mut request = api.request("/loki/api/v1/tail", params)?;
    let key = generate_key();
    let key = HeaderValue::from_str(&key).map_err(|e| CliError::Usage(e.to_string()))?;
    request.headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    request.headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    request.headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    request.headers.insert(header::SEC_WEBSOCKET_KEY, key);
    request.gzip = false;
    let answer = api.client().open(request).await?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = answer.status().as_u16();
        let body = http_body_util::BodyExt::collect(answer.into_body()).await;
        let text = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).trim().to_owned());
        return Err(CliError::Status { status, text: text.unwrap_or_default() });
    }
    let upgraded =
        hyper::upgrade::on(answer).await.map_err(|e| CliError::Io("websocket".into(), std::io::Error::other(e)))?;
    Ok(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await)
}

/// Prints what comes until the connection ends; returns why it did.
async fn read(socket: &mut Socket, printer: &Printer, start_ns: &mut i64) -> Result<String, CliError> {
    while let Some(message) = socket.next().await {
        let text = match message {
            Ok(Message::Text(text)) => text,
            Ok(Message::Close(frame)) => {
                return Ok(
                    frame.map_or_else(|| "the server ended the tail".to_owned(), |frame| frame.reason.to_string())
                );
            }
            Ok(_) => continue,
            Err(e) => return Ok(e.to_string()),
        };
        let frame: serde_json::Value = serde_json::from_str(&text).map_err(|e| CliError::Answer(e.to_string()))?;
        let lost = frame["dropped_entries"].as_array().map_or(0, Vec::len);
        if lost > 0 {
            eprintln!("the server dropped {lost} entries: this tail is too slow for what comes");
        }
        if frame["streams"].is_null() {
            continue;
        }
        let mut out = std::io::stdout().lock();
        // One item after the other: the server has brought them into order.
        for stream in streams(&frame["streams"])? {
            if let Some(newest) = stream.entries.iter().map(|(time, _)| *time).max() {
                *start_ns = (*start_ns).max(newest.saturating_add(1));
            }
            printer.print(&mut out, &[stream], true)?;
        }
        out.flush()?;
    }
    Ok("the connection ended".to_owned())
}
