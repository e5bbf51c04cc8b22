//! Messages on the event logger's subject become audit events, and those that cannot be are
//! recorded as refused.
#![forbid(unsafe_code)]

use anyhow::{Context as _, Result, ensure};
use async_nats::Client;
use fieldledger_e2e::{
    api::{Api, Entry},
    plant::{PATIENCE, Plant, until},
};
use serde_json::{Value, json};

/// The subject in `wadm.yaml`.
const SUBJECT: &str = "events.audit";

#[tokio::test(flavor = "multi_thread")]
async fn messages_become_events_or_refusals() -> Result<()> {
    let plant = Plant::start().await?;
    let client = plant.nats().await?;

    let login = json!({
        "message": "signed in", "actor": "ann", "action": "LOGIN", "status": "SUCCESS",
        "source": "192.168.1.20", "target": "scada", "new": {"b": 1, "a": [true]}, "old": 7,
        "tenant_id": "plant-7", "timestamp": "2026-01-02T03:04:05Z",
    });
    send(&client, login.to_string()).await?;
    let [entry] = &logged(&plant.api, "LOGIN", 1).await?[..] else {
        anyhow::bail!("one event became several");
    };
    for (field, text) in [
        ("message", "signed in"),
        ("actor", "ann"),
        ("status", "SUCCESS"),
        ("source", "192.168.1.20"),
        ("target", "scada"),
        ("new", r#"{"a":[true],"b":1}"#),
        ("old", "7"),
        ("tenant_id", "plant-7"),
    ] {
        let found = entry.field(field);
        ensure!(found == text, "{field} is {found:?}, not {text:?}");
    }
    ensure!(entry.field("timestamp").starts_with("2026-01-02T03:04:05"));

    let shift: Vec<Value> = (0..100)
        .map(|number| json!({"message": format!("step {number}"), "action": "SHIFT"}))
        .collect();
    send(&client, json!(shift).to_string()).await?;
    let steps = logged(&plant.api, "SHIFT", 100).await?;
    for (number, entry) in steps.iter().enumerate() {
        ensure!(
            entry.field("message") == format!("step {number}"),
            "out of order: {entry:?}"
        );
    }

    refused(&plant.api, &client).await?;
    let forged = json!({"source": ["forged"]});
    let entries = plant.api.entries(forged).await?;
    ensure!(entries.is_empty(), "a message has forged {entries:?}");
    plant.api.until_healthy(PATIENCE).await?;
    plant.finish().await;
    Ok(())
}

/// One bad message after the other, each with how many of its events are refused (none where the
/// message is refused as a whole), what the reason must name, and how many good events it holds.
async fn refused(api: &Api, client: &Client) -> Result<()> {
    let reading = json!({"message": "{}", "action": "SENSOR_READING", "source": "forged"});
    let rejection = json!({"message": "{}", "action": "EVENT_REJECTED", "source": "forged"});
    let good = |text: &str| json!({"message": text, "action": "MIXED"});
    let messages = [
        (b"hello".to_vec(), None, "JSON", 0),
        (Vec::new(), None, "JSON", 0),
        (b"\xff\xfe".to_vec(), None, "UTF-8", 0),
        (b"42".to_vec(), None, "object", 0),
        (vec![b'['; 10_000], None, "JSON", 0),
        (vec![b' '; 300_000], None, "300000 bytes", 0),
        (
            json!(vec![good("many"); 1_001]).to_string().into(),
            None,
            "1001",
            0,
        ),
        (b"{}".to_vec(), Some(1), "message", 0),
        (
            json!({"message": "m", "massage": 1}).to_string().into(),
            Some(1),
            "massage",
            0,
        ),
        (
            json!({"message": "m".repeat(40_000)}).to_string().into(),
            Some(1),
            "message",
            0,
        ),
        (
            json!({"message": "m", "status": "s".repeat(33)})
                .to_string()
                .into(),
            Some(1),
            "status",
            0,
        ),
        (reading.to_string().into(), Some(1), "SENSOR_READING", 0),
        (rejection.to_string().into(), Some(1), "EVENT_REJECTED", 0),
        (
            json!([good("1"), 7, good("2"), {"actor": "x"}])
                .to_string()
                .into(),
            Some(2),
            "event 1",
            2,
        ),
    ];
    let mut good_events = 0;
    for (count, (body, refused, named, good)) in (1..).zip(messages) {
        let bytes = body.len();
        let shown = String::from_utf8_lossy(&body[..bytes.min(60)]).into_owned();
        send(client, body).await?;
        let entries = logged(api, "EVENT_REJECTED", count)
            .await
            .context(shown.clone())?;
        let entry = entries.last().context("no entry")?;
        let refusal = entry.reading()?;
        let reason = refusal["reason"].as_str().unwrap_or_default();
        ensure!(entry.field("status") == "VALUE_ERROR" && entry.field("source") == SUBJECT);
        ensure!(
            refusal["bytes"] == bytes && refusal["subject"] == SUBJECT,
            "{shown}: {refusal}"
        );
        ensure!(refusal["events"].as_u64() == refused, "{shown}: {refusal}");
        ensure!(
            reason.contains(named),
            "{shown}: {reason:?} does not say {named:?}"
        );
        good_events += good;
    }
    logged(api, "MIXED", good_events).await?;
    Ok(())
}

async fn send(client: &Client, body: impl Into<Vec<u8>>) -> Result<()> {
    client.publish(SUBJECT, body.into().into()).await?;
    Ok(client.flush().await?)
}

/// Waits until the log has so many events of an action; more are an error.
async fn logged(api: &Api, action: &str, count: usize) -> Result<Vec<Entry>> {
    until(
        &format!("{count} events {action} are in the log"),
        PATIENCE,
        async || {
            let entries = api.entries(json!({"action": [action]})).await?;
            ensure!(entries.len() == count, "{} are", entries.len());
            Ok(Some(entries))
        },
    )
    .await
}
