//! The audit API with a Pangea-shaped HTTP service as its sink, here a small one of our own:
//! everything arrives there, and what it refuses for a while is not lost.
#![forbid(unsafe_code)]

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use fieldledger_e2e::{
    account::{self, Answer},
    plant::{PATIENCE, Plant, until},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

const TOKEN: &str = "pts_0123456789";

/// SHA-256 of nothing, in hexadecimal.
const SOME_HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_at_a_pangea_shaped_service() -> Result<()> {
    let service = Service::start().await?;
    let plant = Plant::start_with(|options| {
        options.set("audit-api", "sink", "pangea");
        options.set("audit-api", "pangea_url", &service.url);
        options.set("audit-api", "pangea_token", TOKEN);
    })
    .await?;

    let answers = simulate(&plant, "well").await?;
    let times = until_all_arrive(&service, &answers).await?;
    ensure!(
        times.values().all(|times| *times == 1),
        "doubled though nothing failed"
    );
    an_event_and_a_search(&plant, &service).await?;

    service.answer_with(StatusCode::INTERNAL_SERVER_ERROR);
    let answers = simulate(&plant, "failing").await?;
    until_retried(&plant, &service).await?;
    service.answer_with(StatusCode::OK);
    until_all_arrive(&service, &answers).await?;

    service.expect_token("pts_another");
    let answers = simulate(&plant, "locked out").await?;
    until_retried(&plant, &service).await?;
    refused_token_is_reported(&plant).await?;
    service.expect_token(TOKEN);
    until_all_arrive(&service, &answers).await?;

    let complaints = service.locked().complaints.clone();
    ensure!(
        complaints.is_empty(),
        "not what such a service takes: {complaints:?}"
    );
    let metric = "fieldledger_polling_batches_dead_lettered_total";
    ensure!(
        plant.api.metric(metric).await? == 0.0,
        "batches were given up"
    );
    ensure!(plant.api.metric("fieldledger_ledger_tree_size").await? == 0.0);
    plant.finish().await;
    Ok(())
}

/// Lets five sensors answer ten polls each, and gives their answers.
async fn simulate(plant: &Plant, name: &str) -> Result<Vec<Answer>> {
    let record = plant.path(&format!("{name}.jsonl"));
    let path = record.display().to_string();
    let arguments = [
        "--sensors",
        "5",
        "--interval",
        "200",
        "--polls",
        "10",
        "--no-faulty",
        "--disconnect",
        "--record",
        &path,
    ];
    let mut simulator = plant.site.start_simulator(name, &arguments).await?;
    let status = tokio::time::timeout(PATIENCE, simulator.process.wait()).await??;
    ensure!(
        status.success(),
        "{status}: {}",
        simulator.process.log_tail()
    );
    let answers = account::answers(&record)?;
    ensure!(answers.len() == 50, "{} answers", answers.len());
    Ok(answers)
}

/// Waits until each answer has arrived; gives how often each did.
async fn until_all_arrive(
    service: &Service,
    answers: &[Answer],
) -> Result<BTreeMap<(String, String, u64), usize>> {
    until("every answer is at the service", PATIENCE, async || {
        let mut times = BTreeMap::new();
        for event in &service.locked().events {
            if event["action"] == "SENSOR_READING" && event["status"] == "SUCCESS" {
                let reading: Value =
                    serde_json::from_str(event["message"].as_str().context("no message")?)?;
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let seq = reading["seq"].as_u64().context("no seq")?;
                let answer = (text(&event["source"]), text(&reading["boot"]), seq);
                *times.entry(answer).or_insert(0) += 1;
            }
        }
        times.retain(|(id, boot, seq), _| {
            let is_it =
                |answer: &Answer| answer.id == *id && answer.boot == *boot && answer.seq == *seq;
            answers.iter().any(is_it)
        });
        ensure!(
            times.len() == answers.len(),
            "{} of {}",
            times.len(),
            answers.len()
        );
        Ok(Some(times))
    })
    .await
}

/// Waits until a delivery has failed and was tried again, and failed again.
async fn until_retried(plant: &Plant, service: &Service) -> Result<()> {
    let metric = "fieldledger_polling_batches_retried_total";
    let before = plant.api.metric(metric).await?;
    let refused = service.locked().refused;
    until(
        "deliveries fail and are tried again",
        PATIENCE,
        async || {
            let retried = plant.api.metric(metric).await?;
            let refused_since = service.locked().refused - refused;
            ensure!(
                retried > before && refused_since > 1,
                "retries went from {before} to {retried}, {refused_since} requests were refused"
            );
            Ok(Some(()))
        },
    )
    .await
}

async fn an_event_and_a_search(plant: &Plant, service: &Service) -> Result<()> {
    let login = json!({"message": "signed in", "actor": "ann", "action": "LOGIN"});
    let client = plant.nats().await?;
    client
        .publish("events.audit", login.to_string().into())
        .await?;
    client.flush().await?;
    until("the event is at the service", PATIENCE, async || {
        Ok(service.locked().events.contains(&login).then_some(()))
    })
    .await?;

    let search = json!({"query": "action:LOGIN", "limit": 5});
    let found: Value = plant.api.post_json("/api/logs", &search).await?;
    let result = &found["result"];
    ensure!(
        result["count"] == 1 && result["id"] == "pas_result",
        "{found}"
    );
    ensure!(result["events"][0]["envelope"]["event"] == login, "{found}");
    ensure!(result["root"]["tree_name"] == "a tree", "{found}");
    let page = json!({"id": "pas_result", "offset": 0, "limit": 5});
    let found: Value = plant.api.post_json("/api/results", &page).await?;
    ensure!(
        found["result"]["events"][0]["envelope"]["event"] == login,
        "{found}"
    );

    let proof = plant.api.get("/api/proof/0").await?;
    ensure!(
        proof.status == 409,
        "a proof by position from Pangea: {}",
        proof.body
    );
    Ok(())
}

async fn refused_token_is_reported(plant: &Plant) -> Result<()> {
    let answer = plant.api.post("/api/logs", "{}").await?;
    let detail = answer.json()?["detail"].to_string();
    ensure!(answer.status == 503, "{}: {detail}", answer.status);
    let clear = detail.contains("refuses the token") && detail.contains("pangea_token");
    ensure!(clear, "not clear to an operator: {detail}");
    let log = fs::read_to_string(plant.path("logs/host.log"))?;
    ensure!(
        log.contains("refuses the token"),
        "no word of it in the log"
    );
    ensure!(!log.contains(TOKEN), "the log gives the token away");
    Ok(())
}

/// A service of Pangea's shape.
struct Service {
    url: String,
    kept: Shared,
    server: JoinHandle<std::io::Result<()>>,
}

type Shared = Arc<Mutex<Kept>>;

struct Kept {
    token: &'static str,
    status: StatusCode,
    events: Vec<Value>,
    refused: usize,
    /// What was wrong with requests, apart from their token.
    complaints: Vec<String>,
}

impl Service {
    async fn start() -> Result<Self> {
        let kept = Arc::new(Mutex::new(Kept {
            token: TOKEN,
            status: StatusCode::OK,
            events: Vec::new(),
            refused: 0,
            complaints: Vec::new(),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(answer).with_state(Arc::clone(&kept));
        let server = tokio::spawn(async { axum::serve(listener, router).await });
        Ok(Self { url, kept, server })
    }

    fn locked(&self) -> MutexGuard<'_, Kept> {
        locked(&self.kept)
    }

    fn answer_with(&self, status: StatusCode) {
        self.locked().status = status;
    }

    fn expect_token(&self, token: &'static str) {
        self.locked().token = token;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn locked(kept: &Shared) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(
    State(kept): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    let mut kept = locked(&kept);
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if header("authorization") != Some(&format!("Bearer {}", kept.token)) {
        kept.refused += 1;
        return wrapped(StatusCode::UNAUTHORIZED, "Unauthorized", &Value::Null);
    }
    if kept.status != StatusCode::OK {
        kept.refused += 1;
        return wrapped(kept.status, "InternalError", &Value::Null);
    }
    let is_json = header("content-type") == Some("application/json");
    let request: Option<Value> = serde_json::from_slice(&body).ok();
    match request
        .filter(|_| is_json)
        .and_then(|request| kept.result(uri.path(), &request))
    {
        Some(result) => wrapped(StatusCode::OK, "Success", &result),
        None => {
            let text = String::from_utf8_lossy(&body);
            kept.complaints
                .push(format!("{uri} {headers:?} {text:.300}"));
            wrapped(StatusCode::BAD_REQUEST, "ValidationError", &Value::Null)
        }
    }
}

impl Kept {
    /// The result of a good request.
    fn result(&mut self, path: &str, request: &Value) -> Option<Value> {
        match path {
            "/v2/log" => {
                let items = request["events"]
                    .as_array()
                    .filter(|items| items.len() <= 1_000)?;
                let events = items.iter().map(|item| item["event"].clone());
                let events: Vec<Value> = events.collect();
                if events.is_empty() || events.iter().any(|event| !event["message"].is_string()) {
                    return None;
                }
                let results = vec![json!({"hash": SOME_HASH}); events.len()];
                self.events.extend(events);
                Some(json!({ "results": results }))
            }
            "/v1/search" if request["query"].is_string() => Some(self.logins(true)),
            "/v1/results" if request["id"] == "pas_result" => Some(self.logins(false)),
            _ => None,
        }
    }

    fn logins(&self, with_id: bool) -> Value {
        let events = self
            .events
            .iter()
            .filter(|event| event["action"] == "LOGIN");
        let events: Vec<Value> = events
            .map(|event| {
                let received_at = "2026-01-02T03:04:05.000006Z";
                let envelope = json!({"event": event, "received_at": received_at});
                json!({"envelope": envelope, "hash": SOME_HASH, "leaf_index": 0, "published": true})
            })
            .collect();
        let root = json!({"tree_name": "a tree", "size": 1, "root_hash": SOME_HASH});
        let mut result = json!({"count": events.len(), "events": events, "root": root});
        if with_id {
            result["id"] = json!("pas_result");
            result["expires_at"] = json!("2027-01-02T03:04:05Z");
        }
        result
    }
}

fn wrapped(status: StatusCode, word: &str, result: &Value) -> (StatusCode, Json<Value>) {
    let wrapper = json!({
        "request_id": "prq_0123456789abcdefghijklmnopqrstuv",
        "request_time": "2026-01-02T03:04:05.000006Z",
        "response_time": "2026-01-02T03:04:05.000007Z",
        "status": word,
        "summary": format!("this test's service says {word}"),
        "result": result,
    });
    (status, Json(wrapper))
}
