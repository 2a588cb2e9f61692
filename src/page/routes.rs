//! Answers to requests, by their paths.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use futures_util::stream::unfold;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use super::feed::{Picture, Seen, Viewer};
use super::guard::{Asked, Refusal};
use super::history::Span;
use super::metrics::{self, Snapshot};
use super::shared::{Peer, Shared};
use super::{assets, editor, health, told};

/// Bytes of the body of a request that has none.
const BODY_BYTES: u64 = 16 << 10;
/// Time after which a client that hears nothing is told that it is heard.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// Time for which a picture is waited for.
const PICTURE_WITHIN: Duration = Duration::from_secs(10);
/// Pipelines that one page looks at.
const MOST_LIVE: usize = 16;
/// Line between two pictures of a stream.
const BOUNDARY: &str = "picture";

/// The page with its rules.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics_text))
        .route("/api/status", get(status))
        .route("/api/events", get(events))
        .route("/api/history", get(history))
        .route("/api/models", get(models))
        .route("/api/findings", get(findings))
        .route("/api/config", get(configuration))
        .route("/api/log", get(log))
        .route("/api/support", get(support))
        .route("/live/{file}", get(live))
        .merge(editor::router(shared.clone()))
        .fallback(asset)
        .with_state(shared.clone())
        .layer(from_fn_with_state(shared, admit))
}

/// Lets a request in, or says why not; every answer gets the headers that keep other pages out.
async fn admit(
    State(shared): State<Arc<Shared>>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let verdict = {
        let headers = request.headers();
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let asked = Asked {
            host: request.uri().authority().map(|authority| authority.as_str()).or(text("host")),
            origin: text("origin"),
            site: text("sec-fetch-site"),
            mode: text("sec-fetch-mode"),
            authorization: text("authorization"),
            reads: matches!(*request.method(), Method::GET | Method::HEAD),
        };
        shared.guard.lock().unwrap_or_else(PoisonError::into_inner).admit(&asked, peer, Instant::now())
    };
    let edits = shared.edits && *request.method() == Method::POST && editor::takes_body(request.uri().path());
    let mut response = match verdict {
        Err(refusal) => refused(refusal),
        Ok(()) if edits => next.run(request).await,
        Ok(()) if has_body(request.headers()) => {
            let mut response = (StatusCode::PAYLOAD_TOO_LARGE, "no request has so large a body\n").into_response();
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
        Ok(()) if !matches!(*request.method(), Method::GET | Method::HEAD) => {
            (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")], "nothing can be changed here\n")
                .into_response()
        }
        Ok(()) => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (
            "content-security-policy",
            "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    headers.contains_key(header::TRANSFER_ENCODING) || length.is_some_and(|length| length > BODY_BYTES)
}

fn refused(refusal: Refusal) -> Response {
    match refusal {
        Refusal::Host => {
            (StatusCode::FORBIDDEN, "this name is not known here: use the address, or add the name to [page] hosts\n")
                .into_response()
        }
        Refusal::Site => (StatusCode::FORBIDDEN, "another site asks\n").into_response(),
        Refusal::Password => {
            let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"leptond\", charset=\"UTF-8\"")];
            (StatusCode::UNAUTHORIZED, ask, "the password of [page] is wanted; any user name goes with it\n")
                .into_response()
        }
        Refusal::Wait => {
            let wait = [(header::RETRY_AFTER, "60")];
            (StatusCode::TOO_MANY_REQUESTS, wait, "too many wrong passwords: wait a minute\n").into_response()
        }
    }
}

fn json_of(value: &impl Serialize) -> Response {
    let text = serde_json::to_string(value).unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

async fn asset(request: Request) -> Response {
    match assets::find(request.uri().path()) {
        Some((kind, bytes)) => {
            ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], bytes).into_response()
        }
        None => (StatusCode::NOT_FOUND, "there is nothing here\n").into_response(),
    }
}

async fn healthz(State(shared): State<Arc<Shared>>) -> Response {
    let status = shared.feed.status().map(|(status, _)| status);
    let faults = health::faults(status.as_deref(), shared.feed.stopped(), Instant::now());
    match faults.is_empty() {
        true => (StatusCode::OK, "working\n".to_owned()).into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, faults.join("\n") + "\n").into_response(),
    }
}

async fn metrics_text(State(shared): State<Arc<Shared>>) -> Response {
    let feed = &shared.feed;
    let status = feed.status().map(|(status, _)| status);
    let text = metrics::text(Snapshot { status, numbers: feed.numbers(), cost: feed.cost() });
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

async fn status(State(shared): State<Arc<Shared>>) -> Response {
    json_of(&told::status(&shared.feed))
}

async fn configuration(State(shared): State<Arc<Shared>>) -> Response {
    json_of(&shared.feed.backend().configuration())
}

async fn log(State(shared): State<Arc<Shared>>) -> Response {
    json_of(&shared.feed.backend().log())
}

/// The series that are wanted.
#[derive(Deserialize)]
struct Wanted {
    /// Names with commas between; empty = all.
    #[serde(default)]
    series: String,
    /// `hours` or `days`.
    #[serde(default)]
    span: String,
}

async fn history(State(shared): State<Arc<Shared>>, Query(wanted): Query<Wanted>) -> Response {
    let span = match wanted.span.as_str() {
        "" | "hours" => Span::Hours,
        "days" => Span::Days,
        _ => return (StatusCode::BAD_REQUEST, "span is \"hours\" or \"days\"\n").into_response(),
    };
    let names: Vec<&str> = wanted.series.split(',').filter(|name| !name.is_empty()).collect();
    json_of(&shared.feed.history(&names, span))
}

async fn models(State(shared): State<Arc<Shared>>) -> Response {
    let backend = shared.feed.backend().clone();
    let models = tokio::task::spawn_blocking(move || backend.models()).await;
    json_of(&models.unwrap_or_default())
}

async fn findings(State(shared): State<Arc<Shared>>) -> Response {
    let Ok(mut last) = shared.findings.try_lock() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "it is looking already\n").into_response();
    };
    let backend = shared.feed.backend().clone();
    let found = tokio::task::spawn_blocking(move || backend.findings()).await;
    match found {
        Ok(Ok(found)) => {
            last.clone_from(&found);
            json_of(&found)
        }
        Ok(Err(reason)) => (StatusCode::SERVICE_UNAVAILABLE, reason + "\n").into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Everything that helps to find a fault, as one file.
async fn support(State(shared): State<Arc<Shared>>) -> Response {
    let (feed, backend) = (&shared.feed, shared.feed.backend());
    let last = shared.findings.try_lock().map(|last| last.clone()).unwrap_or_default();
    let status = feed.status().map(|(status, _)| status);
    let bundle = json!({
        "status": told::status(feed),
        "findings": last,
        "config": backend.configuration(),
        "log": backend.log(),
        "metrics": metrics::text(Snapshot { status, numbers: feed.numbers(), cost: feed.cost() }),
        "history": feed.history(&[], Span::Hours),
    });
    let text = serde_json::to_string_pretty(&bundle).unwrap_or_default();
    let name = "attachment; filename=\"leptond-support.json\"";
    ([(header::CONTENT_TYPE, "application/json"), (header::CONTENT_DISPOSITION, name)], text).into_response()
}

/// The pictures that are wanted beside the news.
#[derive(Deserialize)]
struct Looked {
    /// Names of pipelines with commas between.
    #[serde(default)]
    live: String,
}

async fn events(State(shared): State<Arc<Shared>>, Query(looked): Query<Looked>) -> Response {
    let names = looked.live.split(',').filter(|name| !name.is_empty()).take(MOST_LIVE);
    let viewers: Vec<(String, Viewer)> =
        names.filter_map(|name| Some((name.to_owned(), shared.feed.look(name)?))).collect();
    let held = (shared.feed.listen(), viewers);
    let news = shared.news.subscribe();
    let mut first = told::news(&shared.feed, &mut Seen::default());
    for (name, viewer) in &held.1 {
        if let Some(picture) = &*viewer.pictures.borrow() {
            first += &told::picture(name, picture.number);
        }
    }
    // At once, so that the browser knows that it is connected.
    let first = Some(Bytes::from(format!(": connected\n\n{first}")));
    let stream = unfold((first, news, held), |(first, mut news, held)| async move {
        if let Some(first) = first {
            return Some((Ok::<_, Infallible>(first), (None, news, held)));
        }
        loop {
            let text = match tokio::time::timeout(ALIVE_EVERY, news.recv()).await {
                Err(_) => Bytes::from_static(b": alive\n\n"),
                Ok(Ok(text)) => text,
                // A slow client misses what was new meanwhile; the next news have the newest of everything.
                Ok(Err(RecvError::Lagged(_))) => continue,
                Ok(Err(RecvError::Closed)) => return None,
            };
            return Some((Ok(text), (None, news, held)));
        }
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(stream)).into_response()
}

async fn live(State(shared): State<Arc<Shared>>, Path(file): Path<String>) -> Response {
    let absent = || (StatusCode::NOT_FOUND, "no pipeline of this name gives pictures\n").into_response();
    let Some((name, kind)) = file.rsplit_once('.') else { return absent() };
    let Some(viewer) = shared.feed.look(name) else { return absent() };
    match kind {
        "jpg" => one(viewer).await,
        "mjpg" => stream(viewer),
        _ => absent(),
    }
}

/// The newest picture, or the next one.
async fn one(mut viewer: Viewer) -> Response {
    let picture = tokio::time::timeout(PICTURE_WITHIN, viewer.pictures.wait_for(Option::is_some)).await;
    match picture.ok().and_then(|picture| picture.ok()?.clone()) {
        Some(picture) => ([(header::CONTENT_TYPE, "image/jpeg")], picture.jpeg).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], "no picture came\n").into_response(),
    }
}

/// Pictures one after the other; a slow client misses those that it has no time for.
fn stream(viewer: Viewer) -> Response {
    let stream = unfold((viewer, 0), |(mut viewer, seen)| async move {
        let is_new = |picture: &Option<Picture>| picture.as_ref().is_some_and(|picture| picture.number != seen);
        let Picture { number, jpeg } = viewer.pictures.wait_for(is_new).await.ok()?.clone()?;
        let head = format!("--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
        let part = [head.as_bytes(), &jpeg, b"\r\n"].concat();
        Some((Ok::<_, Infallible>(Bytes::from(part)), (viewer, number)))
    });
    let kind = format!("multipart/x-mixed-replace; boundary={BOUNDARY}");
    ([(header::CONTENT_TYPE, kind)], Body::from_stream(stream)).into_response()
}
