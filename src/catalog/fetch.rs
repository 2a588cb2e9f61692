//! Download of one file over HTTP: resumed, verified, and retried while a retry may succeed.
//!
//! A partial file is continued with a `Range` request (RFC 9110, 14.2), conditional (`If-Range`, 13.1.5) on the file still having
//! the same version. A server without ranges, or with another version by now, answers with the whole file, which then replaces
//! the partial one.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use ureq::ResponseExt;
use ureq::http::{HeaderMap, StatusCode, header};

use super::agent::Server;
use super::fault::FetchError;
use super::pace::Paced;
use super::partial::{Partial, Version, boot};
use crate::model::sha256;

/// Progress that resets the count of attempts.
const PROGRESS_BYTES: u64 = 64 << 10;

/// Longest time between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Space left free on the disk.
const MARGIN_BYTES: u64 = 1 << 20;

/// Leading bytes used to recognise a file.
const HEAD_BYTES: usize = 64;

/// Receives the progress of a download.
pub trait Progress {
    /// `done_bytes` of `total_bytes` are received.
    fn at(&mut self, done_bytes: u64, total_bytes: Option<u64>);
    /// A message for people, such as the cause of a delay.
    fn say(&mut self, line: &str);
}

/// A file to download.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Addresses of the file, in the order of attempts.
    pub urls: Vec<&'a str>,
    /// Expected hash.
    pub sha256: Option<&'a str>,
    /// Expected size.
    pub bytes: Option<u64>,
    /// Largest size accepted.
    pub limit_bytes: u64,
}

/// Downloads into `partial`, which holds the whole verified file on success.
///
/// # Errors
/// The error of the last address tried; `partial` keeps the received bytes while they are useful.
pub fn fetch(
    server: &Server,
    request: &Request<'_>,
    partial: &mut Partial,
    progress: &mut dyn Progress,
) -> Result<(), FetchError> {
    let mut last = None;
    for (i, url) in request.urls.iter().enumerate() {
        let more = i + 1 < request.urls.len();
        match fetch_from(server, url, request, partial, progress, if more { 1 } else { server.limits.retries }) {
            Ok(()) => return Ok(()),
            Err(error) if error.is_ours() => {
                // On a full disk, not even an empty file may remain.
                if partial.is_empty() {
                    partial.discard();
                }
                return Err(error);
            }
            Err(error) => {
                if more {
                    progress.say(&format!("{error}; trying {}", request.urls[i + 1]));
                }
                last = Some(error);
            }
        }
    }
    Err(last.unwrap_or(FetchError::Address { url: String::new(), reason: "there is none".into() }))
}

fn fetch_from(
    server: &Server,
    url: &str,
    request: &Request<'_>,
    partial: &mut Partial,
    progress: &mut dyn Progress,
    retries: u32,
) -> Result<(), FetchError> {
    let mut failures = 0;
    let mut continued = !partial.is_empty();
    loop {
        let before = partial.len();
        let result = attempt(server, url, request, partial, progress);
        let error = match result {
            Ok(()) => match verify(url, request, partial) {
                // Bytes of two attempts may belong to two files that the server did not distinguish.
                Err(FetchError::Hash { .. }) if continued => {
                    continued = false;
                    progress.say("the earlier part does not match the rest; starting over");
                    continue;
                }
                verified => return verified,
            },
            Err(error) => error,
        };
        if !error.may_pass() {
            return Err(error);
        }
        if partial.len() >= before + PROGRESS_BYTES {
            failures = 0;
        }
        failures += 1;
        if failures > retries {
            return Err(match error {
                FetchError::Broken { url, reason, .. } => FetchError::Broken {
                    url,
                    reason,
                    kept_bytes: partial.len(),
                    total_bytes: partial.version().and_then(|v| v.total_bytes),
                },
                other => other,
            });
        }
        continued |= !partial.is_empty();
        let wait = Duration::from_secs(1 << (failures - 1).min(10)).min(LONGEST_WAIT);
        progress.say(&format!("{error}; once more in {} s", wait.as_secs()));
        std::thread::sleep(wait);
    }
}

/// One request and the handling of its response.
fn attempt(
    server: &Server,
    url: &str,
    request: &Request<'_>,
    partial: &mut Partial,
    progress: &mut dyn Progress,
) -> Result<(), FetchError> {
    let known = partial.version().unwrap_or_default();
    let mut get = server.agent.get(url);
    if let Some(condition) = condition(url, request, partial, &known) {
        // Complete already: its hash decides. Without a hash, the server is asked for the current version.
        if request.sha256.is_some() && Some(partial.len()) == request.bytes.or(known.total_bytes) {
            return Ok(());
        }
        get = get.header(header::RANGE, format!("bytes={}-", partial.len()));
        if let Some(condition) = condition {
            get = get.header(header::IF_RANGE, condition);
        }
    }
    let mut response = get.call().map_err(|e| server.fault(url, &e))?;
    let answer = |reason: String| FetchError::Answer { url: url.into(), reason };
    if request.sha256.is_none() && url.starts_with("https:") && response.get_uri().scheme_str() == Some("http") {
        let reason =
            "it is redirected to an address without TLS, and there is no sha256 to check what comes: give --sha256";
        return Err(answer(reason.into()));
    }
    let headers = response.headers();
    if let Some(coding) = text(headers, header::CONTENT_ENCODING)
        && !coding.eq_ignore_ascii_case("identity")
    {
        return Err(answer(format!("it is compressed as {coding}, which was not requested")));
    }
    let length: Option<u64> = text(headers, header::CONTENT_LENGTH).and_then(|t| t.parse().ok());
    let total = match response.status() {
        StatusCode::OK => {
            let version = Version {
                source: sha256(url.as_bytes()),
                etag: text(headers, header::ETAG).filter(|tag| !tag.starts_with("W/")),
                last_modified: text(headers, header::LAST_MODIFIED),
                total_bytes: length,
                boot: boot(),
            };
            allowed(url, request, length)?;
            if !partial.is_empty() {
                progress.say("the server cannot resume; starting over");
            }
            room(partial.path(), length)?;
            partial.begin(&version)?;
            length
        }
        StatusCode::PARTIAL_CONTENT => {
            let range = text(headers, header::CONTENT_RANGE).and_then(|range| content_range(&range));
            let Some((first, total)) = range.filter(|(first, _)| *first == partial.len()) else {
                partial.discard();
                return Err(broken(url, "the server gives another part than was asked for"));
            };
            let _ = first;
            let total = total.or(length.map(|rest| partial.len() + rest));
            if known.total_bytes.is_some() && total.is_some() && total != known.total_bytes {
                partial.discard();
                return Err(broken(url, "the file has another size than before: it was changed"));
            }
            allowed(url, request, total)?;
            room(partial.path(), length)?;
            total
        }
        StatusCode::RANGE_NOT_SATISFIABLE if !partial.is_empty() => {
            // A complete file has no further range.
            let whole = text(headers, header::CONTENT_RANGE).is_some_and(|r| r == format!("bytes */{}", partial.len()));
            if whole || known.total_bytes == Some(partial.len()) {
                return Ok(());
            }
            partial.discard();
            return Err(broken(url, "the file is shorter than before: it was changed"));
        }
        status => return Err(FetchError::Status { url: url.into(), status: status.as_u16() }),
    };
    let body = Paced::new(response.body_mut().with_config().limit(u64::MAX).reader(), server.limits);
    receive(server, url, request, partial, progress, body, total)
}

/// Downloads a short text.
///
/// # Errors
/// As [`fetch`].
pub fn text_at(server: &Server, url: &str, limit_bytes: u64) -> Result<String, FetchError> {
    let answer = |reason: String| FetchError::Answer { url: url.into(), reason };
    let mut response = server.agent.get(url).call().map_err(|e| server.fault(url, &e))?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status { url: url.into(), status: response.status().as_u16() });
    }
    let mut bytes = Vec::new();
    let body = Paced::new(response.body_mut().with_config().limit(u64::MAX).reader(), server.limits);
    body.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(|e| server.fault(url, &ureq::Error::from(e)))?;
    recognise(url, &bytes[..bytes.len().min(HEAD_BYTES)])?;
    if bytes.len() as u64 > limit_bytes {
        return Err(FetchError::TooLarge { url: url.into(), found_bytes: None, limit_bytes });
    }
    String::from_utf8(bytes).map_err(|e| answer(format!("not UTF-8: {e}")))
}

/// The condition for continuing a partial file: `None` = start over, `Some(None)` = continue unconditionally, since the hash is
/// checked.
fn condition(url: &str, request: &Request<'_>, partial: &Partial, known: &Version) -> Option<Option<String>> {
    if partial.is_empty() {
        return None;
    }
    let checked = request.sha256.is_some();
    if !checked && known.boot != boot() {
        return None;
    }
    let validator =
        known.etag.clone().or(known.last_modified.clone()).filter(|_| known.source == sha256(url.as_bytes()));
    match validator {
        Some(validator) => Some(Some(validator)),
        None => checked.then_some(None),
    }
}

fn receive(
    server: &Server,
    url: &str,
    request: &Request<'_>,
    partial: &mut Partial,
    progress: &mut dyn Progress,
    mut body: impl Read,
    total: Option<u64>,
) -> Result<(), FetchError> {
    let mut buffer = vec![0; 64 << 10];
    let mut head: Vec<u8> = Vec::new();
    let from_start = partial.is_empty();
    progress.at(partial.len(), total);
    loop {
        let n = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) => return Err(server.fault(url, &ureq::Error::from(e))),
        };
        if from_start && head.len() < HEAD_BYTES {
            head.extend(buffer[..n].iter().take(HEAD_BYTES - head.len()));
            if let Err(error) = recognise(url, &head) {
                partial.discard();
                return Err(error);
            }
        }
        let limit = request.bytes.unwrap_or(request.limit_bytes);
        if partial.len() + n as u64 > limit {
            partial.discard();
            return Err(too_large(url, request, None));
        }
        partial.add(&buffer[..n])?;
        progress.at(partial.len(), total);
    }
    match total.or(request.bytes) {
        Some(total) if partial.len() < total => Err(broken(url, "the connection was closed before the end")),
        _ => Ok(()),
    }
}

/// Refuses web pages and Git LFS pointers by their first bytes; `url` names the file in errors.
///
/// # Errors
/// [`FetchError::Page`] or [`FetchError::Pointer`].
pub fn recognise(url: &str, head: &[u8]) -> Result<(), FetchError> {
    if head.starts_with(b"version https://git-lfs.github.com/spec/") {
        return Err(FetchError::Pointer { url: url.into() });
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let page = text.first() == Some(&b'<') && text.get(1).is_none_or(|c| c.is_ascii_alphabetic() || b"!?".contains(c));
    if page { Err(FetchError::Page { url: url.into() }) } else { Ok(()) }
}

fn verify(url: &str, request: &Request<'_>, partial: &mut Partial) -> Result<(), FetchError> {
    let found = match request.sha256 {
        Some(expected) => {
            let found = partial.sha256()?;
            (!found.eq_ignore_ascii_case(expected)).then_some((found, expected))
        }
        None => None,
    };
    match found {
        None => Ok(()),
        Some((found, expected)) => {
            partial.discard();
            Err(FetchError::Hash { url: url.into(), found, expected: expected.to_ascii_lowercase() })
        }
    }
}

fn allowed(url: &str, request: &Request<'_>, total: Option<u64>) -> Result<(), FetchError> {
    match (total, request.bytes) {
        (Some(found_bytes), Some(expected_bytes)) if found_bytes != expected_bytes => {
            Err(FetchError::Size { url: url.into(), found_bytes, expected_bytes })
        }
        (Some(found), _) if found > request.limit_bytes => Err(too_large(url, request, Some(found))),
        _ => Ok(()),
    }
}

fn too_large(url: &str, request: &Request<'_>, found_bytes: Option<u64>) -> FetchError {
    let limit_bytes = request.bytes.unwrap_or(request.limit_bytes);
    FetchError::TooLarge { url: url.into(), found_bytes, limit_bytes }
}

/// Checks that `needed` bytes fit beside `file`.
fn room(file: &Path, needed: Option<u64>) -> Result<(), FetchError> {
    let dir = file.parent().unwrap_or(file);
    let (Some(needed_bytes), Some(free_bytes)) = (needed, free_bytes(dir)) else { return Ok(()) };
    if free_bytes < needed_bytes + MARGIN_BYTES {
        return Err(FetchError::Room { dir: dir.into(), needed_bytes: needed_bytes + MARGIN_BYTES, free_bytes });
    }
    Ok(())
}

/// Bytes that this user may still write below `dir`; `None` where the system does not report it.
fn free_bytes(dir: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

fn broken(url: &str, reason: &str) -> FetchError {
    FetchError::Broken { url: url.into(), reason: reason.into(), kept_bytes: 0, total_bytes: None }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_string)
}

/// First byte and total of `bytes 100-199/200`; the total may be `*`.
pub(super) fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let first = range.split_once('-')?.0.trim().parse().ok()?;
    match total.trim() {
        "*" => Some((first, None)),
        total => Some((first, Some(total.parse().ok()?))),
    }
}
