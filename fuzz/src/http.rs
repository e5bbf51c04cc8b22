//! Whole requests to the HTTP interface, over a log in memory: nothing panics, and every error has
//! the shape that the interface documents.

use std::sync::{Arc, LazyLock};

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use fieldledger_api::{Parts, Scope, Tokens};
use fieldledger_fake_parts::Fake;
use futures::executor::block_on;
use serde_json::Value;
use tower::ServiceExt as _;

/// A token of every scope.
const TOKEN: &str = "secret";

/// Longest answer that is read, bytes: a few entries have some thousand.
const LONGEST: usize = 16 << 20;

static TOKENS: LazyLock<Tokens> = LazyLock::new(|| {
    let setting = Tokens::setting("fuzz", &[Scope::Read, Scope::Write, Scope::Admin], TOKEN);
    Tokens::parse(&setting).expect("the setting is good")
});

/// `METHOD URI`, a line for each header, a blank line, the body.
pub(crate) fn request(data: &[u8]) {
    let (head, body) = match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (&data[..end], &data[end + 2..]),
        None => (data, &[][..]),
    };
    let Ok(head) = std::str::from_utf8(head) else {
        return;
    };
    let mut lines = head.lines();
    let Some((method, uri)) = lines.next().and_then(|line| line.split_once(' ')) else {
        return;
    };
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        request = request.header(name, value);
    }
    if let Ok(request) = request.body(Body::from(body.to_vec())) {
        send(request);
    }
}

/// The first line names the endpoint below `/audit`, the rest is the body of a POST.
pub(crate) fn pangea_request(data: &[u8]) {
    let end = data.iter().position(|&byte| byte == b'\n');
    let (path, body) = data.split_at(end.unwrap_or(data.len()));
    let Ok(path) = std::str::from_utf8(path) else {
        return;
    };
    let request = Request::post(format!("/audit/{path}"))
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json");
    if let Ok(request) = request.body(Body::from(body.to_vec())) {
        send(request);
    }
}

fn send(request: Request<Body>) {
    let path = request.uri().path().to_owned();
    let is_head = request.method() == "HEAD";
    let served = Parts::of(&Arc::new(Fake {
        tokens: TOKENS.clone(),
        ..Fake::default()
    }));
    let answer = fieldledger_api::router(served).oneshot(request);
    let Ok(answer) = block_on(answer);
    let (parts, body) = answer.into_parts();
    let body = block_on(to_bytes(body, LONGEST)).expect("the answer is in memory");
    let is_error = parts.status.is_client_error() || parts.status.is_server_error();
    // Pangea's service wraps all but downloads; what is beside its routes is the rest's to answer.
    let is_pangea = path == "/audit" || path.starts_with("/audit/");
    let is_json = content_type(&parts.headers) == "application/json";
    if is_pangea && is_json {
        if !is_head {
            assert_wrapped(&path, parts.status, &body);
        }
    } else if is_error && !path.starts_with("/witness/") {
        // What a witness answers is a text that logs know.
        assert_problem(&path, is_head, parts.status, &parts.headers, &body);
    }
    // Whatever is wrong with a request is no fault of the server.
    assert!(
        !parts.status.is_server_error()
            || parts.status == StatusCode::NOT_IMPLEMENTED
            || parts.status == StatusCode::SERVICE_UNAVAILABLE,
        "{path}: {}",
        parts.status
    );
}

fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get("content-type");
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// RFC 9457, as `Problem` of the API describes it.
fn assert_problem(path: &str, is_head: bool, status: StatusCode, headers: &HeaderMap, body: &[u8]) {
    assert_eq!(content_type(headers), "application/problem+json", "{path}");
    if is_head {
        return;
    }
    let problem: Value = serde_json::from_slice(body).expect("a problem is JSON");
    assert_eq!(problem["status"], status.as_u16(), "{path}: {problem}");
    assert_eq!(problem["instance"], path, "{problem}");
    for text in ["type", "title", "detail"] {
        let text = problem[text].as_str();
        assert!(
            text.is_some_and(|text| !text.is_empty()),
            "{path}: {problem}"
        );
    }
    assert!(problem["errors"].is_array(), "{path}: {problem}");
}

/// The fields that Pangea's SDKs want, each of them and no other.
fn assert_wrapped(path: &str, status: StatusCode, body: &[u8]) {
    let wrapper: Value = serde_json::from_slice(body).expect("a wrapper is JSON");
    let fields = wrapper.as_object().expect("a wrapper is an object");
    let mut names: Vec<&str> = fields.keys().map(String::as_str).collect();
    names.sort_unstable();
    let known = [
        "request_id",
        "request_time",
        "response_time",
        "result",
        "status",
        "summary",
    ];
    assert_eq!(names, known, "{path}: {wrapper}");
    assert_eq!(
        wrapper["status"] == "Success" || wrapper["status"] == "Accepted",
        status.is_success(),
        "{path}: {wrapper}"
    );
}
