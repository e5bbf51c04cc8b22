//! Every route, asked over HTTP as the component is, with a backend that answers from memory.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use fieldledger_api::{BODY_LIMIT, LOG_ENDED, Parts, Scope, Tokens, openapi, router};
use fieldledger_chance::proptest_config;
use fieldledger_contract::audit::Order;
use fieldledger_contract::field::DeadLetter;
use fieldledger_contract::ledger::{
    ArchiveStatus, AsWitness, Bucket, ClockProblem, GapQuery, GapState, OwnWitnesses, Series,
    WatchedLog, WitnessState, Witnessing,
};
use fieldledger_contract::{Error, WallTime};
use fieldledger_fake_parts::{COSIGNED, ENVELOPE, Fake, NOW, SENSOR, SILENT_SENSOR, checkpoint};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::ServiceExt;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// The problem's fields, having checked that this is a whole one.
    fn problem_fields(&self, status: u16, instance: &str) -> Vec<String> {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["title"], self.status.canonical_reason().unwrap());
        assert_eq!(problem["instance"], instance);
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        let errors = problem["errors"].as_array().unwrap();
        errors
            .iter()
            .map(|error| {
                assert!(!error["problem"].as_str().unwrap().is_empty());
                error["field"].as_str().unwrap().to_owned()
            })
            .collect()
    }
}

async fn send(backend: &Arc<Fake>, request: Request<Body>) -> Answer {
    let response = router(Parts::of(backend)).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

async fn get(backend: &Arc<Fake>, uri: &str) -> Answer {
    send(backend, Request::get(uri).body(Body::empty()).unwrap()).await
}

async fn post(backend: &Arc<Fake>, uri: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(uri)
        .header("content-type", "application/json; charset=utf-8")
        .body(body.into())
        .unwrap();
    send(backend, request).await
}

fn fake() -> Arc<Fake> {
    Arc::new(Fake::default())
}

#[tokio::test]
async fn a_search_without_parameters_has_the_defaults_and_the_whole_wrapper() {
    let backend = fake();
    let answer = post(&backend, "/api/logs", "{}").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store");

    let query = backend.searched.lock()[0].clone();
    assert_eq!((query.limit, query.max_results), (20, 10_000));
    assert!(query.order == Order::Descending && !query.verbose);
    assert_eq!((query.query.as_str(), query.start), ("", None));

    let body = answer.json();
    assert_eq!(body["status"], "Success");
    assert_eq!(body["request_time"], "2026-01-02T03:04:05.000006Z");
    let request_id = body["request_id"].as_str().unwrap();
    assert_eq!(request_id.len(), 36);
    assert!(request_id.starts_with("prq_"));
    let result = &body["result"];
    assert_eq!(result["count"], 3);
    assert_eq!(result["id"], "result-1");
    assert_eq!(result["expires_at"], "2026-01-02T03:05:05.000006Z");
    assert_eq!(result["root"]["tree_name"], "test/log");
    assert_eq!(result["root"]["size"], 3);
    let event = &result["events"][0];
    assert_eq!(event["leaf_index"], 2);
    assert_eq!(event["hash"], "aGFzaA==");
    assert!(event.get("leaf").is_none() && event.get("inclusion_proof").is_none());
    assert!(
        answer.body.contains(ENVELOPE),
        "the hashed text passes unchanged"
    );
}

#[tokio::test]
async fn a_search_passes_every_parameter_on() {
    let backend = fake();
    let body = json!({
        "start": "7d", "end": 1_767_323_045_000_i64, "limit": 5, "max_results": 50, "order": "asc",
        "order_by": "actor", "query": "action:SENSOR_READING", "verbose": true,
        "search_restriction": {"source": ["a", "b"]},
    });
    let answer = post(&backend, "/api/logs", body.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let query = backend.searched.lock()[0].clone();
    // One meaning of a time, whoever answers.
    assert_eq!(query.start.as_deref(), Some("2025-12-26T03:04:05.000006Z"));
    assert_eq!(query.end.as_deref(), Some("2026-01-02T03:04:05.000000Z"));
    assert_eq!((query.limit, query.max_results), (5, 50));
    assert!(query.order == Order::Ascending && query.verbose);
    assert_eq!(query.order_by.as_deref(), Some("actor"));
    let allowed = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(query.restriction, vec![("source".to_owned(), allowed)]);
    let event = &answer.json()["result"]["events"][0];
    assert_eq!(event["leaf"], "bGVhZg==");
    assert_eq!(event["inclusion_proof"], json!(["cGF0aA=="]));
}

#[tokio::test]
async fn bad_times_of_a_search_are_named() {
    let backend = fake();
    for (body, field) in [
        (json!({"start": 0}), "start"),
        (json!({"start": 1_767_323_045}), "start"),
        (json!({"start": "1767323045"}), "start"),
        (json!({"end": "soon"}), "end"),
        (json!({"start": "1h", "end": "2h"}), "start"),
        (json!({"start": "now", "end": "now"}), "start"),
    ] {
        let answer = post(&backend, "/api/logs", body.to_string()).await;
        assert_eq!(answer.problem_fields(400, "/api/logs"), [field], "{body}");
    }
    let answer = post(&backend, "/api/logs", r#"{"start":1767323045}"#).await;
    let problem = &answer.json()["errors"][0]["problem"];
    let problem = problem.as_str().unwrap_or_default();
    assert!(problem.contains("looks like seconds"), "{problem}");
    assert!(problem.contains("1767323045000"), "{problem}");
    assert!(backend.searched.lock().is_empty());
}

#[tokio::test]
async fn a_page_of_an_earlier_search() {
    let backend = fake();
    let body = r#"{"id":"result-1","offset":20,"limit":7}"#;
    let answer = post(&backend, "/api/results", body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let paged = backend.paged.lock().clone();
    assert_eq!(paged, vec![("result-1".to_owned(), 20, 7)]);

    let answer = post(&backend, "/api/results", r#"{"id":"x","limit":0}"#).await;
    assert_eq!(answer.problem_fields(400, "/api/results"), ["limit"]);
    let answer = post(&backend, "/api/results", "{}").await;
    assert_eq!(answer.problem_fields(422, "/api/results"), ["body"]);
}

#[tokio::test]
async fn bad_bodies_say_where() {
    let backend = fake();
    for (body, status, field) in [
        ("", 400, "body"),
        ("{\n \"limit\": 5,\n}", 400, "body"),
        ("{} {}", 400, "body"),
        ("\u{0}", 400, "body"),
        ("[]", 422, "body"),
        ("{\"limit\": \"five\"}", 422, "limit"),
        ("{\"limit\": -1}", 422, "limit"),
        ("{\"limit\": 99999999999999999999}", 422, "limit"),
        ("{\"limit\": 1e99}", 422, "limit"),
        ("{\"order\": \"up\"}", 422, "order"),
        ("{\"start\": true}", 422, "start"),
        (
            "{\"search_restriction\": {\"source\": [1]}}",
            422,
            "search_restriction.source[0]",
        ),
        ("{\"limits\": 5}", 422, "limits"),
        ("{\"limit\": 0}", 400, "limit"),
        ("{\"limit\": 1001}", 400, "limit"),
        ("{\"max_results\": 10001}", 400, "max_results"),
        ("{\"end\": 9223372036854775807}", 400, "end"),
    ] {
        let answer = post(&backend, "/api/logs", body).await;
        assert_eq!(
            answer.problem_fields(status, "/api/logs"),
            [field],
            "{body}"
        );
    }
    let answer = post(&backend, "/api/logs", "{\n \"limit\": 5,\n}").await;
    assert!(answer.body.contains("line 3, column 1"), "{}", answer.body);
    let answer = post(&backend, "/api/logs", vec![b'"', 0xff, b'"']).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let answer = post(&backend, "/api/logs", r#"{"limit":0,"max_results":0}"#).await;
    let fields = answer.problem_fields(400, "/api/logs");
    assert_eq!(fields, ["limit", "max_results"]);
    assert!(backend.searched.lock().is_empty());
}

#[tokio::test]
async fn bodies_have_a_limit_and_a_type() {
    let backend = fake();
    let padding = " ".repeat(BODY_LIMIT - 2);
    let answer = post(&backend, "/api/logs", format!("{{}}{padding}")).await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = post(&backend, "/api/logs", format!("{{}}{padding} ")).await;
    answer.problem_fields(413, "/api/logs");

    for content_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let request = Request::post("/api/logs")
            .header("content-type", content_type)
            .body(Body::from("{}"))
            .unwrap();
        let answer = send(&backend, request).await;
        answer.problem_fields(415, "/api/logs");
    }
    let request = Request::post("/api/logs").body(Body::from("{}")).unwrap();
    send(&backend, request)
        .await
        .problem_fields(415, "/api/logs");
}

#[tokio::test]
async fn hostile_text_in_a_body_is_not_repeated_at_length() {
    let backend = fake();
    let body = format!("{{\"{}\": 1}}", "x".repeat(60_000));
    let answer = post(&backend, "/api/logs", body).await;
    answer.problem_fields(422, "/api/logs");
    assert!(answer.body.len() < 2_000, "{} bytes", answer.body.len());
    let nested = "[".repeat(60_000);
    let answer = post(&backend, "/api/logs", nested).await;
    assert!(answer.status.is_client_error());
}

#[tokio::test]
async fn sensors_come_with_their_newest_reading_in_two_calls() {
    let backend = fake();
    let answer = get(&backend, "/api/sensors").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let body = answer.json();
    let sensors = body["sensors"].as_array().unwrap();
    assert_eq!(sensors.len(), 2);
    assert_eq!(sensors[0]["id"], SENSOR);
    assert_eq!(sensors[0]["liveness"], "stale");
    assert_eq!(sensors[0]["last_heartbeat"], "2026-01-02T03:04:05.000006Z");
    assert_eq!(sensors[0]["last_poll"], Value::Null);
    assert_eq!(sensors[0]["latest"]["value"], 21.5);
    assert_eq!(sensors[0]["latest"]["quality"], "Good");
    assert_eq!(sensors[1]["latest"], Value::Null);
    assert!(body.get("next_offset").is_none());
    let asked = backend.latest_asked.lock().clone();
    assert_eq!(
        asked,
        vec![vec![SENSOR.to_owned(), SILENT_SENSOR.to_owned()]]
    );
}

#[tokio::test]
async fn sensors_are_paged() {
    let backend = fake();
    let body = get(&backend, "/api/sensors?limit=1").await.json();
    assert_eq!(body["next_offset"], 1);
    let body = get(&backend, "/api/sensors?offset=1&limit=1").await.json();
    assert_eq!(body["sensors"][0]["id"], SILENT_SENSOR);
    let asked_before = backend.latest_asked.lock().len();
    let answer = get(&backend, "/api/sensors?offset=2147483647").await;
    assert_eq!(answer.json()["sensors"], json!([]));
    let asked = backend.latest_asked.lock().len();
    assert_eq!(asked, asked_before, "an empty list would mean every sensor");
}

#[tokio::test]
async fn bad_query_parameters_are_named() {
    let backend = fake();
    for (query, fields) in [
        ("limit=0", vec!["limit"]),
        ("limit=-1", vec!["limit"]),
        ("limit=10001", vec!["limit"]),
        ("limit=", vec!["limit"]),
        (
            "limit=99999999999999999999999999&offset=x",
            vec!["offset", "limit"],
        ),
        ("offset=4294967296", vec!["offset"]),
        ("limt=5", vec!["query"]),
        ("limit=5&limit=6", vec!["query"]),
        ("limit=%ff", vec!["limit"]),
    ] {
        let answer = get(&backend, &format!("/api/sensors?{query}")).await;
        assert_eq!(
            answer.problem_fields(400, "/api/sensors"),
            fields,
            "{query}"
        );
    }
    for uri in [
        "/api/checkpoint?x=1",
        "/api/proof/1?x=1",
        &format!("/api/sensors/{SENSOR}?x=1"),
    ] {
        let answer = get(&backend, uri).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{uri}");
    }
}

#[tokio::test]
async fn one_sensor() {
    let backend = fake();
    let upper_case = SENSOR.to_uppercase();
    let answer = get(&backend, &format!("/api/sensors/{upper_case}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.json()["id"], SENSOR);
    assert_eq!(answer.json()["latest"]["index"], 2);

    let path = format!("/api/sensors/{SILENT_SENSOR}");
    get(&backend, &path).await.problem_fields(404, &path);
    for bad in ["5", "-", "%27%20OR%201=1", "..%2f..%2fetc%2fpasswd"] {
        let path = format!("/api/sensors/{bad}");
        let answer = get(&backend, &path).await;
        assert_eq!(answer.problem_fields(400, &path), ["id"]);
    }
    let answer = get(&backend, "/api/sensors/%ff").await;
    assert_eq!(answer.problem_fields(400, "/api/sensors/%ff"), ["path"]);
}

#[tokio::test]
async fn readings_of_the_last_hour_by_default() {
    let backend = fake();
    let answer = get(&backend, &format!("/api/readings?sensor={SENSOR}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let body = answer.json();
    assert_eq!(body["to"], "2026-01-02T03:04:05.000006Z");
    assert_eq!(body["from"], "2026-01-02T02:04:05.000006Z");
    assert_eq!(body["readings"][0]["value"], 21.5);
    assert_eq!(body["readings"][0]["digits"], "21.50");
    assert!(answer.body.contains(r#""value":21.50,"#), "{}", answer.body);
    assert!(body.get("buckets").is_none());
    let asked = backend.series_asked.lock().clone();
    let hour_ago = WallTime::from_micros(NOW.micros - 3_600_000_000);
    assert_eq!(asked, vec![(SENSOR.to_owned(), hour_ago, NOW, 500)]);
}

#[tokio::test]
async fn readings_summed_up() {
    let backend = Arc::new(Fake {
        series: Some(Series::Buckets(vec![Bucket {
            start: NOW,
            end: NOW,
            unit: String::new(),
            count: 4,
            good: 1,
            uncertain: 0,
            bad: 3,
            min: Some("9007199254740993".to_owned()),
            max: Some("NaN".to_owned()),
            mean: Some(f64::NAN),
            last: None,
        }])),
        ..Fake::default()
    });
    let uri = format!("/api/readings?sensor={SENSOR}&from=15m&to=1767323045000&limit=10000");
    let answer = get(&backend, &uri).await;
    let body = answer.json();
    assert!(body.get("readings").is_none());
    let bucket = &body["buckets"][0];
    assert_eq!(bucket["count"], 4);
    assert_eq!(
        (&bucket["max"], &bucket["mean"]),
        (&Value::Null, &Value::Null)
    );
    assert!(
        answer.body.contains(r#""min":9007199254740993,"#),
        "{}",
        answer.body
    );
    assert_eq!(bucket["digits"]["min"], "9007199254740993");
    let asked = backend.series_asked.lock().clone();
    assert_eq!(asked[0].1, WallTime::from_micros(NOW.micros - 900_000_000));
    assert_eq!(asked[0].2, WallTime::from_micros(1_767_323_045_000_000));
    assert_eq!(asked[0].3, 10_000);
}

#[tokio::test]
async fn refusals_are_listed() {
    let backend = fake();
    let body = get(&backend, "/api/refusals").await.json();
    assert_eq!(body["refusals"].as_array().unwrap().len(), 2);
    let uri = format!("/api/refusals?sensor={SENSOR}&limit=5");
    let body = get(&backend, &uri).await.json();
    let found = &body["refusals"][0];
    assert_eq!(
        (found["kind"].as_str(), found["count"].as_u64()),
        (Some("answer"), Some(3))
    );
    assert_eq!(found["site"], "main");
    assert_eq!(found["last_at"], "2026-01-02T03:04:05.000006Z");
    for (query, field) in [
        ("sensor=x", "sensor"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
    ] {
        let answer = get(&backend, &format!("/api/refusals?{query}")).await;
        assert_eq!(
            answer.problem_fields(400, "/api/refusals"),
            [field],
            "{query}"
        );
    }
}

#[tokio::test]
async fn gaps_are_listed() {
    let backend = fake();
    let uri = format!("/api/gaps?sensor={SENSOR}&state=open&from=1h&limit=5&cursor=9");
    let answer = get(&backend, &uri).await;
    let body = answer.json();
    assert_eq!((answer.status, &body["next"]), (StatusCode::OK, &json!(7)));
    assert_eq!(body["gaps"][0]["missing"], 3);
    assert_eq!(body["gaps"][0]["ranges"][0]["last"], 5);
    assert_eq!(body["gaps"][0]["end"], "2026-01-02T03:04:04.000006Z");
    assert_eq!(body["totals"]["open"], 1);
    let asked = GapQuery {
        sensor: Some(SENSOR.to_owned()),
        start: Some(WallTime::from_micros(NOW.micros - 3_600_000_000)),
        end: None,
        state: Some(GapState::Open),
        limit: 5,
        cursor: Some(9),
    };
    assert_eq!(*backend.gaps_asked.lock(), [asked]);
}

#[tokio::test]
async fn a_gap_is_closed_with_a_reason_by_an_administrator() {
    let tokens = [("admin", Scope::Admin, "a"), ("writer", Scope::Write, "w")];
    let tokens = tokens.map(|(name, scope, secret)| Tokens::setting(name, &[scope], secret));
    let backend = Arc::new(Fake {
        tokens: Tokens::parse(&tokens.join(" ")).unwrap(),
        ..Fake::default()
    });
    let close = async |gap: &str, token: Option<&str>, body: Value| {
        let uri = format!("/api/gaps/{gap}/close");
        let mut request = Request::post(&uri).header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        send(&backend, request).await
    };
    let why = || json!({"reason": "the radio was off"});
    for (gap, token, body, status) in [
        ("7", None, why(), 401),
        ("7", Some("w"), why(), 403),
        ("8", Some("a"), why(), 404),
        ("x", Some("a"), why(), 400),
        ("7", Some("a"), json!({}), 422),
    ] {
        let answer = close(gap, token, body).await;
        assert_eq!(answer.status.as_u16(), status, "{gap}: {}", answer.body);
    }
    assert!(backend.changes.lock().is_empty());
    let body = close("7", Some("a"), why()).await.json();
    assert_eq!(
        (&body["state"], &body["closed_by"]),
        (&json!("closed"), &json!("admin"))
    );
    let changes = backend.changes.lock().clone();
    assert_eq!(changes, ["close gap 7: the radio was off, admin"]);
}

#[tokio::test]
async fn bad_questions_about_gaps() {
    let backend = fake();
    for (query, field) in [
        ("sensor=x", "sensor"),
        ("state=lost", "state"),
        ("from=yesterday", "from"),
        ("from=1h&to=2h", "from"),
        ("from=1767323045", "from"),
        ("to=", "to"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("cursor=-1", "cursor"),
        ("cursor=18446744073709551616", "cursor"),
        ("color=red", "query"),
        ("state=open&state=open", "query"),
    ] {
        let answer = get(&backend, &format!("/api/gaps?{query}")).await;
        assert_eq!(answer.problem_fields(400, "/api/gaps"), [field], "{query}");
    }
    assert!(backend.gaps_asked.lock().is_empty());
}

#[tokio::test]
async fn bad_spans_of_readings() {
    let backend = fake();
    for (query, fields) in [
        ("", vec!["sensor"]),
        ("sensor=%3Cscript%3E", vec!["sensor"]),
        ("from=yesterday&limit=0", vec!["sensor", "limit", "from"]),
        (&format!("sensor={SENSOR}&from=0s"), vec!["from"]),
        (&format!("sensor={SENSOR}&from=1767323045"), vec!["from"]),
        (&format!("sensor={SENSOR}&to=1970-01-01"), vec!["from"]),
        (&format!("sensor={SENSOR}&from=1m&to=2m"), vec!["from"]),
        (
            &format!("sensor={SENSOR}&to=99999999999999999999"),
            vec!["to"],
        ),
        (&format!("sensor={SENSOR}&to=9999999999999999"), vec!["to"]),
    ] {
        let answer = get(&backend, &format!("/api/readings?{query}")).await;
        assert_eq!(
            answer.problem_fields(400, "/api/readings"),
            fields,
            "{query}"
        );
    }
    assert!(backend.series_asked.lock().is_empty());
}

#[tokio::test]
async fn entries_come_in_the_order_of_the_log() {
    let backend = fake();
    let answer = get(&backend, "/api/entries?from=1&limit=2").await;
    assert_eq!(answer.status, 200);
    let range = answer.json();
    let entries = range["entries"].as_array().unwrap();
    let indices: Vec<&Value> = entries.iter().map(|entry| &entry["leaf_index"]).collect();
    assert_eq!(indices, [1, 2]);
    assert!(entries[0]["leaf"].is_string() && entries[0].get("inclusion_proof").is_none());
    assert_eq!(range["root"]["size"], 3);

    let proven = get(&backend, "/api/entries?proofs=true").await;
    assert_eq!(
        proven.json()["entries"][2]["inclusion_proof"],
        json!(["cGF0aA=="])
    );
    let beyond = get(&backend, "/api/entries?from=9223372036854775807").await;
    assert_eq!(beyond.json()["entries"], json!([]));

    for (bad, field) in [
        ("from=-1", "from"),
        ("from=x", "from"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("proofs=1", "proofs"),
    ] {
        let path = format!("/api/entries?{bad}");
        let fields = get(&backend, &path)
            .await
            .problem_fields(400, "/api/entries");
        assert_eq!(fields, [field], "{bad}");
    }
}

#[tokio::test]
async fn a_proof_has_all_that_a_verifier_needs() {
    let backend = fake();
    let answer = get(&backend, "/api/proof/2").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let checkpoint = checkpoint();
    assert_eq!(
        answer.json(),
        json!({
            "index": 2,
            "tree_size": 3,
            "leaf": "bGVhZg==",
            "envelope": ENVELOPE,
            "envelope_hash": "aGFzaA==",
            "inclusion_proof": ["cGF0aA=="],
            "checkpoint": checkpoint.note,
            "verifier_key": checkpoint.verifier_key,
            "verifier_keys": checkpoint.verifier_keys,
        })
    );
    get(&backend, "/api/proof/3")
        .await
        .problem_fields(404, "/api/proof/3");
    for bad in ["-1", "x", "1.5", "18446744073709551616", "%00", "0x10"] {
        let path = format!("/api/proof/{bad}");
        let answer = get(&backend, &path).await;
        assert_eq!(answer.problem_fields(400, &path), ["entry"]);
    }
}

#[tokio::test]
async fn the_checkpoint_as_json_or_as_the_note_alone() {
    let backend = fake();
    let answer = get(&backend, "/api/checkpoint").await;
    assert_eq!(answer.json()["tree_size"], 3);
    assert_eq!(answer.json()["note"], checkpoint().note);
    for (accept, text) in [
        ("text/plain", true),
        ("text/plain;q=0.9, */*;q=0.1", true),
        ("application/json, text/plain;q=0.5", false),
        ("text/html,*/*", false),
        ("text/plain;q=nonsense", false),
    ] {
        let request = Request::get("/api/checkpoint")
            .header("accept", accept)
            .body(Body::empty())
            .unwrap();
        let answer = send(&backend, request).await;
        assert_eq!(answer.body == checkpoint().note, text, "{accept}");
        assert_eq!(answer.header("vary"), "accept");
        let is_text = answer.header("content-type").starts_with("text/plain");
        assert_eq!(is_text, text);
    }
}

#[tokio::test]
async fn health_names_what_does_not_answer() {
    let answer = get(&fake(), "/healthz").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["status"], "ok");
    assert_eq!(answer.json()["sensors_stale"], 2);
    assert_eq!(answer.json()["witnesses"], "no witnesses are configured");

    let down = || Some(Error::Unavailable("no one listens".to_owned()));
    for (ledger_fails, polling_fails, parts) in [
        (down(), None, vec!["ledger"]),
        (None, down(), vec!["polling"]),
        (down(), down(), vec!["ledger", "polling"]),
    ] {
        let backend = Arc::new(Fake {
            ledger_fails,
            polling_fails,
            ..Fake::default()
        });
        let answer = get(&backend, "/healthz").await;
        assert_eq!(answer.problem_fields(503, "/healthz"), parts);
        assert_eq!(answer.header("retry-after"), "2");
        assert!(answer.body.contains("no one listens"));
    }
}

fn witnessing() -> Witnessing {
    Witnessing {
        own: Some(OwnWitnesses {
            behaviour: "hold".to_owned(),
            tree_size: 9,
            published_size: Some(7),
            witnessed: false,
            witnessed_size: Some(7),
            witnesses: vec![WitnessState {
                name: "north".to_owned(),
                url: "http://north".to_owned(),
                cosigned_size: 7,
                lag: 2,
                failures: 3,
                last_error: "the witness cannot be reached: refused".to_owned(),
                ..WitnessState::default()
            }],
        }),
        as_witness: Some(AsWitness {
            key: "w+1+1".to_owned(),
            logs: vec![WatchedLog {
                origin: "south".to_owned(),
                size: 4,
                ..WatchedLog::default()
            }],
        }),
    }
}

#[tokio::test]
async fn witnesses_are_shown_wherever_somebody_looks() {
    let backend = Arc::new(Fake {
        witnessing: witnessing(),
        ..Fake::default()
    });
    let answer = get(&backend, "/api/log/witnesses").await;
    assert_eq!(answer.status, StatusCode::OK);
    let own = &answer.json()["own"];
    assert_eq!(
        (own["witnessed"].as_bool(), own["witnessed_size"].as_u64()),
        (Some(false), Some(7))
    );
    assert_eq!(own["witnesses"][0]["lag"], 2);
    assert_eq!(answer.json()["as_witness"]["logs"][0]["size"], 4);

    let health = get(&backend, "/healthz").await.json();
    let sentence = health["witnesses"].as_str().unwrap();
    assert!(
        sentence.contains("not witnessed") && sentence.contains("north"),
        "{sentence}"
    );

    let metrics = get(&backend, "/metrics").await.body;
    for sample in [
        "fieldledger_checkpoint_witnessed 0",
        "fieldledger_checkpoint_witnessed_size 7",
        "fieldledger_witness_lag_entries{witness=\"north\"} 2",
        "fieldledger_witness_failures{witness=\"north\"} 3",
        "fieldledger_watched_size{origin=\"south\"} 4",
    ] {
        assert!(metrics.contains(sample), "{sample} in {metrics}");
    }
    let nothing = get(&fake(), "/api/log/witnesses").await;
    assert_eq!(nothing.json(), json!({}));
}

#[tokio::test]
async fn a_witness_answers_in_its_own_form() {
    let backend = fake();
    let answer = post(&backend, "/witness/add-checkpoint", "old 7\n").await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(answer.header("content-type"), "text/x.tlog.size");
    assert_eq!(
        (answer.body.as_str(), answer.header("cache-control")),
        ("6\n", "no-store")
    );
    let answer = get(&backend, &format!("/witness/{COSIGNED}/checkpoint")).await;
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert!(answer.body.starts_with("test/log\n"));
    let unknown = "/witness/00/checkpoint";
    get(&backend, unknown).await.problem_fields(404, unknown);
    let long = vec![b'x'; BODY_LIMIT + 1];
    let answer = post(&backend, "/witness/add-checkpoint", long).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn the_status_tells_of_the_end_and_of_the_archive_where_there_are_any() {
    let status = get(&fake(), "/api/status").await.json();
    assert_eq!(
        (&status["tree_size"], &status["appended"]),
        (&json!(3), &json!(3))
    );
    for absent in ["ended", "index_problem", "archive"] {
        assert!(status.get(absent).is_none(), "{status}");
    }
    let backend = Arc::new(Fake {
        ended: Some("the log was frozen by entry 2 for ever: r".to_owned()),
        archive: Some(ArchiveStatus {
            segments: 4,
            entries: 90,
            bytes: 1_000,
            removed: 1,
            problem: "out of reach".to_owned(),
        }),
        ..Fake::default()
    });
    let status = get(&backend, "/api/status").await.json();
    assert_eq!(status["ended"], "the log was frozen by entry 2 for ever: r");
    let archive = json!({
        "segments": 4, "entries": 90, "bytes": 1_000, "removed": 1, "problem": "out of reach",
    });
    assert_eq!(status["archive"], archive);
    let metrics = get(&backend, "/metrics").await.body;
    for sample in [
        "fieldledger_ledger_ended 1",
        "fieldledger_archive_only_segments 1",
    ] {
        assert!(metrics.contains(sample), "{sample} in {metrics}");
    }
    let silent = Arc::new(Fake {
        ledger_fails: Some(Error::Unavailable("gone".to_owned())),
        ..Fake::default()
    });
    get(&silent, "/api/status")
        .await
        .problem_fields(503, "/api/status");
}

#[tokio::test]
async fn metrics_keep_what_is_left_when_a_part_is_down() {
    let answer = get(&fake(), "/metrics").await;
    assert_eq!(answer.status, StatusCode::OK);
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(answer.header("content-type"), content_type);
    assert!(answer.body.contains("\nfieldledger_ledger_tree_size 3\n"));
    assert!(
        answer
            .body
            .contains("\nfieldledger_ledger_appended_total 3\n")
    );
    assert!(
        answer
            .body
            .contains("\nfieldledger_sensors{liveness=\"stale\"} 2\n")
    );

    assert!(
        answer
            .body
            .contains("\nfieldledger_ledger_readings_missing 3\n")
    );

    let backend = Arc::new(Fake {
        ledger_fails: Some(Error::Unavailable(String::new())),
        ..Fake::default()
    });
    let answer = get(&backend, "/metrics").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.contains("fieldledger_up{part=\"ledger\"} 0\n"));
    assert!(answer.body.contains("fieldledger_up{part=\"polling\"} 1\n"));
    assert!(!answer.body.contains("fieldledger_ledger_tree_size"));
    assert!(answer.body.contains("fieldledger_polling_polls_total 10\n"));
}

#[tokio::test]
async fn each_error_of_the_log_has_its_status() {
    for (error, status, fields) in [
        (
            Error::invalid("query", "unclosed quote"),
            400,
            vec!["query"],
        ),
        (Error::NotFound("no such result".to_owned()), 404, vec![]),
        (Error::Expired("gone".to_owned()), 410, vec![]),
        (
            Error::Refused("no search in this sink".to_owned()),
            409,
            vec![],
        ),
        (Error::Unavailable("disk full".to_owned()), 503, vec![]),
    ] {
        let backend = Arc::new(Fake {
            ledger_fails: Some(error),
            ..Fake::default()
        });
        for (uri, body) in [("/api/logs", "{}"), ("/api/results", r#"{"id":"r"}"#)] {
            let answer = post(&backend, uri, body).await;
            assert_eq!(answer.problem_fields(status, uri), fields);
            let retry_after = if status == 503 { "2" } else { "" };
            assert_eq!(answer.header("retry-after"), retry_after);
        }
        let readings = format!("/api/readings?sensor={SENSOR}");
        let sensor = format!("/api/sensors/{SENSOR}");
        for uri in [
            "/api/sensors",
            &readings,
            &sensor,
            "/api/checkpoint",
            "/api/entries",
            "/api/proof/0",
        ] {
            assert_eq!(get(&backend, uri).await.status, status, "{uri}");
        }
    }
}

#[tokio::test]
async fn a_log_that_has_ended_says_so_to_whoever_would_change_it() {
    let backend = Arc::new(Fake {
        tokens: Tokens::parse(&Tokens::setting("all", &Scope::ALL, "a")).unwrap(),
        ledger_fails: Some(Error::Ended("frozen by entry 2".to_owned())),
        ..Fake::default()
    });
    let why = json!({"reason": "why"});
    let approval = json!({"sensor": SENSOR, "fingerprint": "SHA256:shown", "reason": "why"});
    for (uri, body) in [
        ("/api/log/rotate-key", &why),
        ("/api/log/retire-key", &why),
        ("/api/log/freeze", &why),
        ("/api/gaps/7/close", &why),
        ("/api/devices/approve", &approval),
    ] {
        let answer = authorized(&backend, uri, body).await;
        assert_eq!(answer.status, StatusCode::GONE, "{uri}: {}", answer.body);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.header("retry-after"), "");
        let problem = answer.json();
        assert_eq!(problem["type"], LOG_ENDED);
        assert_eq!(problem["detail"], "frozen by entry 2");
    }
    let event = json!({"event": {"message": "m"}});
    let events = json!({"events": [event]});
    for (uri, body) in [
        ("/audit/v1/log", &event),
        ("/audit/v2/log", &events),
        ("/audit/v2/log_async", &events),
    ] {
        let answer = authorized(&backend, uri, body).await;
        assert_eq!(answer.status, StatusCode::GONE, "{uri}: {}", answer.body);
        let answer = answer.json();
        assert_eq!(answer["status"], "Failed");
        assert_eq!(answer["summary"], "frozen by entry 2");
    }
    let described = openapi().to_string();
    assert!(described.contains(LOG_ENDED), "{described}");
}

async fn authorized(backend: &Arc<Fake>, uri: &str, body: &Value) -> Answer {
    let request = Request::post(uri)
        .header("content-type", "application/json")
        .header("authorization", "Bearer a")
        .body(Body::from(body.to_string()))
        .unwrap();
    send(backend, request).await
}

#[tokio::test]
async fn paused_deliveries_are_named_wherever_somebody_looks() {
    let backend = Arc::new(Fake {
        ended: Some("frozen by entry 2".to_owned()),
        ..Fake::default()
    });
    let answer = get(&backend, "/healthz").await;
    assert_eq!(answer.problem_fields(503, "/healthz"), ["delivery"]);
    let problem = answer.json();
    assert_eq!(
        problem["detail"],
        "deliveries are paused: the log takes no more events"
    );
    assert_eq!(
        problem["errors"][0]["problem"],
        "site main: frozen by entry 2"
    );
    let metrics = get(&backend, "/metrics").await.body;
    assert!(
        metrics.contains("\nfieldledger_site_delivery_paused{site=\"main\"} 1\n"),
        "{metrics}"
    );
    let metrics = get(&fake(), "/metrics").await.body;
    assert!(
        metrics.contains("\nfieldledger_site_delivery_paused{site=\"main\"} 0\n"),
        "{metrics}"
    );
    assert_eq!(get(&fake(), "/healthz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_restriction_is_named_as_the_request_names_it() {
    let backend = Arc::new(Fake {
        ledger_fails: Some(Error::invalid(
            "restriction[1]",
            "names no column of an event",
        )),
        ..Fake::default()
    });
    let answer = post(&backend, "/api/logs", "{}").await;
    let fields = answer.problem_fields(400, "/api/logs");
    assert_eq!(fields, ["search_restriction[1]"]);
}

#[tokio::test]
async fn everything_else_is_the_page() {
    let backend = fake();
    let answer = get(&backend, "/").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, "<!doctype html>");
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.header("etag"), "\"abc\"");
    assert_eq!(answer.header("cache-control"), "no-cache");

    for (if_none_match, status) in [
        ("\"abc\"", 304),
        ("\"x\", W/\"abc\"", 304),
        ("*", 304),
        ("\"abcd\"", 200),
        ("abc", 200),
    ] {
        let request = Request::get("/")
            .header("if-none-match", if_none_match)
            .body(Body::empty())
            .unwrap();
        let answer = send(&backend, request).await;
        assert_eq!(answer.status, status, "{if_none_match}");
        assert_eq!(answer.header("etag"), "\"abc\"");
        assert_eq!(answer.body.is_empty(), status == 304);
    }
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let backend = fake();
    for uri in ["/", "/api/sensors", "/nothing", "/metrics", "/api/nothing"] {
        let answer = get(&backend, uri).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'self';"), "{policy}");
    }
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_taken() {
    let backend = fake();
    for path in [
        "/nothing",
        "/api",
        "/api/",
        "/api/nothing",
        "/api/proof",
        "/log",
        "/log/nothing",
        "/log/tile/",
        "/%ff",
        "/..%2f",
        "//",
    ] {
        get(&backend, path).await.problem_fields(404, path);
    }
    for (method, path, allow) in [
        ("GET", "/api/logs", "POST"),
        ("DELETE", "/api/sensors", "GET,HEAD"),
        ("POST", "/", "GET, HEAD"),
        ("PUT", "/healthz", "GET,HEAD"),
        ("BREW", "/metrics", "GET,HEAD"),
    ] {
        let request = Request::builder().method(method).uri(path);
        let answer = send(&backend, request.body(Body::empty()).unwrap()).await;
        answer.problem_fields(405, path);
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let backend = fake();
    for uri in [
        "/",
        "/api/sensors",
        "/healthz",
        "/nothing",
        "/api/proof/x",
        "/log/tile/0/000.p/3",
    ] {
        let with_body = get(&backend, uri).await;
        let head = Request::head(uri).body(Body::empty()).unwrap();
        let answer = send(&backend, head).await;
        assert_eq!(answer.status, with_body.status, "{uri}");
        assert_eq!(answer.body, "", "{uri}");
        let content_type = answer.header("content-type");
        assert_eq!(content_type, with_body.header("content-type"), "{uri}");
    }
}

async fn change(backend: &Arc<Fake>, what: &str, token: Option<&str>, body: &Value) -> Answer {
    let mut request =
        Request::post(format!("/api/log/{what}")).header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    send(backend, request.body(Body::from(body.to_string())).unwrap()).await
}

fn letter(id: &str) -> DeadLetter {
    DeadLetter {
        id: id.to_owned(),
        stored_at: WallTime::from_micros(NOW.micros - 60_000_000),
        reason: "the reader traps".to_owned(),
        attempts: 3,
        results: 1,
        sensors: vec![SENSOR.to_owned()],
        bytes: 20,
        content: "{\"text\":[\"21.5\"]}".to_owned(),
    }
}

#[tokio::test]
async fn a_dead_letter_is_seen_wherever_somebody_looks() {
    let backend = fake();
    let health = get(&backend, "/healthz").await.json();
    assert_eq!(
        (&health["status"], &health["dead_letters"]),
        (&json!("ok"), &json!(0))
    );
    assert_eq!(get(&backend, "/api/dead-letters").await.json()["total"], 0);

    backend
        .dead_letters
        .lock()
        .extend([letter("main.7"), letter("main.9")]);
    let answer = get(&backend, "/healthz").await;
    assert_eq!(answer.status, StatusCode::OK);
    let health = answer.json();
    assert_eq!(
        (&health["status"], &health["dead_letters"]),
        (&json!("degraded"), &json!(2))
    );
    let oldest = letter("main.7").stored_at.to_string();
    assert_eq!(health["oldest_dead_letter"], oldest);
    let warning = health["warnings"][0].as_str().unwrap();
    assert!(
        warning.contains("2 dead letters") && warning.contains(&oldest),
        "{warning}"
    );
    let metrics = get(&backend, "/metrics").await.body;
    assert!(
        metrics.contains("\nfieldledger_dead_letters 2\n"),
        "{metrics}"
    );

    let list = get(&backend, "/api/dead-letters").await.json();
    assert_eq!(
        (&list["total"], &list["next_offset"]),
        (&json!(2), &Value::Null)
    );
    let first = &list["dead_letters"][0];
    assert_eq!(
        (&first["id"], &first["site"]),
        (&json!("main.7"), &json!("main"))
    );
    assert_eq!(first.get("content"), None);
    let page = get(&backend, "/api/dead-letters?limit=1").await.json();
    assert_eq!(page["next_offset"], 1);
    let page = get(&backend, "/api/dead-letters?offset=1&limit=1")
        .await
        .json();
    assert_eq!(
        (&page["dead_letters"][0]["id"], &page["next_offset"]),
        (&json!("main.9"), &Value::Null)
    );
    let shown = get(&backend, "/api/dead-letters/main.7?site=main")
        .await
        .json();
    assert_eq!(shown["content"], "{\"text\":[\"21.5\"]}");
    let unknown = get(&backend, "/api/dead-letters/main.8").await;
    unknown.problem_fields(404, "/api/dead-letters/main.8");
    let nowhere = get(&backend, "/api/dead-letters/main.7?site=south").await;
    nowhere.problem_fields(400, "/api/dead-letters/main.7");
}

#[tokio::test]
async fn a_clock_that_stepped_is_a_warning() {
    let backend = Arc::new(Fake {
        clock: Some(ClockProblem {
            since: NOW,
            offset_micros: -3_600_000_000,
            behind_micros: 61_500_000,
        }),
        ..Fake::default()
    });
    let health = get(&backend, "/healthz").await.json();
    assert_eq!(health["status"], "degraded");
    assert_eq!(
        health["warnings"][0],
        format!(
            "the server's clock is not to be believed since {NOW}: it stepped, and is 3600.0 s behind \
             where it was; it is 61.5 s behind the last entry"
        )
    );
    let metrics = get(&backend, "/metrics").await.body;
    assert!(
        metrics.contains("\nfieldledger_ledger_clock_stepped 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("\nfieldledger_ledger_clock_offset_seconds -3600\n"),
        "{metrics}"
    );
    let status = get(&backend, "/api/status").await.json();
    assert_eq!(status["clock"]["behind_micros"], 61_500_000);
    assert_eq!(get(&fake(), "/api/status").await.json().get("clock"), None);
}

#[tokio::test]
async fn deliveries_that_fail_for_long_are_a_warning() {
    let failing_for = |seconds: u64| {
        Arc::new(Fake {
            failing_since: Some(WallTime::from_micros(NOW.micros - seconds * 1_000_000)),
            ..Fake::default()
        })
    };
    let health = get(&failing_for(5), "/healthz").await.json();
    assert_eq!(health["status"], "ok");
    let health = get(&failing_for(60), "/healthz").await.json();
    assert_eq!(health["status"], "degraded");
    let warning = health["warnings"][0].as_str().unwrap();
    assert!(warning.contains("do not reach the log"), "{warning}");
}

#[tokio::test]
async fn dead_letters_are_decided_about_by_administrators_and_in_the_log() {
    let reader = Tokens::setting("reader", &[Scope::Read, Scope::Write], "r");
    let admin = Tokens::setting("officer", &[Scope::Admin], "a");
    let backend = Arc::new(Fake {
        tokens: Tokens::parse(&format!("{reader} {admin}")).unwrap(),
        ..Fake::default()
    });
    backend
        .dead_letters
        .lock()
        .extend([letter("main.7"), letter("main.9")]);
    let decide = async |what: &str, token: Option<&str>, body: Value| {
        let mut request = Request::builder()
            .method("POST")
            .uri(format!("/api/dead-letters/{what}"))
            .header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        send(
            &backend,
            request.body(Body::from(body.to_string())).unwrap(),
        )
        .await
    };
    let why = json!({"reason": "a tester's"});
    for (token, status) in [(None, 401), (Some("r"), 403)] {
        let answer = decide("main.7/drop", token, why.clone()).await;
        answer.problem_fields(status, "/api/dead-letters/main.7/drop");
    }
    for body in [
        json!({}),
        json!({"reason": " "}),
        json!({"reason": "x".repeat(1_001)}),
    ] {
        let answer = decide("main.7/drop", Some("a"), body).await;
        assert!(answer.status.is_client_error(), "{}", answer.body);
    }
    assert!(backend.written.lock().is_empty());
    assert_eq!(backend.dead_letters.lock().len(), 2);

    let dropped = decide("main.7/drop", Some("a"), why.clone()).await;
    assert_eq!(dropped.status, StatusCode::OK, "{}", dropped.body);
    assert_eq!(
        dropped.json(),
        json!({"site": "main", "id": "main.7", "entry": 2})
    );
    let retried = decide("main.9/retry", Some("a"), why).await;
    assert_eq!(retried.status, StatusCode::OK, "{}", retried.body);
    assert!(backend.dead_letters.lock().is_empty());
    let written = backend.written.lock();
    let told: Vec<[&str; 5]> = written
        .iter()
        .map(|events| {
            [
                events.action[0].as_str(),
                events.status[0].as_str(),
                events.target[0].as_str(),
                events.actor[0].as_str(),
                events.old[0].as_str(),
            ]
        })
        .collect();
    // What was dropped is in the log before it is gone.
    let content = letter("main.7").content;
    assert_eq!(
        told,
        [
            [
                "DEAD_LETTER_DROP",
                "REQUESTED",
                "main.7",
                "officer",
                content.as_str()
            ],
            ["DEAD_LETTER_DROP", "SUCCESS", "main.7", "officer", ""],
            ["DEAD_LETTER_RETRY", "REQUESTED", "main.9", "officer", ""],
            ["DEAD_LETTER_RETRY", "SUCCESS", "main.9", "officer", ""],
        ]
    );
    assert_eq!(
        written[0].message[0],
        "a tester's; it was put aside because: the reader traps"
    );
}

#[tokio::test]
async fn the_log_is_changed_by_administrators_alone() {
    let reader = Tokens::setting("reader", &[Scope::Read, Scope::Write], "r");
    let admin = Tokens::setting("the officer", &[Scope::Admin], "a").replace(' ', "-");
    let backend = Arc::new(Fake {
        tokens: Tokens::parse(&format!("{reader} {admin}")).unwrap(),
        ..Fake::default()
    });
    let changes = [
        ("erase", json!({"entry": 4, "reason": "why"})),
        ("rotate-key", json!({"reason": "why"})),
        ("retire-key", json!({"reason": "why"})),
        ("freeze", json!({"reason": "why"})),
        (
            "retain",
            json!({"before": "2026-01-02T03:04:05Z", "scope": "all", "reason": "why"}),
        ),
        (
            "freeze",
            json!({"reason": "why", "successor": {"origin": "next"}}),
        ),
    ];
    for (what, body) in &changes {
        let instance = format!("/api/log/{what}");
        let without = change(&fake(), what, Some("a"), body).await;
        without.problem_fields(401, &instance);
        for (token, status) in [(None, 401), (Some("guess"), 401), (Some("r"), 403)] {
            let answer = change(&backend, what, token, body).await;
            answer.problem_fields(status, &instance);
        }
    }
    assert!(backend.changes.lock().is_empty());
    for (what, body) in &changes {
        let answer = change(&backend, what, Some("a"), body).await;
        assert_eq!(answer.status, StatusCode::OK, "{what}: {}", answer.body);
    }
    let erased = change(&backend, "erase", Some("a"), &changes[0].1).await;
    assert_eq!(
        erased.json(),
        json!({"entry": 4, "marker": 9, "already": false})
    );
    // Who it was is the token's to say.
    assert_eq!(
        backend.changes.lock()[..6],
        [
            "erase 4: why, the-officer",
            "rotate: why, the-officer",
            "retire: why, the-officer",
            "freeze for none: why, the-officer",
            "retain All before 2026-01-02T03:04:05.000000Z: why, the-officer",
            "freeze for next: why, the-officer",
        ]
    );
    for (what, body) in [
        ("erase", json!({"entry": -1, "reason": "why"})),
        ("erase", json!({"entry": 1})),
        ("erase", json!({"entry": 1, "reason": "why", "actor": "me"})),
        (
            "retain",
            json!({"before": "30d", "scope": "some", "reason": "why"}),
        ),
        ("rotate-key", json!({})),
        ("freeze", json!({"reason": "why", "successor": "next"})),
    ] {
        let answer = change(&backend, what, Some("a"), &body).await;
        answer.problem_fields(422, &format!("/api/log/{what}"));
    }
    let unclear = json!({"before": "yesterday", "reason": "why"});
    let answer = change(&backend, "retain", Some("a"), &unclear).await;
    answer.problem_fields(400, "/api/log/retain");
    let refusing = Arc::new(Fake {
        tokens: backend.tokens.clone(),
        ledger_fails: Some(Error::Refused("frozen".to_owned())),
        ..Fake::default()
    });
    let answer = change(&refusing, "rotate-key", Some("a"), &changes[1].1).await;
    answer.problem_fields(409, "/api/log/rotate-key");
}

#[tokio::test]
async fn the_description_has_every_route_and_every_route_is_there() {
    let backend = fake();
    // The id that every path gets below.
    backend.dead_letters.lock().push(letter(SENSOR));
    let answer = get(&backend, "/api/openapi.json").await;
    assert_eq!(answer.status, StatusCode::OK);
    let description = answer.json();
    assert_eq!(description["info"]["title"], "Fieldledger");
    let paths = description["paths"].as_object().unwrap();
    for (path, operations) in paths {
        for method in operations.as_object().unwrap().keys() {
            let request = Request::builder()
                .method(method.to_uppercase().as_str())
                .uri(
                    path.replace("{id}", SENSOR)
                        .replace("{entry}", "0")
                        .replace("{origin}", COSIGNED)
                        .replace("{path}", "0/000.p/3")
                        .replace("/consistency", "/consistency?old=1"),
                )
                .header("content-type", "application/json");
            let answer = send(&backend, request.body(Body::from("{}")).unwrap()).await;
            let missing = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
            assert!(!missing.contains(&answer.status), "{method} {path}");
        }
    }

    // The other way round: axum has no list of its routes, but prints them. `/` and a private
    // wildcard are the fallback's, which serves the page.
    let printed = format!("{:?}", router(Parts::of(&backend)));
    let routes: Vec<&str> = printed
        .split('"')
        .filter(|text| text.starts_with('/') && *text != "/" && !text.contains("__private"))
        // Pangea describes its API itself.
        .filter(|text| !text.starts_with("/audit") && !text.starts_with("/arweave"))
        .collect();
    assert!(routes.len() == paths.len(), "{printed}");
    for route in routes {
        let described = route.replace("{*", "{");
        assert!(paths.contains_key(&described), "{route} is not described");
    }
}

#[test]
fn every_reference_in_the_description_leads_somewhere() {
    let text = openapi().to_string();
    let description: Value = serde_json::from_str(&text).unwrap();
    let mut references = 0;
    for part in text.split("\"#/").skip(1) {
        let pointer = format!("/{}", part.split('"').next().unwrap());
        assert!(description.pointer(&pointer).is_some(), "{pointer}");
        references += 1;
    }
    assert!(references > 20, "only {references} references");
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn any_path_and_query_is_answered(path in "/((api/(proof|sensors|readings|)|log/(tile|proof|payload|receipt|))/?)?[ -~]{0,20}") {
        let Ok(request) = Request::get(path.replace(' ', "%")).body(Body::empty()) else {
            return Ok(());
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = runtime.block_on(send(&fake(), request));
        prop_assert!(!answer.status.is_server_error());
    }

    #[test]
    fn any_body_is_answered(body in proptest::collection::vec(any::<u8>(), 0..64)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = runtime.block_on(post(&fake(), "/api/logs", body));
        prop_assert!(answer.status == 200 || answer.status.is_client_error());
    }
}
