//! Writes with an `Idempotency-Key` over a real log, which is opened again in between.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use fieldledger_api::{Scope, Tokens};
use fieldledger_ledger::{Config, Ledger};
use fieldledger_standalone::{OverLedger, Standalone};
use reqwest::Client;
use serde_json::{Value, json};

struct Site {
    ledger: Ledger,
    server: Standalone,
}

#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    replayed: bool,
    body: Value,
}

impl Site {
    async fn open(folder: &Path) -> Self {
        let mut config = Config::new(folder.join("ledger"));
        config.publication = None;
        let ledger = Ledger::open(config).unwrap();
        let tokens = [
            Tokens::setting("one", &[Scope::Write], "1"),
            Tokens::setting("two", &[Scope::Write], "2"),
            Tokens::setting("reader", &[Scope::Read], "r"),
            Tokens::setting("officer", &[Scope::Admin], "a"),
        ];
        let served =
            OverLedger::new(ledger.clone()).with_tokens(Tokens::parse(&tokens.join(" ")).unwrap());
        let listen = "127.0.0.1:0".parse().unwrap();
        let server = Standalone::start_with(served, listen).await.unwrap();
        Self { ledger, server }
    }

    async fn post(&self, path: &str, token: &str, key: &str, body: &Value) -> Answer {
        let response = Client::new()
            .post(format!("{}{path}", self.server.url()))
            .bearer_auth(token)
            .header("idempotency-key", key)
            .json(body)
            .send()
            .await
            .unwrap();
        Answer {
            status: response.status().as_u16(),
            replayed: response.headers().contains_key("idempotency-replayed"),
            body: response.json().await.unwrap(),
        }
    }

    fn size(&self) -> u64 {
        self.ledger.checkpoint().tree_size
    }

    async fn close(self) {
        self.server.stop().await.unwrap();
        self.ledger.close();
    }
}

#[tokio::test]
async fn what_is_sent_again_is_written_once_and_answered_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::open(folder.path()).await;
    let one = json!({"event": {"message": "door opened"}, "verbose": true});
    let many = json!({"events": [{"event": {"message": "a"}}, {"event": {"message": "b"}}]});
    let first = site.post("/audit/v1/log", "1", "k-1", &one).await;
    assert_eq!((first.status, first.replayed), (200, false), "{first:?}");
    let bulk = site.post("/audit/v2/log", "1", "k-2", &many).await;
    assert_eq!(bulk.status, 200, "{bulk:?}");
    let size = site.size();
    assert_eq!(
        site.post("/audit/v1/log", "1", "k-1", &one).await.body,
        first.body
    );
    // Another request under the same key, and one that is longer.
    let longer = json!({"events": [{"event": {"message": "a"}}, {"event": {"message": "b"}},
        {"event": {"message": "c"}}]});
    for (path, key, body) in [
        (
            "/audit/v1/log",
            "k-1",
            json!({"event": {"message": "door closed"}}),
        ),
        ("/audit/v2/log", "k-2", longer),
        ("/audit/v2/log_async", "k-2", many.clone()),
    ] {
        let other = site.post(path, "1", key, &body).await;
        assert_eq!(other.status, 422, "{other:?}");
        assert!(other.body["request_id"].is_string(), "{other:?}");
    }
    assert_eq!(site.size(), size);
    // The same event with another key, or from somebody else, is another event.
    for (token, key) in [("1", "k-3"), ("2", "k-1")] {
        let answer = site.post("/audit/v1/log", token, key, &one).await;
        assert_eq!((answer.status, answer.replayed), (200, false));
    }
    assert_eq!(site.size(), size + 2);
    site.close().await;

    let site = Site::open(folder.path()).await;
    let again = site.post("/audit/v1/log", "1", "k-1", &one).await;
    assert_eq!((again.status, again.replayed), (200, true));
    assert_eq!(again.body, first.body);
    let again = site.post("/audit/v2/log", "1", "k-2", &many).await;
    assert_eq!(again.body, bulk.body);
    assert_eq!(site.size(), size + 2);
    site.close().await;
}

/// The process died between the write and the answer: what was asked is kept, what was answered is not.
#[tokio::test]
async fn an_answer_that_is_not_kept_is_found_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::open(folder.path()).await;
    let many = json!({"events": [{"event": {"message": "a"}}, {"event": {"message": "b"}}]});
    let other = json!({"event": {"message": "to be erased"}});
    site.post("/audit/v1/log", "1", "other", &other).await;
    let first = site.post("/audit/v2/log", "1", "k", &many).await;
    let erase = json!({"entry": 0, "reason": "a test"});
    let erased = site.post("/api/log/erase", "a", "e", &erase).await;
    assert_eq!(erased.status, 200, "{erased:?}");
    let size = site.size();
    site.close().await;
    for file in std::fs::read_dir(folder.path().join("ledger/pangea/named")).unwrap() {
        let path = file.unwrap().path();
        if std::fs::read_to_string(&path)
            .unwrap()
            .contains("content_type")
        {
            std::fs::remove_file(path).unwrap();
        }
    }
    let site = Site::open(folder.path()).await;
    let again = site.post("/audit/v2/log", "1", "k", &many).await;
    assert_eq!((again.status, again.replayed), (200, false), "{again:?}");
    assert_eq!(again.body["result"], first.body["result"]);
    // What the log cannot tell is not done again.
    let unsure = site.post("/api/log/erase", "a", "e", &erase).await;
    assert_eq!(unsure.status, 409, "{unsure:?}");
    assert_eq!(site.size(), size);
    site.close().await;
}

#[tokio::test]
async fn keys_that_are_none_are_refused_and_reading_needs_none() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::open(folder.path()).await;
    let event = json!({"event": {"message": "m"}});
    for key in ["", "a b", &"x".repeat(256)] {
        let answer = site.post("/audit/v1/log", "1", key, &event).await;
        assert_eq!(answer.status, 400, "{key:?}: {answer:?}");
    }
    let denied = site.post("/audit/v1/log", "r", "k", &event).await;
    assert_eq!(denied.status, 403);
    assert_eq!(
        site.post("/audit/v1/log", "1", "k", &event).await.status,
        200
    );
    for _ in 0..2 {
        let found = site
            .post("/audit/v1/search", "r", "k", &json!({"query": ""}))
            .await;
        assert_eq!((found.status, found.replayed), (200, false));
    }
    site.close().await;
}
