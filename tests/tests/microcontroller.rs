//! A site that polls a device without an operating system, on an emulated microcontroller. It needs
//! `cargo xtask firmware` to have run.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fieldledger_attest::identity::DeviceKey;
use fieldledger_device::sensor::derived_id;
use fieldledger_e2e::api::Entry;
use fieldledger_e2e::plant::{ADMIN_SETTING, ADMIN_TOKEN, PATIENCE, Plant, until};
use fieldledger_record::Settings;
use fieldledger_record::settings::{SETTINGS_BYTES, SensorSettings};
use fieldledger_site::{Artifacts, Emulator, HOST_OF_EMULATOR};
use fieldledger_wire::reply::Reply;
use futures::StreamExt as _;
use serde_json::{Value, json};
use uuid::Uuid;

/// The seed of the device's key.
const SEED: [u8; 32] = [0x5e; 32];

/// Readings that the log is to hold before the test is content.
const READINGS: usize = 5;

/// How long the broker is away: about sixteen readings, as many as a device that is polled every
/// forty seconds takes in ten minutes.
const OUTAGE: Duration = Duration::from_secs(8);

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
        history_patience_ms: 1_000,
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
    let mut plant =
        Plant::start_with(|options| options.set("http-gateway", "tokens", ADMIN_SETTING)).await?;
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

    // An operator compares the fingerprint and approves it; what the device says is its own from then on.
    let (sensor, fingerprint) = (id.to_string(), key.fingerprint().to_string());
    let approve = [
        "devices",
        "approve",
        &sensor,
        &fingerprint,
        "--reason",
        "seen",
    ];
    plant.command_line(ADMIN_TOKEN, &approve).await?;
    until_attested(&plant, &sensor, "a signed answer", |reading| {
        reading["attestation"] == "valid"
    })
    .await?;

    // What it reads while its broker is away arrives afterwards, signed as well.
    plant.site.nats.kill9().await;
    tokio::time::sleep(OUTAGE).await;
    plant.site.nats.restart().await?;
    until_attested(&plant, &sensor, "history", |reading| {
        reading["attestation"] == "valid" && reading["historical"] == true
    })
    .await?;
    until_attested(&plant, &sensor, "an answer after history", |reading| {
        reading["historical"].is_null() && reading["device_up"].as_u64() > Some(10_000_000)
    })
    .await?;
    emulator.stop().await;
    plant.until_settled().await?;
    nothing_is_missing(&plant, &sensor).await?;

    // The same is in the log.
    let found = json!({"source": [id], "status": ["SUCCESS"], "action": ["SENSOR_READING"]});
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

/// Waits for a reading like that.
async fn until_attested(
    plant: &Plant,
    sensor: &str,
    what: &str,
    is_it: impl Fn(&Value) -> bool,
) -> Result<()> {
    until(what, PATIENCE, async || {
        plant.api.until_indexed(PATIENCE).await?;
        let entries = plant
            .api
            .entries(json!({"source": [sensor], "action": ["SENSOR_READING"]}))
            .await?;
        let readings: Vec<Value> = entries.iter().map(Entry::reading).collect::<Result<_>>()?;
        Ok(readings.iter().any(&is_it).then_some(()))
    })
    .await
}

/// Every number of the device is in the log once, that of an answer that was on its way when the broker
/// died as well; and every reading is signed by the device.
async fn nothing_is_missing(plant: &Plant, sensor: &str) -> Result<()> {
    let entries = plant
        .api
        .entries(json!({"source": [sensor], "status": ["SUCCESS"], "action": ["SENSOR_READING"]}))
        .await?;
    let mut numbers = Vec::new();
    let mut held = 0;
    for entry in &entries {
        let reading = entry.reading()?;
        let attestation = reading["attestation"].as_str().unwrap_or_default();
        ensure!(["unapproved", "valid"].contains(&attestation), "{reading}");
        numbers.push(reading["seq"].as_u64().context("no sequence")?);
        held += u32::from(reading["historical"] == true);
    }
    let count = numbers.len() as u64;
    numbers.sort_unstable();
    numbers.dedup();
    ensure!(numbers.len() as u64 == count, "a number twice");
    let (first, last) = (numbers.first(), numbers.last());
    let (first, last) = first.copied().zip(last.copied()).context("no reading")?;
    ensure!(
        last - first < count,
        "{count} readings of numbers {first} to {last}: {numbers:?}"
    );
    ensure!(held >= 4, "only {held} readings of the outage arrived");
    Ok(())
}
