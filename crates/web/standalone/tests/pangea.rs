//! Pangea's API over a real ledger, request by request: the wrapper, who may do what, and that what
//! is refused is refused as documented and changes nothing.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fieldledger_api::{Scope, Tokens};
use fieldledger_ledger::{Clock, Config, Ledger};
use fieldledger_standalone::{OverLedger, Standalone};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

/// 2026-01-02T03:04:05Z, microseconds.
const NOW: u64 = 1_767_323_045_000_000;
const HOUR: u64 = 3_600_000_000;

struct Site {
    _folder: TempDir,
    ledger: Ledger,
    server: Standalone,
    clock: Arc<AtomicU64>,
    http: Client,
}

struct Answer {
    status: StatusCode,
    body: Value,
}

impl Site {
    async fn start(tokens: &str) -> Self {
        Self::start_with(tokens, |_config| {}).await
    }

    async fn start_with(tokens: &str, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicU64::new(NOW));
        let told = Arc::clone(&clock);
        let time = Clock::new(move || told.load(Ordering::SeqCst));
        let mut config = Config::new(folder.path().join("ledger"));
        config.publication = None;
        config.index_interval_ms = 5;
        config.clock = time.clone();
        change(&mut config);
        let ledger = Ledger::open(config).unwrap();
        let served = OverLedger::new(ledger.clone())
            .with_clock(time)
            .with_tokens(Tokens::parse(tokens).unwrap());
        let listen = "127.0.0.1:0".parse().unwrap();
        let server = Standalone::start_with(served, listen).await.unwrap();
        Self {
            _folder: folder,
            ledger,
            server,
            clock,
            http: Client::new(),
        }
    }

    async fn post(&self, path: &str, token: &str, body: impl Into<reqwest::Body>) -> Answer {
        let url = format!("{}{path}", self.server.url());
        let mut request = self.http.post(url).body(body);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        read(response).await
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        let url = format!("{}{path}", self.server.url());
        read(self.http.get(url).bearer_auth(token).send().await.unwrap()).await
    }

    fn size(&self) -> u64 {
        self.ledger.checkpoint().tree_size
    }

    async fn stop(self) {
        self.server.stop().await.unwrap();
        self.ledger.close();
    }
}

async fn read(response: reqwest::Response) -> Answer {
    Answer {
        status: response.status(),
        body: response.json().await.unwrap(),
    }
}

fn all_tokens() -> String {
    format!(
        "{} {} {}",
        Tokens::setting("reader", &[Scope::Read], "r"),
        Tokens::setting("writer", &[Scope::Write], "w"),
        Tokens::setting("operator", &Scope::ALL, "o"),
    )
}

/// What every answer has, and nothing else.
fn check_wrapper(answer: &Answer) {
    let keys: Vec<&String> = answer.body.as_object().unwrap().keys().collect();
    let mut sorted = keys.clone();
    sorted.sort();
    assert_eq!(
        sorted,
        [
            "request_id",
            "request_time",
            "response_time",
            "result",
            "status",
            "summary"
        ]
    );
    let id = answer.body["request_id"].as_str().unwrap();
    let letters = id.strip_prefix("prq_").unwrap();
    assert_eq!(letters.len(), 32);
    assert!(
        letters
            .bytes()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
    );
    assert!(answer.body["request_time"].as_str().unwrap().ends_with('Z'));
}

fn status(answer: &Answer) -> (u16, &str) {
    (
        answer.status.as_u16(),
        answer.body["status"].as_str().unwrap(),
    )
}

const LOG: &str = r#"{"event":{"message":"m"}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_what_its_scopes_say() {
    let site = Site::start(&all_tokens()).await;
    for (path, body, may) in [
        ("/audit/v1/log", LOG, ["w", "o"]),
        (
            "/audit/v2/log",
            r#"{"events":[{"event":{"message":"m"}}]}"#,
            ["w", "o"],
        ),
        ("/audit/v1/search", r#"{"query":""}"#, ["r", "o"]),
        ("/audit/v1/schema", "{}", ["r", "o"]),
    ] {
        for token in ["", "r", "w", "o", "guessed"] {
            let answer = site.post(path, token, body).await;
            check_wrapper(&answer);
            let expected = match token {
                "" | "guessed" => (401, "Unauthorized"),
                token if may.contains(&token) => (200, "Success"),
                _ => (403, "Unauthorized"),
            };
            assert_eq!(status(&answer), expected, "{token:?} at {path}");
        }
    }
    assert_eq!(
        site.size(),
        4,
        "one event for each request that was allowed to write"
    );
    site.stop().await;

    let closed = Site::start("").await;
    let answer = closed.post("/audit/v1/log", "o", LOG).await;
    assert_eq!(status(&answer), (401, "Unauthorized"));
    assert_eq!(closed.size(), 0);
    closed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_and_changes_nothing() {
    let site = Site::start(&all_tokens()).await;
    let long = json!({"event": {"message": "m".repeat(32_767)}}).to_string();
    let key = json!({"event": {"message": "m"}, "signature": "s".repeat(257)}).to_string();
    let deep = format!(
        r#"{{"event":{{"message":{}1{}}}}}"#,
        "[".repeat(500),
        "]".repeat(500)
    );
    for (path, body, code, source) in [
        ("/audit/v1/log", "", "InvalidObject", ""),
        ("/audit/v1/log", "{", "InvalidObject", ""),
        ("/audit/v1/log", "[]", "InvalidObject", ""),
        ("/audit/v1/log", "{}", "FieldRequired", "/event"),
        ("/audit/v1/log", r#"{"event":7}"#, "InvalidObject", "/event"),
        (
            "/audit/v1/log",
            r#"{"event":{}}"#,
            "FieldRequired",
            "/event/message",
        ),
        (
            "/audit/v1/log",
            r#"{"event":{"message":"m"},"colour":1}"#,
            "UnexpectedProperty",
            "/colour",
        ),
        (
            "/audit/v1/log",
            r#"{"event":{"message":"m"},"verbose":"yes"}"#,
            "InvalidBool",
            "/verbose",
        ),
        (
            "/audit/v1/log",
            r#"{"event":{"message":"m"},"prev_root":"x"}"#,
            "DoesNotMatchPattern",
            "/prev_root",
        ),
        (
            "/audit/v1/log",
            r#"{"event":{"message":"m","a":1}}"#,
            "UnexpectedProperty",
            "/event/a",
        ),
        ("/audit/v1/log", &long, "AboveMaxLength", "/event/message"),
        ("/audit/v1/log", &key, "AboveMaxLength", "/signature"),
        ("/audit/v1/log", &deep, "InvalidString", "/event/message"),
        (
            "/audit/v1/log",
            "{\"event\":{\"message\":\"\\ud800\"}}",
            "InvalidString",
            "/event/message",
        ),
        (
            "/audit/v2/log",
            r#"{"events":{}}"#,
            "InvalidArray",
            "/events",
        ),
        (
            "/audit/v2/log",
            r#"{"events":[]}"#,
            "BelowMinItems",
            "/events",
        ),
        (
            "/audit/v2/log",
            r#"{"events":[{"event":{"message":"good"}},{"event":{}}]}"#,
            "FieldRequired",
            "/events/1/event/message",
        ),
        (
            "/audit/v2/log_async",
            r#"{"events":[{}]}"#,
            "FieldRequired",
            "/events/0/event",
        ),
        ("/audit/v1/search", "{}", "FieldRequired", "/query"),
        (
            "/audit/v1/search",
            r#"{"query":1}"#,
            "InvalidString",
            "/query",
        ),
        (
            "/audit/v1/search",
            r#"{"query":"","limit":"1"}"#,
            "InvalidInteger",
            "/limit",
        ),
        (
            "/audit/v1/search",
            r#"{"query":"","limit":0}"#,
            "NotWithinRange",
            "/limit",
        ),
        (
            "/audit/v1/search",
            r#"{"query":"","order":"up"}"#,
            "NotEnumMember",
            "/order",
        ),
        (
            "/audit/v1/search",
            r#"{"query":"","end":"later"}"#,
            "BadFormatDateTime",
            "/end",
        ),
        (
            "/audit/v1/search",
            r#"{"query":"colour:red"}"#,
            "BadFormat",
            "/query",
        ),
        (
            "/audit/v1/search",
            r#"{"query":"","search_restriction":{"actor":"a"}}"#,
            "InvalidArray",
            "/search_restriction/actor",
        ),
        ("/audit/v1/results", r#"{"id":"pas_x"}"#, "BadFormat", "/id"),
        (
            "/audit/v1/results",
            r#"{"id":"pas_x","offset":-1}"#,
            "NotWithinRange",
            "/offset",
        ),
        (
            "/audit/v1/root",
            r#"{"tree_size":0}"#,
            "NotWithinRange",
            "/tree_size",
        ),
        (
            "/audit/v1/export",
            r#"{"format":"pdf"}"#,
            "NotEnumMember",
            "/format",
        ),
        (
            "/audit/v1/export",
            r#"{"order_by":"colour"}"#,
            "NotEnumMember",
            "/order_by",
        ),
        (
            "/audit/v1/download_results",
            "{}",
            "MustProvideOne",
            "/result_id",
        ),
        (
            "/audit/v1/download_results",
            r#"{"result_id":"a","request_id":"b"}"#,
            "MutuallyExclusive",
            "/request_id",
        ),
    ] {
        let answer = site.post(path, "o", body.to_owned()).await;
        check_wrapper(&answer);
        let shown: String = body.chars().take(100).collect();
        assert_eq!(
            status(&answer),
            (400, "ValidationError"),
            "{path} {shown}: {}",
            answer.body
        );
        let error = &answer.body["result"]["errors"][0];
        assert_eq!(error["code"], code, "{path} {shown}: {error}");
        assert_eq!(error["source"], source, "{path} {shown}: {error}");
        assert!(!error["detail"].as_str().unwrap().is_empty());
    }
    let huge = vec![b' '; 9 * 1024 * 1024];
    let answer = site.post("/audit/v1/log", "o", huge).await;
    assert_eq!(status(&answer), (413, "ValidationError"));
    for (path, expected) in [
        ("/audit/v1/root", (404, "TreeNotFound")),
        ("/audit/v1/nothing", (404, "NotFound")),
        ("/audit/v1/config", (404, "NotFound")),
    ] {
        let answer = site.post(path, "o", "{}").await;
        check_wrapper(&answer);
        assert_eq!(status(&answer), expected, "{path}");
        assert_eq!(answer.body["result"], Value::Null);
    }
    let answer = site
        .get(&format!("/audit/request/prq_{}", "a".repeat(32)), "o")
        .await;
    assert_eq!(status(&answer), (404, "NotFound"));
    let answer = site.get("/audit/v1/log", "o").await;
    assert_eq!(status(&answer), (404, "NotFound"));
    assert_eq!(site.size(), 0);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_for_later_goes() {
    let site = Site::start(&all_tokens()).await;
    let events =
        r#"{"events":[{"event":{"message":"a"}},{"event":{"message":"b"}}],"verbose":true}"#;
    let accepted = site.post("/audit/v2/log_async", "o", events).await;
    check_wrapper(&accepted);
    assert_eq!(status(&accepted), (202, "Accepted"));
    let id = accepted.body["request_id"].as_str().unwrap().to_owned();
    let request = format!("/audit/request/{id}");
    let location = accepted.body["result"]["location"].as_str().unwrap();
    assert!(location.ends_with(&request));
    let done = site.get(&request, "r").await;
    assert_eq!(status(&done), (200, "Success"));
    assert_eq!(done.body["request_id"], id);
    assert_eq!(
        done.body["result"]["results"][1]["envelope"]["event"]["message"],
        "b"
    );

    let found = site
        .post("/audit/v1/search", "r", r#"{"query":"","limit":1}"#)
        .await;
    assert_eq!(found.body["result"]["count"], 2);
    let result = found.body["result"]["id"].as_str().unwrap().to_owned();
    let page = json!({"id": result, "offset": 1, "limit": 5}).to_string();
    let more = site.post("/audit/v1/results", "r", page.clone()).await;
    assert_eq!(
        more.body["result"]["events"][0]["envelope"]["event"]["message"],
        "a"
    );
    let beyond = json!({"id": result, "offset": 3}).to_string();
    let beyond = site.post("/audit/v1/results", "r", beyond).await;
    assert_eq!(status(&beyond), (400, "BadOffset"));
    // What comes later is not in a result that was frozen before.
    site.post("/audit/v1/log", "o", LOG).await;
    let again = site.post("/audit/v1/results", "r", page.clone()).await;
    assert_eq!(again.body["result"]["count"], 2);

    let offer = json!({"result_id": result, "format": "json"}).to_string();
    let offered = site
        .post("/audit/v1/download_results", "r", offer.clone())
        .await;
    let download = offered.body["result"]["dest_url"]
        .as_str()
        .unwrap()
        .to_owned();
    let file: Value = site
        .http
        .get(&download)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(file.as_array().unwrap().len(), 2);

    site.clock.store(NOW + HOUR + 1_000, Ordering::SeqCst);
    for (path, body) in [
        ("/audit/v1/results", page),
        ("/audit/v1/download_results", offer),
    ] {
        let expired = site.post(path, "r", body).await;
        assert_eq!(status(&expired), (404, "NotFound"), "{path}");
    }
    let gone = site.http.get(&download).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::GONE);
    assert_eq!(status(&site.get(&request, "r").await), (200, "Success"));
    site.clock.store(NOW + 25 * HOUR, Ordering::SeqCst);
    assert_eq!(status(&site.get(&request, "r").await), (404, "NotFound"));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_event_is_told_as_such() {
    let site = Site::start(&all_tokens()).await;
    site.post("/audit/v1/log", "o", r#"{"event":{"message":"secret"}}"#)
        .await;
    site.ledger.erase(0, "asked to", "operator").unwrap();
    let found = site
        .post("/audit/v1/search", "r", r#"{"query":"","order":"asc"}"#)
        .await;
    assert_eq!(status(&found), (200, "Success"));
    let event = &found.body["result"]["events"][0];
    let message = event["envelope"]["event"]["message"].as_str().unwrap();
    assert!(
        message.contains("asked to") && !message.contains("secret"),
        "{event}"
    );
    // There is nothing left that a client could hash.
    assert_eq!(event.get("hash"), None);
    site.stop().await;
}

#[tokio::test]
async fn what_was_written_is_found_at_once() {
    let site = Site::start_with(&all_tokens(), |config| config.index_interval_ms = 60_000).await;
    for number in 0..3 {
        let written = json!({"event": {"message": format!("unique{number}")}}).to_string();
        let written = site.post("/audit/v1/log", "w", written).await;
        assert_eq!(written.status, StatusCode::OK);
        let search = json!({"query": format!("message:unique{number}")}).to_string();
        let found = site.post("/audit/v1/search", "r", search).await;
        assert_eq!(found.body["result"]["count"], 1, "{}", found.body);
    }
    // However Pangea's clients ask for everything.
    for query in [r#"message:"""#, ""] {
        let search = json!({"query": query}).to_string();
        let found = site.post("/audit/v1/search", "r", search).await;
        assert_eq!(found.body["result"]["count"], 3, "{query}: {}", found.body);
    }
    site.stop().await;
}

#[tokio::test]
async fn nothing_looks_tampered_with_that_was_not() {
    let publication = fieldledger_ledger::Publication {
        interval_ms: 60_000,
        entries: 1,
    };
    let site = Site::start_with(&all_tokens(), |config| {
        config.publication = Some(publication);
    })
    .await;
    let event = r#"{"event":{"message":"m"}}"#;
    site.post("/audit/v1/log", "w", event).await;
    let started = std::time::Instant::now();
    let root = loop {
        let root = site.post("/audit/v1/root", "r", r#"{"tree_size":1}"#).await;
        if root.status == StatusCode::OK {
            break root;
        }
        assert!(started.elapsed().as_secs() < 60, "{}", root.body);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    // The first root continues none.
    let data = &root.body["result"]["data"];
    assert!(
        data["root_hash"].is_string() && data.get("consistency_proof").is_none(),
        "{data}"
    );
    for (verbose, with_leaf) in [(false, false), (true, true)] {
        let search = json!({"query": "", "verbose": verbose}).to_string();
        let found = site.post("/audit/v1/search", "r", search).await;
        let id = &found.body["result"]["id"];
        let page = site
            .post("/audit/v1/results", "r", json!({"id": id}).to_string())
            .await;
        let events = page.body["result"]["events"].as_array().unwrap();
        let published = events
            .iter()
            .find(|event| event["published"] == true)
            .unwrap();
        assert_eq!(
            published.get("leaf_index").is_some(),
            with_leaf,
            "{published}"
        );
        assert_eq!(page.body["result"].get("root").is_some(), with_leaf);
    }
    site.stop().await;
}
