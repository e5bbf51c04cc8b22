//! Pangea's API through the whole lattice: an event logged, published, proven and downloaded. What
//! the SDKs make of it is tested in `crates/web/standalone`.
#![forbid(unsafe_code)]

use anyhow::{Context as _, Result, ensure};
use fieldledger_e2e::plant::{PATIENCE, Plant, until};
use reqwest::Client;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const TOKEN: &str = "pts_smoke";
const TOKENS: &str =
    "smoke:read,write:49b44c05e765e8ba5b6cfc5ba4d3319f6bbefd99e84601d2ae0e71841b24a1cb";

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_logged_published_proven_and_downloaded() -> Result<()> {
    let plant = Plant::start_with(|options| {
        options.set("http-gateway", "tokens", TOKENS);
        options.set("ledger", "publish_interval_ms", "500");
    })
    .await?;
    let url = plant.site.http_url();
    let client = Client::new();
    let post = async |path: &str, body: Value| -> Result<Value> {
        let request = client
            .post(format!("{url}/audit/{path}"))
            .bearer_auth(TOKEN);
        let answer: Value = request.json(&body).send().await?.json().await?;
        ensure!(
            answer["status"] == "Success" || answer["status"] == "Accepted",
            "{path}: {answer}"
        );
        Ok(answer)
    };

    let event = json!({"message": "the valve was opened", "target": "smoke"});
    let logged = post("v1/log", json!({"event": event, "verbose": true})).await?;
    let logged = &logged["result"];
    ensure!(logged["envelope"]["event"] == event, "{logged}");
    let led_to = follow(&logged["hash"], &logged["membership_proof"])?;
    ensure!(logged["unpublished_root"] == led_to, "{logged}");
    let accepted = post("v2/log_async", json!({"events": [{"event": event}]})).await?;
    ensure!(accepted["status"] == "Accepted", "{accepted}");

    let query = json!({"query": "", "search_restriction": {"target": ["smoke"]}});
    let found = until("both events are published", PATIENCE, async || {
        let answer = post("v1/search", query.clone()).await?;
        let events = answer["result"]["events"].as_array().context("no events")?;
        let published = events
            .iter()
            .filter(|event| event["published"] == true)
            .count();
        ensure!(published == 2, "{published} are published: {answer}");
        Ok(Some(answer["result"].clone()))
    })
    .await?;
    for event in found["events"].as_array().context("no events")? {
        let led_to = follow(&event["hash"], &event["membership_proof"])?;
        ensure!(found["root"]["root_hash"] == led_to, "{event}");
    }
    let size = &found["root"]["size"];
    let published: Value = client
        .get(format!("{url}/arweave/{size}/"))
        .send()
        .await?
        .json()
        .await?;
    ensure!(
        published["root_hash"] == found["root"]["root_hash"],
        "{published}"
    );

    let offer = json!({"result_id": found["id"], "format": "json"});
    let offered = post("v1/download_results", offer).await?;
    let address = offered["result"]["dest_url"]
        .as_str()
        .context("no address")?;
    let file: Value = client.get(address).send().await?.json().await?;
    ensure!(file.as_array().map(Vec::len) == Some(2), "{file}");
    plant.finish().await;
    Ok(())
}

/// The root that a proof leads to.
fn follow(hash: &Value, proof: &Value) -> Result<String> {
    let mut node = hex::decode(hash.as_str().context("no hash")?)?;
    let proof = proof.as_str().context("no proof")?;
    for step in proof.split(',').filter(|step| !step.is_empty()) {
        let (side, other) = step.split_once(':').context("no step")?;
        let other = hex::decode(other)?;
        let pair = match side {
            "l" => [other, node].concat(),
            _ => [node, other].concat(),
        };
        node = Sha256::digest(pair).to_vec();
    }
    Ok(hex::encode(node))
}
