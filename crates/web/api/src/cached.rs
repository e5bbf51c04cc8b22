//! Answers that a client may cache, and that need not be sent again while they are the same.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

/// For what never changes: cached for a year, and not asked for again within it.
pub(crate) const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// For what is asked for again each time, and answered without a body while it is the same.
pub(crate) const REVALIDATED: &str = "no-cache";

/// Bytes whose entity tag is their SHA-256, in hexadecimal.
pub(crate) struct Content {
    pub(crate) media_type: &'static str,
    pub(crate) cache_control: &'static str,
    pub(crate) bytes: Vec<u8>,
}

impl Content {
    /// The answer to a request with these headers: the bytes, or that they are known.
    pub(crate) fn answer(self, request: &HeaderMap) -> Response {
        let etag = format!("\"{:x}\"", Sha256::digest(&self.bytes));
        let is_known = is_known(request, &etag);
        let mut response = if is_known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(CONTENT_TYPE, self.media_type)], self.bytes).into_response()
        };
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(self.cache_control));
        if let Ok(etag) = HeaderValue::from_str(&etag) {
            headers.insert(ETAG, etag);
        }
        response
    }
}

/// Whether the client has what the entity tag names. Weak comparison of RFC 9110, 13.1.2: a cache may
/// have marked the tag as weak.
pub(crate) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}
