//! From a device's key to the log: a sensor that signs is discovered, approved, impersonated and
//! retired, and the log shows each reading as what it is.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use async_nats::Client;
use fieldledger_attest::heartbeat::with_proof;
use fieldledger_attest::identity::DeviceKey;
use fieldledger_attest::reading::{Clock, Reading};
use fieldledger_attest::statement::{BootId, Statement};
use fieldledger_attest::tree::RootBuilder;
use fieldledger_e2e::{
    api::Entry,
    device::{Device, heartbeat, sensor_id},
    plant::{ADMIN_SETTING, ADMIN_TOKEN, PATIENCE, Plant, until},
};
use futures::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

const BOOT: &str = "boot-1";

/// Readings that the device held, and the number of the first: beyond all that it answers polls with.
const HELD: u64 = 64;
const FIRST_HELD: u64 = 1_000_000;

/// Who answers the polls, and how.
#[derive(Clone, Copy)]
enum Answers {
    Signed(u8),
    Unsigned,
}

fn key(seed: u8) -> DeviceKey {
    DeviceKey::from_seed(&[seed; 32])
}

/// The 16 bytes of a sensor's id.
fn bytes_of(id: &str) -> Result<[u8; 16]> {
    let digits = hex::decode(id.replace('-', ""))?;
    digits.try_into().ok().context("an id has 16 bytes")
}

fn signed_heartbeat(id: &str, key: &DeviceKey, beat: u64) -> Result<String> {
    let mut heartbeat = heartbeat(id);
    let fields = heartbeat
        .as_object_mut()
        .context("a heartbeat is an object")?;
    fields.insert("key".to_owned(), key.public().to_string().into());
    fields.insert("boot".to_owned(), BOOT.into());
    fields.insert("beat".to_owned(), beat.into());
    fields.insert("poll_interval".to_owned(), 300.into());
    with_proof(&heartbeat.to_string(), key).context("a heartbeat is an object")
}

fn answer(id: &str, answers: Answers, sequence: u64) -> Result<Value> {
    let value = "21.50";
    let mut answer =
        json!({"value": value, "seq": sequence, "boot": BOOT, "up": 5_000, "unit": "Cel"});
    if let Answers::Signed(seed) = answers {
        let reading = Reading::new(sequence, Clock::Uptime(5_000), value, "Cel")?;
        let statement = Statement::of_one(bytes_of(id)?, BootId::new(BOOT)?, &reading);
        let signature = statement.sign(&key(seed));
        answer["sig"] = signature.to_string().into();
    }
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_is_provable_from_the_device_to_the_checkpoint() -> Result<()> {
    let plant =
        Plant::start_with(|options| options.set("http-gateway", "tokens", ADMIN_SETTING)).await?;
    let id = sensor_id(7);
    let client = plant.nats().await?;
    let who = Arc::new(Mutex::new((Answers::Signed(1), 0_u64)));
    let (its_id, its_who) = (id.clone(), Arc::clone(&who));
    let first = signed_heartbeat(&id, &key(1), 1)?;
    let _device = Device::start(&client, "sim.heartbeat", &first, move |poll| {
        let mut who = its_who.lock().unwrap_or_else(PoisonError::into_inner);
        who.1 += 1;
        let answer = answer(&its_id, who.0, who.1);
        answer.map_or_else(
            |_| Vec::new(),
            |answer| vec![poll.direct(answer.to_string())],
        )
    })
    .await?;
    let answers_as = |answers| who.lock().unwrap_or_else(PoisonError::into_inner).0 = answers;

    until_attested(&plant, &id, "unapproved", "Good").await?;
    let shown = plant.api.get_json(&format!("/api/sensors/{id}")).await?;
    let fingerprint = key(1).public().fingerprint().to_string();
    ensure!(shown["standing"] == "discovered", "{shown}");
    ensure!(shown["offered_key"] == *fingerprint, "{shown}");

    // Only what the device shows can be approved, and only by whoever may.
    let path = "/api/devices/approve";
    let approval =
        json!({"sensor": id, "fingerprint": fingerprint, "reason": "seen on the device"});
    let refused = plant.api.post(path, approval.to_string()).await?;
    ensure!(refused.status == 401, "{}", refused.body);
    let other = json!({"sensor": id, "fingerprint": "SHA256:other", "reason": "guessed"});
    ensure!(decide(&plant, path, &other).await?.0 == 409);
    let (status, approved) = decide(&plant, path, &approval).await?;
    ensure!(status == 200, "{approved}");
    ensure!(approved["key"] == key(1).public().to_string(), "{approved}");
    let entry = until_attested(&plant, &id, "valid", "Good").await?;
    let reading = entry.reading()?;
    ensure!(reading["evidence"]["key"] == approved["key"], "{reading}");

    deliver_history(&plant, &client, &id).await?;

    // Another key, or none, speaks for nobody, in heartbeats as in readings.
    answers_as(Answers::Signed(2));
    until_attested(&plant, &id, "invalid", "BadSecurityChecksFailed").await?;
    answers_as(Answers::Unsigned);
    until_attested(&plant, &id, "missing", "BadSecurityChecksFailed").await?;
    let mut forged = heartbeat(&id);
    forged["alias"] = "an impostor".into();
    for heartbeat in [forged.to_string(), signed_heartbeat(&id, &key(2), 9)?] {
        client.publish("sim.heartbeat", heartbeat.into()).await?;
    }
    client.flush().await?;
    until("the other key is offered", PATIENCE, async || {
        let shown = plant.api.get_json(&format!("/api/sensors/{id}")).await?;
        ensure!(shown["alias"] == format!("device {id}"), "{shown}");
        Ok((shown["standing"] == "key_offered").then_some(()))
    })
    .await?;
    answers_as(Answers::Signed(1));
    let before = entry.index;
    until_attested_after(&plant, &id, "valid", "Good", before).await?;

    // What was decided outlives a restart of everything.
    let mut plant = plant;
    plant.restart().await?;
    let retire = ["devices", "retire", &id, "--reason", "broken"];
    let retired = plant.command_line(ADMIN_TOKEN, &retire).await?;
    ensure!(retired["key"] == approved["key"], "{retired}");
    until_attested(&plant, &id, "retired", "BadSecurityChecksFailed").await?;

    // Each decision is in the log, before and after.
    let decisions = plant
        .api
        .entries(json!({"action": ["DEVICE_KEY_APPROVE", "DEVICE_KEY_RETIRE"]}))
        .await?;
    let decisions: Vec<(String, String)> = decisions
        .iter()
        .map(|entry| {
            (
                entry.field("actor").to_owned(),
                entry.field("status").to_owned(),
            )
        })
        .collect();
    let expected = [
        "REQUESTED",
        "FAILURE",
        "REQUESTED",
        "SUCCESS",
        "REQUESTED",
        "SUCCESS",
    ];
    ensure!(
        decisions
            .iter()
            .map(|(_, status)| status)
            .eq(expected.iter())
            && decisions.iter().all(|(actor, _)| actor == "officer"),
        "{decisions:?}"
    );
    prove(&plant, &entry, &fingerprint).await?;
    plant.finish().await;
    Ok(())
}

/// What the device held during ten minutes without a connection arrives once, however often it is sent,
/// and is acknowledged once it is stored; a forgery is not.
async fn deliver_history(plant: &Plant, client: &Client, id: &str) -> Result<()> {
    let (history, ack) = (format!("sim.history.{id}"), format!("sim.history_ack.{id}"));
    let mut acks = client.subscribe(ack).await?;
    let since = SystemTime::now() - Duration::from_secs(600);
    let since = u64::try_from(since.duration_since(UNIX_EPOCH)?.as_micros())?;
    let message = bulk(id, 1, since)?;
    for _ in 0..2 {
        client
            .publish(history.clone(), message.to_string().into())
            .await?;
        let acknowledged = tokio::time::timeout(PATIENCE, acks.next()).await?;
        let acknowledged = acknowledged.context("the subscription ended")?.payload;
        let acknowledged: Value = serde_json::from_slice(&acknowledged)?;
        ensure!(
            acknowledged == json!({"boot": BOOT, "seq": FIRST_HELD + HELD - 1}),
            "{acknowledged}"
        );
    }
    client
        .publish(history, bulk(id, 2, since)?.to_string().into())
        .await?;
    let forged = until_held(plant, id, "invalid", 1).await?;
    let forged = forged.first().context("no entry")?.reading()?;
    ensure!(forged["quality"] == "BadSecurityChecksFailed", "{forged}");
    let refused = plant
        .api
        .metric("fieldledger_polling_history_refused_total")
        .await?;
    ensure!((refused - 1.0).abs() < 0.5, "{refused} refused");

    let held = until_held(plant, id, "valid", HELD as usize).await?;
    let mut numbers = Vec::new();
    for entry in &held {
        let reading = entry.reading()?;
        let number = reading["seq"].as_u64().context("no number")?;
        let measured = since + (number - FIRST_HELD) * 1_000_000;
        ensure!(reading["polled_at"] == measured, "{reading}");
        ensure!(reading["quality"] == "Good", "{reading}");
        numbers.push(number);
    }
    ensure!(
        numbers.iter().copied().eq(FIRST_HELD..FIRST_HELD + HELD),
        "{numbers:?}"
    );
    Ok(())
}

/// A message of history, signed with the key of this seed.
fn bulk(id: &str, seed: u8, since: u64) -> Result<Value> {
    let mut tree = RootBuilder::new();
    let mut readings = Vec::new();
    for number in 0..HELD {
        let (seq, at) = (FIRST_HELD + number, since + number * 1_000_000);
        tree.push(&Reading::new(seq, Clock::Utc(at), "21.25", "Cel")?)?;
        readings.push(json!({"value": "21.25", "seq": seq, "at": at, "unit": "Cel"}));
    }
    let statement = Statement::of_tree(bytes_of(id)?, BootId::new(BOOT)?, tree)?;
    let signature = statement.sign(&key(seed)).to_string();
    Ok(json!({"boot": BOOT, "sig": signature, "readings": readings}))
}

/// Entries with readings that the device had held, in their order, once there are as many.
async fn until_held(
    plant: &Plant,
    id: &str,
    attestation: &str,
    count: usize,
) -> Result<Vec<Entry>> {
    until("history in the log", PATIENCE, async || {
        plant.api.until_indexed(PATIENCE).await?;
        let mut entries = plant.api.entries(json!({"source": [id]})).await?;
        entries.retain(|entry| {
            entry.reading().is_ok_and(|reading| {
                reading["historical"] == true && reading["attestation"] == attestation
            })
        });
        entries.sort_by_key(|entry| entry.index);
        ensure!(
            entries.len() <= count,
            "{} instead of {count}",
            entries.len()
        );
        Ok((entries.len() == count).then_some(entries))
    })
    .await
}

/// An auditor follows the readings from the signed tree head to the device's key.
async fn prove(plant: &Plant, reading: &Entry, fingerprint: &str) -> Result<()> {
    let checkpoint = plant.api.get_json("/api/checkpoint").await?;
    let key = checkpoint["verifier_key"].as_str().context("no key")?;
    let whole = plant.command_line("", &["verify", "--key", key]).await?;
    let signed = whole["signed_readings"].as_u64();
    ensure!(signed.is_some_and(|count| count >= 2), "{whole}");
    let path = format!("/api/proof/{}", reading.index);
    let file = plant.path("proof.json");
    std::fs::write(&file, plant.api.get_json(&path).await?.to_string())?;
    let file = file.to_string_lossy();
    let one = plant
        .command_line("", &["verify", &file, "--key", key])
        .await?;
    ensure!(one["device_key"] == fingerprint, "{one}");
    Ok(())
}

async fn decide(plant: &Plant, path: &str, body: &Value) -> Result<(u16, Value)> {
    let headers = [
        ("content-type", "application/json"),
        ("authorization", &*format!("Bearer {ADMIN_TOKEN}")),
    ];
    let answer = plant
        .api
        .send(Method::POST, path, &headers, body.to_string())
        .await?;
    Ok((answer.status, answer.json()?))
}

async fn until_attested(
    plant: &Plant,
    id: &str,
    attestation: &str,
    quality: &str,
) -> Result<Entry> {
    until_attested_after(plant, id, attestation, quality, 0).await
}

/// The first such answer to a poll beyond an entry.
async fn until_attested_after(
    plant: &Plant,
    id: &str,
    attestation: &str,
    quality: &str,
    after: u64,
) -> Result<Entry> {
    until(
        &format!("a reading that is {attestation}"),
        PATIENCE,
        async || {
            plant.api.until_indexed(PATIENCE).await?;
            let entries = plant.api.entries(json!({"source": [id]})).await?;
            for entry in entries.into_iter().filter(|entry| entry.index > after) {
                let Ok(reading) = entry.reading() else {
                    continue;
                };
                if reading["attestation"] == attestation && reading["historical"].is_null() {
                    ensure!(reading["quality"] == quality, "{reading}");
                    return Ok(Some(entry));
                }
            }
            Ok(None)
        },
    )
    .await
}
