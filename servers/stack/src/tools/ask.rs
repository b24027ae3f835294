//! Requests of tools to servers.

use std::future::Future;
use std::path::Path;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use kit::client::{Client, HttpClientConfig, Request, Response};
use kit::yaml::FromNode;
use serde_json::Value;

use super::args::{Args, Known};
use super::{Failure, Outcome};

/// Waits for a future on a runtime of its own.
pub(super) fn on_runtime<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| format!("cannot start: {e}"))?;
    Ok(runtime.block_on(work))
}

/// A server, and how it is asked.
pub(super) struct Server {
    client: Client,
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Flags of every tool that asks a server.
pub(super) const FLAGS: [&str; 2] = ["http.config.file", "header"];

impl Server {
    /// The server at `url`, asked as the flags say.
    pub(super) fn new(url: &str, args: &Args) -> Result<Self, String> {
        let settings = match args.get("http.config.file") {
            Some(file) => client_settings(Path::new(file))?,
            None => HttpClientConfig::default(),
        };
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let headers = args
            .all("header")
            .map(|text| {
                let (name, value) =
                    text.split_once('=').ok_or_else(|| format!("--header {text:?}: NAME=VALUE is needed"))?;
                let name = HeaderName::try_from(name).map_err(|e| format!("--header {text:?}: {e}"))?;
                let value = HeaderValue::from_str(value).map_err(|e| format!("--header {text:?}: {e}"))?;
                Ok::<_, String>((name, value))
            })
            .collect::<Result<_, _>>()?;
        let client = Client::new(&settings, "foursight-tool").map_err(|e| e.to_string())?;
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), headers })
    }

    /// Sends a request to a path of the server.
    pub(super) fn send(&self, path: &str, make: impl FnOnce(String) -> Request) -> Result<Response, String> {
        let mut request = make(format!("{}{path}", self.url));
        for (name, value) in &self.headers {
            request = request.header(name.clone(), value.clone());
        }
        on_runtime(self.client.send(request))?.map_err(|e| e.to_string())
    }

    /// The whole answer of a call of the API that succeeded.
    pub(super) fn call(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let form: Vec<String> = parameters
            .iter()
            .map(|(name, value)| format!("{}={}", kit::percent::encode(name), kit::percent::encode(value)))
            .collect();
        let answer = self.send(&format!("/api/v1{path}?{}", form.join("&")), Request::get)?;
        let body: Value = serde_json::from_slice(&answer.body)
            .map_err(|_| format!("server answered {}: {}", answer.status, answer.excerpt()))?;
        if body["status"] == "success" {
            return Ok(body);
        }
        let text = |key: &str| body[key].as_str().unwrap_or("").to_owned();
        Err(format!("query error: {}: {}", text("errorType"), text("error")))
    }
}

fn client_settings(file: &Path) -> Result<HttpClientConfig, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let node = kit::yaml::parse(&text).map_err(|e| e.in_file(file).to_string())?;
    let mut settings = HttpClientConfig::from_node(&node).map_err(|e| e.in_file(file).to_string())?;
    settings.set_directory(file.parent().unwrap_or(Path::new("")));
    Ok(settings)
}

/// Asks whether a server is healthy or ready.
pub(super) fn health(what: &str, words: &[&str]) -> Outcome {
    let known = Known { switches: &[], values: &["url", FLAGS[0], FLAGS[1]] };
    let args = Args::read(words, &known).map_err(Failure::Usage)?;
    let server = Server::new(args.get("url").unwrap_or("http://localhost:9090"), &args)?;
    let path = format!("/-/{what}");
    let answer = server.send(&path, Request::get)?;
    if answer.status != StatusCode::OK {
        return Err(format!("check failed: URL={}{path}, status={}", server.url, answer.status.as_u16()).into());
    }
    println!("{}", answer.excerpt());
    Ok(())
}
