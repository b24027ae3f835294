//! The browser app: its files are part of the program, with compressed copies made when it was built.
//!
//! In a debug build they are read from `web/dist` as they are asked for. Files below `assets/` have a hash in their name and
//! never change; everything else is asked for anew each time. A path that is no file is one of the app's pages.

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Response, StatusCode};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Dist;

const MISSING: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Foursight</title>\
    <h1>The browser app is not part of this build</h1>\
    <p>Its files were not there when the program was built. Build them, then the program:</p>\
    <pre>cd servers/dashboards/web\nnpm ci\nnpm run build\ncargo build --release</pre>\
    <p>The HTTP API works without them.</p></html>";

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Encodings that the client takes and that there may be copies in, the best first.
fn encodings(headers: &HeaderMap) -> Vec<(&'static str, &'static str)> {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("");
    let takes = |name: &str| {
        accepted.split(',').any(|part| {
            let (coding, parameters) = part.split_once(';').unwrap_or((part, ""));
            let refused = parameters.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok()) == Some(0.0);
            coding.trim().eq_ignore_ascii_case(name) && !refused
        })
    };
    [("br", ".br"), ("gzip", ".gz")].into_iter().filter(|(name, _)| takes(name)).collect()
}

/// Answers a GET or HEAD of a path that no route has. `None`: it is neither a file nor a page.
pub(crate) fn serve(path: &str, headers: &HeaderMap) -> Option<Response<Body>> {
    let name = path.trim_start_matches('/');
    let is_asset = name.starts_with("assets/");
    let last = name.rsplit('/').next().unwrap_or("");
    // Copies are served through their originals only.
    let file = if name.is_empty() || name.ends_with(".br") || name.ends_with(".gz") { None } else { find(name) };
    match file {
        Some(file) => Some(answer(name, file, headers, is_asset)),
        None if is_asset || wants_no_page(last, headers) => None,
        None => Some(match find("index.html") {
            Some(index) => answer("index.html", index, headers, false),
            None => {
                let mut response = Response::new(Body::from(MISSING));
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                response
                    .headers_mut()
                    .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
                response
            }
        }),
    }
}

fn find(name: &str) -> Option<EmbeddedFile> {
    if name.split('/').any(|part| part == ".." || part == ".") {
        return None;
    }
    Dist::get(name)
}

/// A file was asked for, by name or by what is accepted.
fn wants_no_page(last: &str, headers: &HeaderMap) -> bool {
    let file_like = last.rsplit_once('.').is_some_and(|(_, extension)| {
        ["js", "css", "map", "svg", "png", "ico", "json", "txt", "woff2", "php", "env", "xml"].contains(&extension)
    });
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    file_like || !(accept.contains("text/html") || accept.contains("*/*"))
}

fn answer(name: &str, file: EmbeddedFile, headers: &HeaderMap, immutable: bool) -> Response<Body> {
    let hash: String = crate::store::hex(&file.metadata.sha256_hash()[..12]);
    let mut response = Response::new(Body::empty());
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    let cache = if immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    out.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    let mut chosen = (file, None);
    for (coding, extension) in encodings(headers) {
        if let Some(copy) = find(&format!("{name}{extension}")) {
            chosen = (copy, Some(coding));
            break;
        }
    }
    let (file, coding) = chosen;
    let etag = format!("\"{hash}{}\"", coding.map(|coding| format!("-{coding}")).unwrap_or_default());
    if let Ok(value) = HeaderValue::from_str(&etag) {
        out.insert(header::ETAG, value);
    }
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == etag)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    if let Some(coding) = coding {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    *response.body_mut() = match file.data {
        std::borrow::Cow::Borrowed(bytes) => Body::from(bytes::Bytes::from_static(bytes)),
        std::borrow::Cow::Owned(bytes) => Body::from(bytes),
    };
    response
}

/// What the app may load and connect to: its own server, nothing else.
pub(crate) fn content_security_policy(allow_embedding: bool) -> String {
    let ancestors = if allow_embedding { "*" } else { "'none'" };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
         font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors {ancestors}"
    )
}
