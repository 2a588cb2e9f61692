//! The part of the page that changes something: pictures to draw on, what is read in them, and the change of the configuration.
//!
//! Every request here is a POST with the page's token, which no other site's page can read, or reads only.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

use super::backend::{Photo, Reference};
use super::photos::FORGET_AFTER;
use super::shared::Shared;
use crate::frame::PixelFormat;

/// Header with the page's token.
pub const TOKEN: &str = "x-leptond-token";
/// Bytes of a picture file.
const PHOTO_BYTES: usize = 12 << 20;
/// Bytes of what is drawn.
const TEXT_BYTES: usize = 64 << 10;
/// Time for a body to come.
const BODY_WITHIN: Duration = Duration::from_secs(60);
/// Time for the work of others to end: one picture is worked on at a time.
const TURN_WITHIN: Duration = Duration::from_secs(20);
/// Time for a picture of the camera to come: a light that is switched on for it needs to settle.
const FRAME_WITHIN: Duration = Duration::from_secs(30);
/// Time for a change to be checked, written and applied: models are compiled anew.
const CHANGE_WITHIN: Duration = Duration::from_secs(120);
/// Most values of one change.
const MOST_VALUES: usize = 64;

/// Requests of the editor; only with `edits` those that change something.
pub fn router(shared: Arc<Shared>) -> Router<Arc<Shared>> {
    let reads = Router::new().route("/api/drawings", get(drawings)).route("/api/photos/{number}", get(photo));
    if !shared.edits {
        return reads;
    }
    let writes = Router::new()
        .route("/api/photos", post(add_photo))
        .route("/api/read", post(read))
        .route("/api/propose", post(propose))
        .route("/api/difference", post(difference))
        .route("/api/change", post(change));
    reads.merge(writes.route_layer(from_fn_with_state(shared, ask_token)))
}

/// True for the paths that take a body.
pub fn takes_body(path: &str) -> bool {
    matches!(path, "/api/photos" | "/api/read" | "/api/propose" | "/api/difference" | "/api/change")
}

/// Lets in who knows the page's token.
async fn ask_token(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(TOKEN).map(|value| value.as_bytes());
    if given.is_some_and(|given| shared.is_token(given)) {
        return next.run(request).await;
    }
    (StatusCode::FORBIDDEN, format!("the page's token is wanted in {TOKEN}: load the page again\n")).into_response()
}

/// An answer, or the refusal that takes its place.
type Answer = Result<Response, Response>;

fn failed(reason: String) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, reason + "\n").into_response()
}

fn answered(result: Result<Value, String>) -> Response {
    match result {
        Ok(value) => ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response(),
        Err(reason) => failed(reason),
    }
}

/// The whole body, of at most so many bytes.
async fn body_of(body: Body, most: usize) -> Result<Vec<u8>, Response> {
    match timeout(BODY_WITHIN, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(_)) => {
            let words = format!("at most {most} bytes are taken\n");
            Err((StatusCode::PAYLOAD_TOO_LARGE, [(header::CONNECTION, "close")], words).into_response())
        }
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body did not come in time\n").into_response()),
    }
}

/// The turn to work on a picture.
async fn turn(shared: &Shared) -> Result<SemaphorePermit<'_>, Response> {
    match timeout(TURN_WITHIN, shared.turn.acquire()).await {
        Ok(Ok(turn)) => Ok(turn),
        _ => Err(busy()),
    }
}

fn busy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], "somebody else is at work\n").into_response()
}

/// Does `work` on a thread where it holds nothing up.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(format!("it failed: {error}")))
}

async fn drawings(State(shared): State<Arc<Shared>>) -> Response {
    let mut value = shared.feed.backend().drawings();
    if let Some(object) = value.as_object_mut() {
        object.insert("edits".into(), shared.edits.into());
        object.insert("token".into(), shared.edits.then_some(shared.token.as_str()).into());
    }
    answered(Ok(value))
}

/// Origin of a picture; the body where neither is given.
#[derive(Deserialize)]
struct Origin {
    /// The next frame of this pipeline.
    pipeline: Option<String>,
    /// The reference picture of this meter.
    reference: Option<String>,
}

async fn add_photo(State(shared): State<Arc<Shared>>, Query(origin): Query<Origin>, request: Request) -> Answer {
    let file = match (&origin.pipeline, &origin.reference) {
        (None, None) => upload(&shared, request.into_body()).await?,
        _ => Vec::new(),
    };
    let _turn = turn(&shared).await?;
    let backend = shared.feed.backend().clone();
    let photo = match (origin.pipeline, origin.reference) {
        (Some(pipeline), _) => {
            let Some((_viewer, frame)) = shared.feed.next_frame(&pipeline) else {
                return Err(failed(format!("no pipeline {pipeline:?} gives pictures")));
            };
            backend.look_now(&pipeline);
            match timeout(FRAME_WITHIN, frame).await {
                Ok(Ok(output)) => aside(move || backend.photo_of(&output)).await,
                _ => Err(format!("no picture of {pipeline:?} came within {} s", FRAME_WITHIN.as_secs())),
            }
        }
        (None, Some(meter)) => aside(move || backend.photo(backend.reference(&meter)?)).await,
        (None, None) => aside(move || backend.photo(file)).await,
    };
    let added = photo.map(|photo| {
        let size = photo.size;
        let now = Instant::now();
        let number = shared.photos.lock().unwrap_or_else(PoisonError::into_inner).keep(photo, now);
        json!({ "photo": number, "size": size })
    });
    let later = shared.clone();
    tokio::spawn(async move {
        tokio::time::sleep(FORGET_AFTER).await;
        later.photos.lock().unwrap_or_else(PoisonError::into_inner).sweep(Instant::now());
    });
    Ok(answered(added))
}

/// A picture file that is sent; few come at once, since each is held in memory.
async fn upload(shared: &Shared, body: Body) -> Result<Vec<u8>, Response> {
    let _place = shared.uploads.try_acquire().map_err(|_| busy())?;
    body_of(body, PHOTO_BYTES).await
}

async fn photo(State(shared): State<Arc<Shared>>, Path(number): Path<u64>) -> Response {
    let Ok(photo) = found(&shared, number) else {
        return (StatusCode::NOT_FOUND, "this picture is forgotten\n").into_response();
    };
    let kind = match photo.image.format {
        PixelFormat::Png => "image/png",
        PixelFormat::Bmp => "image/bmp",
        _ => "image/jpeg",
    };
    ([(header::CONTENT_TYPE, kind)], photo.image.data.clone()).into_response()
}

fn found(shared: &Shared, number: u64) -> Result<Arc<Photo>, String> {
    let photo = shared.photos.lock().unwrap_or_else(PoisonError::into_inner).find(number, Instant::now());
    photo.ok_or_else(|| "this picture is forgotten: take another one".into())
}

/// The body as a JSON object with the picture of its `photo`.
async fn object_of(shared: &Shared, request: Request) -> Result<(Map<String, Value>, Option<Arc<Photo>>), Response> {
    if !is_json(request.headers()) {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "JSON is wanted\n").into_response());
    }
    let bytes = body_of(request.into_body(), TEXT_BYTES).await?;
    let mut object: Map<String, Value> =
        serde_json::from_slice(&bytes).map_err(|error| failed(format!("the request is no JSON object: {error}")))?;
    let photo = match object.remove("photo") {
        None | Some(Value::Null) => None,
        Some(number) => {
            let number = number.as_u64().ok_or_else(|| failed("photo: a number is wanted".into()))?;
            Some(found(shared, number).map_err(failed)?)
        }
    };
    Ok((object, photo))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

async fn read(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    work_on(shared, request, |backend, photo, drawn| backend.read(photo, drawn.into())).await
}

async fn propose(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    work_on(shared, request, |backend, photo, _| backend.propose(photo)).await
}

/// Works on the picture that the request names.
async fn work_on(
    shared: Arc<Shared>,
    request: Request,
    work: impl FnOnce(&dyn super::backend::Backend, &Photo, Map<String, Value>) -> Result<Value, String> + Send + 'static,
) -> Answer {
    let (drawn, photo) = object_of(&shared, request).await?;
    let photo = photo.ok_or_else(|| failed("photo is wanted".into()))?;
    let _turn = turn(&shared).await?;
    let backend = shared.feed.backend().clone();
    Ok(answered(aside(move || work(&*backend, &photo, drawn)).await))
}

/// A change of the configuration.
struct Wanted {
    values: Vec<(String, Value)>,
    /// The meter whose reference the picture becomes.
    reference: Option<(String, Arc<Photo>)>,
}

impl Wanted {
    async fn of(shared: &Shared, request: Request) -> Result<Wanted, Response> {
        let (mut object, photo) = object_of(shared, request).await?;
        let values = match object.remove("values") {
            Some(Value::Object(values)) if values.len() <= MOST_VALUES => values.into_iter().collect(),
            _ => return Err(failed(format!("values: an object of at most {MOST_VALUES} paths and values is wanted"))),
        };
        let reference = match (object.remove("reference"), photo) {
            (Some(Value::String(meter)), Some(photo)) => Some((meter, photo)),
            (None | Some(Value::Null), _) => None,
            _ => return Err(failed("reference: the name of a meter is wanted, with photo".into())),
        };
        Ok(Wanted { values, reference })
    }

    /// The picture that becomes a reference.
    fn reference(&self) -> Option<Reference<'_>> {
        self.reference.as_ref().map(|(meter, photo)| Reference { meter, photo })
    }
}

async fn difference(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    let wanted = Wanted::of(&shared, request).await?;
    let _turn = turn(&shared).await?;
    let backend = shared.feed.backend().clone();
    Ok(answered(aside(move || backend.difference(wanted.values.clone(), wanted.reference())).await))
}

async fn change(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    let wanted = Wanted::of(&shared, request).await?;
    let _turn = turn(&shared).await?;
    let backend = shared.feed.backend().clone();
    let begun = aside(move || backend.change(wanted.values.clone(), wanted.reference())).await;
    let told = begun.map_err(failed)?;
    Ok(answered(match timeout(CHANGE_WITHIN, told).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err("the change was not looked at: another one took its place, or leptond stops".into()),
        Err(_) => Err("leptond is still at it: look at its log".into()),
    }))
}
