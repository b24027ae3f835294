//! A receiver of Slack messages for people who have no webhook at hand: takes what Slack's incoming webhooks take and shows
//! the messages as a person would read them.
//!
//! Messages are kept in a file, one JSON line each, so that a restart shows them again; the page and the memory
//! hold the newest [`MAX_MESSAGES`]. It answers as Slack does: `ok`, or `invalid_payload` with status 400.

mod mrkdwn;
mod page;

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

/// Messages shown and kept.
pub(crate) const MAX_MESSAGES: usize = 500;

/// A message as it was posted.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Message {
    channel: String,
    username: String,
    icon_emoji: String,
    icon_url: String,
    text: String,
    attachments: Vec<Attachment>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<Block>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Attachment {
    color: String,
    pretext: String,
    title: String,
    title_link: String,
    text: String,
    fallback: String,
    fields: Vec<Field>,
    actions: Vec<Action>,
    image_url: String,
    thumb_url: String,
    footer: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<Block>,
}

/// A block of Slack's Block Kit, as far as messages of an alert have them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Header {
        text: Text,
    },
    Section {
        #[serde(default)]
        text: Text,
        #[serde(default)]
        fields: Vec<Text>,
    },
    Context {
        elements: Vec<Text>,
    },
    Actions {
        elements: Vec<Button>,
    },
    Image {
        image_url: String,
        #[serde(default)]
        alt_text: String,
    },
    Divider,
    #[serde(other)]
    Unknown,
}

/// Text of a block.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Text {
    #[serde(rename = "type")]
    kind: String,
    text: String,
}

/// A button of a block.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Button {
    text: Text,
    url: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Field {
    title: String,
    value: String,
    short: bool,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Action {
    text: String,
    url: String,
    style: String,
}

/// A line of the file.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Received {
    time_ms: i64,
    message: Message,
}

/// The messages and the file they are kept in.
pub(crate) struct Receiver {
    path: PathBuf,
    state: Mutex<Kept>,
}

struct Kept {
    messages: VecDeque<Received>,
    file: File,
    /// Lines in the file: it is written anew when it holds too many.
    lines: usize,
}

impl Receiver {
    /// Opens the receiver whose messages are kept in `path`; lines that are no messages are left out.
    ///
    /// # Errors
    /// When the file cannot be read or created.
    pub(crate) fn open(path: &Path) -> io::Result<Arc<Self>> {
        let mut messages = VecDeque::new();
        let mut lines = 0;
        match File::open(path) {
            Ok(file) => {
                for line in BufReader::new(file).lines() {
                    lines += 1;
                    if let Ok(received) = serde_json::from_str(&line?) {
                        messages.push_back(received);
                        if messages.len() > MAX_MESSAGES {
                            messages.pop_front();
                        }
                    }
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Arc::new(Self { path: path.to_owned(), state: Mutex::new(Kept { messages, file, lines }) }))
    }

    fn add(&self, received: Received) -> io::Result<()> {
        let mut line = serde_json::to_vec(&received)?;
        line.push(b'\n');
        let mut kept = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        kept.file.write_all(&line)?;
        kept.lines += 1;
        kept.messages.push_back(received);
        if kept.messages.len() > MAX_MESSAGES {
            kept.messages.pop_front();
        }
        if kept.lines > 4 * MAX_MESSAGES {
            let mut text = Vec::new();
            for received in &kept.messages {
                serde_json::to_writer(&mut text, received)?;
                text.push(b'\n');
            }
            kit::files::write_atomic(&self.path, &text)?;
            kept.file = OpenOptions::new().append(true).open(&self.path)?;
            kept.lines = kept.messages.len();
        }
        Ok(())
    }
}

/// `POST /hook` takes a message, `GET /` shows them, `GET /messages` gives them as JSON lines, oldest first.
pub(crate) fn router(receiver: Arc<Receiver>) -> Router {
    Router::new()
        .route("/", get(show))
        .route("/style.css", get(|| async { ([(header::CONTENT_TYPE, "text/css")], page::STYLE) }))
        .route("/messages", get(messages))
        .route("/hook", post(receive))
        .with_state(receiver)
}

async fn receive(State(receiver): State<Arc<Receiver>>, body: Bytes) -> Response {
    let message = match serde_json::from_slice::<Message>(&body) {
        Ok(message) if !message.text.is_empty() || !message.attachments.is_empty() || !message.blocks.is_empty() => {
            message
        }
        Ok(_) => return (StatusCode::BAD_REQUEST, "no_text").into_response(),
        Err(_) => return (StatusCode::BAD_REQUEST, "invalid_payload").into_response(),
    };
    match receiver.add(Received { time_ms: kit::time::now_ms(), message }) {
        Ok(()) => "ok".into_response(),
        Err(e) => {
            tracing::error!(error = %e, file = %receiver.path.display(), "cannot keep a Slack message");
            (StatusCode::INTERNAL_SERVER_ERROR, "internal_error").into_response()
        }
    }
}

async fn show(State(receiver): State<Arc<Receiver>>) -> Response {
    let kept = receiver.state.lock().unwrap_or_else(PoisonError::into_inner);
    let html = page::render(&kept.messages);
    let policy = "default-src 'none'; style-src 'self'; img-src http: https: data:";
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, policy)], html)
        .into_response()
}

async fn messages(State(receiver): State<Arc<Receiver>>) -> Response {
    let kept = receiver.state.lock().unwrap_or_else(PoisonError::into_inner);
    let mut text = String::new();
    for received in &kept.messages {
        if let Ok(line) = serde_json::to_string(received) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    ([(header::CONTENT_TYPE, "application/x-ndjson")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_shown_and_kept() {
        let posted = r##"{"text":"plain","attachments":[{"color":"#D63232","fallback":"plain","blocks":[
            {"type":"header","text":{"type":"plain_text","text":"Disk <full>"}},
            {"type":"section","text":{"type":"mrkdwn","text":"*5.1 %* of requests"},"fields":[{"type":"mrkdwn","text":"*host*\nweb"}]},
            {"type":"context","elements":[{"type":"mrkdwn","text":"<http://127.0.0.1:3000/d/x|Dashboard>"}]},
            {"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"Silence"},"url":"javascript:alert(1)"}]},
            {"type":"divider"},{"type":"something_new","x":1}]}]}"##;
        let message: Message = serde_json::from_str(posted).unwrap();
        let kept = serde_json::to_string(&Received { time_ms: 0, message }).unwrap();
        let received: Received = serde_json::from_str(&kept).unwrap();
        let html = page::render(&VecDeque::from([received]));
        assert!(html.contains("<h2>Disk &lt;full&gt;</h2>"), "{html}");
        assert!(html.contains("<b>5.1 %</b> of requests"), "{html}");
        assert!(html.contains("href=\"http://127.0.0.1:3000/d/x\""), "{html}");
        assert!(!html.contains("javascript:"), "{html}");
    }

    #[test]
    fn messages_survive_a_restart_and_the_file_stays_small() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slack.jsonl");
        let receiver = Receiver::open(&path).unwrap();
        for time_ms in 0..(4 * MAX_MESSAGES as i64 + 10) {
            let message = Message { text: format!("message {time_ms}"), ..Message::default() };
            receiver.add(Received { time_ms, message }).unwrap();
        }
        let again = Receiver::open(&path).unwrap();
        let state = again.state.lock().unwrap();
        assert_eq!(state.messages.len(), MAX_MESSAGES);
        assert_eq!(state.messages.back().unwrap().message.text, format!("message {}", 4 * MAX_MESSAGES + 9));
        assert!(state.lines < 2 * MAX_MESSAGES);
    }
}
