//! A site that polls a device without an operating system, on an emulated microcontroller. It needs
//! `cargo xtask firmware` to have run.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use fieldledger_attest::identity::DeviceKey;
use fieldledger_device::sensor::derived_id;
use fieldledger_e2e::api::Entry;
use fieldledger_e2e::plant::{PATIENCE, Plant, until};
use fieldledger_field::reply::Reply;
use fieldledger_record::Settings;
use fieldledger_record::settings::{SETTINGS_BYTES, SensorSettings};
use fieldledger_site::{Artifacts, Emulator, HOST_OF_EMULATOR};
use futures::StreamExt as _;
use serde_json::json;
use uuid::Uuid;

/// The seed of the device's key.
const SEED: [u8; 32] = [0x5e; 32];

/// Readings that the log is to hold before the test is content.
const READINGS: usize = 5;

/// Writes the settings of a board with one sensor.
fn settings(plant: &Plant) -> Result<PathBuf> {
    let broker = format!(
        "mqtt://{HOST_OF_EMULATOR}:{}",
        plant.site.mqtt_address().port()
    );
    let sensor = SensorSettings {
        alias: "WAVE_01",
        location: "Emulator",
        poll_interval_ms: 500,
    };
    let settings = Settings {
        key: SEED,
        wifi: None,
        login: None,
        prefix: "picow",
        is_confined: false,
        brokers: [broker.as_str()].into_iter().collect(),
        heartbeat_interval_ms: 1_000,
        history_patience_ms: 10_000,
        sensors: [sensor].into_iter().collect(),
    };
    let mut record = [0; SETTINGS_BYTES];
    settings.write(&mut record)?;
    let path = plant.path("settings.bin");
    std::fs::write(&path, record)?;
    Ok(path)
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_of_a_microcontroller_are_in_the_log_as_it_signed_them() -> Result<()> {
    let plant = Plant::start().await?;
    let key = DeviceKey::from_seed(&SEED).public();
    let id = Uuid::from_bytes(derived_id(&key, 0));
    let client = plant.nats().await?;
    let mut answers = client.subscribe(format!("picow.{id}.read")).await?;
    client.flush().await?;
    let program = Artifacts::locate()?.emulated_firmware();
    let logs = plant.path("logs");
    let mut emulator = Emulator::start("emulator", &program, Some(&settings(&plant)?), &logs)?;

    // What the device says, each answer checked against its key.
    let mut signed = BTreeMap::new();
    while signed.len() < READINGS {
        let answer = tokio::time::timeout(PATIENCE, answers.next()).await;
        let answer = answer.with_context(|| emulator.process.log_tail())?;
        let reply = Reply::parse(&answer.context("no more answers")?.payload)?;
        reply.attested(id, key)?;
        let sequence = reply.seq.context("no sequence")?;
        signed.insert((reply.boot, sequence), reply.value);
    }
    emulator.stop().await;

    // The same is in the log.
    let found = json!({"source": [id], "status": ["SUCCESS"]});
    let entries = until("the readings are in the log", PATIENCE, async || {
        let entries = plant.api.entries(found.clone()).await?;
        let logged = entries.iter().map(source_and_value);
        let logged: BTreeMap<_, _> = logged.collect::<Result<_>>()?;
        let is_logged = |source, value| logged.get(source) == Some(value);
        let are_logged = signed
            .iter()
            .all(|(source, value)| is_logged(source, value));
        Ok(are_logged.then_some(entries))
    })
    .await?;
    for entry in &entries {
        ensure!(entry.field("actor") == "WAVE_01" && entry.field("target") == "Emulator");
        is_not_doubted(entry)?;
    }
    plant.finish().await;
    Ok(())
}

/// Boot and sequence of a reading, and the text that the device sent.
fn source_and_value(entry: &Entry) -> Result<((String, u64), String)> {
    let reading = entry.reading()?;
    let boot = reading["boot"].as_str().context("no boot")?;
    let sequence = reading["seq"].as_u64().context("no sequence")?;
    let raw = reading["raw"].as_str().context("no raw value")?;
    Ok(((boot.to_owned(), sequence), raw.to_owned()))
}

/// A log that judges signatures finds this one good: its key is approved, or nobody was asked yet.
fn is_not_doubted(entry: &Entry) -> Result<()> {
    let reading = entry.reading()?;
    let Some(attestation) = reading["attestation"].as_str() else {
        return Ok(());
    };
    ensure!(["unapproved", "valid"].contains(&attestation), "{reading}");
    Ok(())
}
