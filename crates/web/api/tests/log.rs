//! The routes below `/log`, and those that go with them: types, caching, and what is refused.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fieldledger_api::{Parts, router};
use fieldledger_contract::Error;
use fieldledger_contract::audit::{Removal, RemovalKind};
use fieldledger_fake_parts::{ENVELOPE, Fake, checkpoint};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tower::ServiceExt;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn problem_detail(&self, status: u16) -> String {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(
            self.header("cache-control"),
            "no-store",
            "a problem is not kept"
        );
        self.json()["detail"].as_str().unwrap().to_owned()
    }
}

async fn send(backend: &Arc<Fake>, request: Request<Body>) -> Answer {
    let response = router(Parts::of(backend)).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: to_bytes(body, usize::MAX).await.unwrap().to_vec(),
    }
}

async fn get(backend: &Arc<Fake>, uri: &str) -> Answer {
    send(backend, Request::get(uri).body(Body::empty()).unwrap()).await
}

fn fake() -> Arc<Fake> {
    Arc::new(Fake::default())
}

#[tokio::test]
async fn types_and_caching_are_those_of_the_specification() {
    let backend = fake();
    let immutable = "public, max-age=31536000, immutable";
    let octets = "application/octet-stream";
    for (uri, media_type, caching, body) in [
        (
            "/log/checkpoint",
            "text/plain; charset=utf-8",
            "public, max-age=1",
            checkpoint().note.into_bytes(),
        ),
        ("/log/tile/0/000.p/2", octets, immutable, vec![0xff; 64]),
        (
            "/log/tile/entries/000.p/2",
            octets,
            immutable,
            vec![0, 1, 0xfe, 0, 1, 0xfe],
        ),
        (
            "/log/payload/1",
            "application/json",
            "no-cache",
            ENVELOPE.as_bytes().to_vec(),
        ),
    ] {
        let answer = get(&backend, uri).await;
        assert_eq!(answer.status, StatusCode::OK, "{uri}");
        assert_eq!(answer.header("content-type"), media_type, "{uri}");
        assert_eq!(answer.header("cache-control"), caching, "{uri}");
        assert_eq!(answer.body, body, "{uri}");
        let etag = format!("\"{:x}\"", Sha256::digest(&body));
        assert_eq!(answer.header("etag"), etag, "{uri}");

        let head = Request::head(uri).body(Body::empty()).unwrap();
        let head = send(&backend, head).await;
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0), "{uri}");
        // A component's host would miss the bytes; the edge, which asks with GET, knows how many.
        assert_eq!(head.header("content-length"), "", "{uri}");
        assert_eq!(head.header("etag"), etag, "{uri}");

        for known in [etag.clone(), format!("\"x\", W/{etag}"), "*".to_owned()] {
            let request = Request::get(uri).header("if-none-match", known);
            let answer = send(&backend, request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::NOT_MODIFIED, "{uri}");
            assert_eq!(
                (answer.body.len(), answer.header("etag")),
                (0, etag.as_str())
            );
            assert_eq!(answer.header("cache-control"), caching, "{uri}");
        }
        let request = Request::get(uri).header("if-none-match", "\"another\"");
        let answer = send(&backend, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{uri}");
    }
}

#[tokio::test]
async fn a_path_that_is_written_otherwise_is_no_tile() {
    let backend = fake();
    for path in [
        "0/0.p/2",
        "00/000.p/2",
        "0/000.p/02",
        "0/%30%30%30.p/2",
        "64/000",
        "x",
    ] {
        let detail = get(&backend, &format!("/log/tile/{path}"))
            .await
            .problem_detail(404);
        assert!(detail.contains("names no tile"), "{path}: {detail}");
    }
    for path in ["0/000", "0/000.p/4", "1/000.p/1", "entries/001.p/1"] {
        let detail = get(&backend, &format!("/log/tile/{path}"))
            .await
            .problem_detail(404);
        assert!(detail.contains("no such"), "{path}: {detail}");
    }
    let answer = get(&backend, "/log/tile/0/000.p/2?x=1").await;
    answer.problem_detail(400);
}

#[tokio::test]
async fn a_proof_is_a_tlog_proof_and_a_bundle_carries_the_payload() {
    let backend = fake();
    let note = checkpoint().note;
    let text =
        |extra: &str| format!("c2sp.org/tlog-proof@v1\nextra {extra}\nindex 2\ncGF0aA==\n\n{note}");

    let proof = get(&backend, "/log/proof/2").await;
    assert_eq!(proof.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(proof.header("cache-control"), "no-store");
    assert_eq!(proof.text(), text(&BASE64_STANDARD.encode("leaf")));

    let bundle = get(&backend, "/api/proof/2/bundle").await;
    let disposition = bundle.header("content-disposition");
    assert_eq!(disposition, "attachment; filename=\"entry-2.tlog-proof\"");
    let extra = BASE64_STANDARD.encode(format!("leaf{ENVELOPE}"));
    assert_eq!(bundle.text(), text(&extra));
}

#[tokio::test]
async fn a_removed_payload_is_gone_but_still_proved() {
    let removal = |kind| Removal {
        kind,
        entry: 7,
        reason: "a name in it".to_owned(),
    };
    for (kind, word) in [
        (RemovalKind::Erased, "erased"),
        (RemovalKind::GivenUp, "older than"),
    ] {
        let backend = Arc::new(Fake {
            removal: Some(removal(kind)),
            ..Fake::default()
        });
        for uri in ["/log/payload/1", "/api/proof/1/bundle"] {
            let detail = get(&backend, uri).await.problem_detail(410);
            for part in [word, "entry 7", "a name in it", "/log/proof/1"] {
                assert!(detail.contains(part), "{uri}: {detail}");
            }
        }
        assert_eq!(get(&backend, "/log/proof/1").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_receipt_is_cose() {
    let answer = get(&fake(), "/log/receipt/1").await;
    let media_type = "application/cose; cose-type=\"cose-sign1\"";
    assert_eq!(answer.header("content-type"), media_type);
    assert_eq!(answer.body, [0xd2, 0x84]);
}

#[tokio::test]
async fn consistency_is_proved_up_to_the_newest_tree_or_any_other() {
    let backend = fake();
    let newest = get(&backend, "/api/consistency?old=1").await.json();
    assert_eq!(
        (&newest["old_size"], &newest["new_size"]),
        (&1.into(), &3.into())
    );
    assert_eq!(newest["consistency_proof"][0], "cGF0aA==");
    assert_eq!(newest["checkpoint"], checkpoint().note);
    let between = get(&backend, "/api/consistency?old=1&new=2").await.json();
    assert_eq!(between["new_size"], 2);
    assert!(between.get("checkpoint").is_none());
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named() {
    let backend = fake();
    for (uri, status, field) in [
        ("/log/payload/x", 400, Some("entry")),
        ("/log/payload/-1", 400, Some("entry")),
        ("/log/payload/18446744073709551616", 400, Some("entry")),
        ("/log/payload/3", 404, None),
        ("/log/proof/3", 404, None),
        ("/api/proof/3/bundle", 404, None),
        ("/log/receipt/3", 404, None),
        ("/log/receipt/x?y=1", 400, Some("query")),
        ("/api/consistency", 400, Some("old")),
        ("/api/consistency?old=0", 400, Some("old")),
        ("/api/consistency?old=1&new=x", 400, Some("new")),
        ("/api/consistency?old=3&new=2", 400, Some("old")),
        ("/api/consistency?old=1&new=4", 404, None),
        ("/api/consistency?old=1&size=4", 400, Some("query")),
    ] {
        let answer = get(&backend, uri).await;
        answer.problem_detail(status);
        let problem = answer.json();
        let named = problem["errors"][0]["field"].as_str();
        assert_eq!(named, field, "{uri}: {problem}");
    }
}

#[tokio::test]
async fn a_silent_ledger_is_named() {
    let backend = Arc::new(Fake {
        ledger_fails: Some(Error::Unavailable("the ledger does not answer".into())),
        ..Fake::default()
    });
    for uri in [
        "/log/checkpoint",
        "/log/tile/0/000.p/1",
        "/log/tile/entries/000.p/1",
        "/log/payload/1",
        "/log/proof/1",
        "/log/receipt/1",
        "/api/proof/1/bundle",
        "/api/consistency?old=1",
    ] {
        let answer = get(&backend, uri).await;
        assert_eq!(
            answer.problem_detail(503),
            "the ledger does not answer",
            "{uri}"
        );
        assert_eq!(answer.header("retry-after"), "2", "{uri}");
    }
}
