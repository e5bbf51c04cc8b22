//! What is made of an answer: gzip, ranges, and HEAD.

use std::io::Write as _;

use axum::body::{Body, Bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONNECTION, CONTENT_DISPOSITION, CONTENT_ENCODING,
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, TRAILER,
    TRANSFER_ENCODING, UPGRADE, VARY,
};
use hyper::http::HeaderValue;
use hyper::http::response::Parts;
use hyper::{Response, StatusCode};

use crate::head::Wishes;
use crate::relay::Reply;
use crate::rules::SMALLEST_COMPRESSED;

/// Fast rather than small: the same machine answers the other requests, too.
const LEVEL: u32 = 3;

/// What is larger is compressed beside, because it takes longer than a connection should wait for another.
const COMPRESSED_BESIDE: usize = 32 * 1024;

/// The answer to the client.
pub(crate) async fn finish(reply: Reply, wishes: &Wishes) -> Response<Body> {
    let (mut parts, whole) = match reply {
        Reply::Whole(parts, bytes) => (parts, bytes),
        Reply::Streamed(mut parts, body) => {
            of_the_call(&mut parts.headers);
            let body = match wishes.head_only {
                true => Body::empty(),
                false => body,
            };
            return Response::from_parts(parts, body);
        }
    };
    of_the_call(&mut parts.headers);
    if parts.status == StatusCode::NOT_MODIFIED || parts.status == StatusCode::NO_CONTENT {
        if is_text(&parts.headers) {
            vary(&mut parts.headers);
        }
        parts.headers.remove(CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    let whole = match ranged(&mut parts, &whole, wishes) {
        Some(part) => part,
        None => compressed(&mut parts, whole, wishes).await,
    };
    with_length(parts, whole, wishes.head_only)
}

/// The answer with its length, and without its body if the client does not want that.
pub(crate) fn with_length(mut parts: Parts, bytes: Bytes, head_only: bool) -> Response<Body> {
    parts.headers.insert(CONTENT_LENGTH, bytes.len().into());
    let body = match head_only {
        true => Body::empty(),
        false => Body::from(bytes),
    };
    Response::from_parts(parts, body)
}

/// Takes out what concerned the connection to who answered.
fn of_the_call(headers: &mut HeaderMap) {
    let keep_alive = HeaderName::from_static("keep-alive");
    for name in [CONNECTION, keep_alive, TRANSFER_ENCODING, TRAILER, UPGRADE] {
        headers.remove(name);
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> &str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

fn is_text(headers: &HeaderMap) -> bool {
    let essence = text(headers, CONTENT_TYPE)
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    let essence = essence.to_ascii_lowercase();
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || matches!(
            essence.as_str(),
            "application/json" | "application/javascript" | "application/xml"
        )
}

fn vary(headers: &mut HeaderMap) {
    headers.append(VARY, HeaderValue::from_static("accept-encoding"));
}

async fn compressed(parts: &mut Parts, whole: Bytes, wishes: &Wishes) -> Bytes {
    let headers = &mut parts.headers;
    if !is_text(headers) || headers.contains_key(CONTENT_ENCODING) {
        return whole;
    }
    vary(headers);
    if !wishes.gzip || whole.len() < SMALLEST_COMPRESSED {
        return whole;
    }
    let zipped = match whole.len() > COMPRESSED_BESIDE {
        true => {
            let bytes = whole.clone();
            let zipping = tokio::task::spawn_blocking(move || zip(&bytes));
            zipping.await.ok().flatten()
        }
        false => zip(&whole),
    };
    let Some(zipped) = zipped.filter(|zipped| zipped.len() < whole.len()) else {
        return whole;
    };
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    // Other bytes than those the tag is of, but the same thing.
    let tag = text(headers, ETAG);
    if tag.starts_with('"')
        && let Ok(weak) = HeaderValue::from_str(&format!("W/{tag}"))
    {
        headers.insert(ETAG, weak);
    }
    zipped.into()
}

fn zip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::new(LEVEL));
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

/// The part that the client asks for, of what stays the same between two requests. What must not be kept is
/// made anew for each, so that its parts would not fit together.
fn ranged(parts: &mut Parts, whole: &Bytes, wishes: &Wishes) -> Option<Bytes> {
    let headers = &mut parts.headers;
    let stays = !text(headers, CACHE_CONTROL).contains("no-store")
        || headers.contains_key(CONTENT_DISPOSITION);
    if parts.status != StatusCode::OK || !stays {
        return None;
    }
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let range = wishes.range.as_ref()?.to_str().ok()?;
    if let Some(condition) = &wishes.if_range
        && (condition.as_bytes() != text(headers, ETAG).as_bytes() || condition.is_empty())
    {
        return None;
    }
    let length = whole.len();
    let (status, content_range, bytes) = match parse(range, length)? {
        Wanted::Part { first, end } => (
            StatusCode::PARTIAL_CONTENT,
            format!("bytes {first}-{}/{length}", end - 1),
            whole.slice(first..end),
        ),
        Wanted::Nothing => {
            headers.remove(CONTENT_TYPE);
            headers.remove(ETAG);
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            (
                StatusCode::RANGE_NOT_SATISFIABLE,
                format!("bytes */{length}"),
                Bytes::new(),
            )
        }
    };
    let content_range = HeaderValue::from_str(&content_range).ok()?;
    headers.insert(CONTENT_RANGE, content_range);
    if is_text(headers) {
        vary(headers);
    }
    parts.status = status;
    Some(bytes)
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// From `first` to before `end`; at least one byte.
    Part { first: usize, end: usize },
    /// Nothing that is there.
    Nothing,
}

/// One range of bytes. Several, and what is no range, are as if nothing had been asked: everything is sent.
fn parse(range: &str, length: usize) -> Option<Wanted> {
    let (unit, range) = range.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A number that is too large for a length is past every end.
    let number = |text: &str| text.parse::<usize>().unwrap_or(usize::MAX);
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, end) = match (is_number(first), is_number(last)) {
        (true, true) if number(last) < number(first) => return None,
        (true, true) => (number(first), number(last).saturating_add(1).min(length)),
        (true, false) if last.is_empty() => (number(first), length),
        (false, true) if first.is_empty() => (length.saturating_sub(number(last)), length),
        _ => return None,
    };
    match first < end {
        true => Some(Wanted::Part { first, end }),
        false => Some(Wanted::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let part = |first, end| Some(Wanted::Part { first, end });
        for (range, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-", part(2, 10)),
            ("bytes=2-99", part(2, 10)),
            ("bytes=-3", part(7, 10)),
            ("bytes=-99", part(0, 10)),
            ("Bytes=9-9", part(9, 10)),
            ("bytes=10-", Some(Wanted::Nothing)),
            ("bytes=-0", Some(Wanted::Nothing)),
            ("bytes=99999999999999999999-", Some(Wanted::Nothing)),
            ("bytes=5-2", None),
            ("bytes=0-1,3-4", None),
            ("bytes=a-", None),
            ("bytes=-", None),
            ("items=0-1", None),
            ("0-1", None),
        ] {
            assert_eq!(parse(range, 10), expected, "{range}");
        }
        assert_eq!(parse("bytes=0-", 0), Some(Wanted::Nothing));
    }
}
