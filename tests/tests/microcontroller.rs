//! A site that polls devices without an operating system, on emulated microcontrollers: one over MQTT, whom
//! nobody knows, and one over NATS, as a user with its nkey. It needs `cargo xtask firmware` to have run.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_nats::{Client, Subscriber};
use fieldledger_attest::identity::{DeviceKey, PublicKey};
use fieldledger_device::sensor::{DEVICE_NUMBER, derived_id};
use fieldledger_e2e::api::Entry;
use fieldledger_e2e::plant::{ADMIN_SETTING, ADMIN_TOKEN, PATIENCE, Plant, until};
use fieldledger_record::Settings;
use fieldledger_record::settings::{SETTINGS_BYTES, SensorSettings};
use fieldledger_site::{Artifacts, Emulator, HOST_OF_EMULATOR, NewUser, Role};
use fieldledger_wire::reply::Reply;
use futures::StreamExt as _;
use nkeys::{KeyPair, KeyPairType};
use serde_json::{Value, json};
use uuid::Uuid;

/// Readings of a board that the log is to hold before the test is content.
const READINGS: usize = 5;

/// How long the broker is away: about sixteen readings, as many as a device that is polled every
/// forty seconds takes in ten minutes.
const OUTAGE: Duration = Duration::from_secs(8);

/// Boot, sequence and value of readings.
type Signed = BTreeMap<(String, u64), String>;

/// What one board speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    /// MQTT, in the open field.
    Mqtt,
    /// NATS, as a user of its own.
    Nats,
}

/// A board with one sensor.
struct Board {
    name: &'static str,
    speaks: Speaks,
    key: PublicKey,
    sensor: Uuid,
    emulator: Emulator,
    /// Where its answers arrive.
    answers: Subscriber,
}

impl Board {
    async fn start(plant: &Plant, client: &Client, speaks: Speaks) -> Result<Self> {
        let (name, seed) = match speaks {
            Speaks::Mqtt => ("over-mqtt", [0x5e; 32]),
            Speaks::Nats => ("over-nats", [0x5f; 32]),
        };
        let key = DeviceKey::from_seed(&seed).public();
        let [device, sensor] =
            [DEVICE_NUMBER, 0].map(|number| Uuid::from_bytes(derived_id(&key, number)));
        let answers = match speaks {
            Speaks::Mqtt => format!("picow.{sensor}.read"),
            // A poll names an inbox for its answer.
            Speaks::Nats => {
                plant.site.users().add(NewUser {
                    name: name.to_owned(),
                    role: Role::Device {
                        ids: vec![device, sensor],
                    },
                    nkey: Some(KeyPair::new_from_raw(KeyPairType::User, seed)?.public_key()),
                    has_password: false,
                })?;
                "_INBOX.>".to_owned()
            }
        };
        let answers = client.subscribe(answers).await?;
        client.flush().await?;
        let settings = settings(plant, name, speaks, seed)?;
        let program = Artifacts::locate()?.emulated_firmware();
        let logs = plant.path("logs");
        let emulator = Emulator::start(name, &program, Some(&settings), &logs)?;
        Ok(Self {
            name,
            speaks,
            key,
            sensor,
            emulator,
            answers,
        })
    }

    /// What the board says, each answer checked against its key.
    async fn signed(&mut self) -> Result<Signed> {
        let collected = tokio::time::timeout(PATIENCE, async {
            let mut signed = Signed::new();
            while signed.len() < READINGS {
                let answer = self.answers.next().await.context("no more answers")?;
                let reply = Reply::parse(&answer.payload);
                let reply = reply.map_err(anyhow::Error::from).and_then(|reply| {
                    reply.attested(self.sensor, self.key)?;
                    Ok(reply)
                });
                // What others are answered is in inboxes too.
                let reply = match (reply, self.speaks) {
                    (Err(_not_its_own), Speaks::Nats) => continue,
                    (reply, _) => reply?,
                };
                let sequence = reply.seq.context("no sequence")?;
                signed.insert((reply.boot, sequence), reply.value);
            }
            Ok(signed)
        });
        let collected = collected.await;
        collected.with_context(|| self.emulator.process.log_tail())?
    }
}

/// Writes the settings of a board with one sensor.
fn settings(plant: &Plant, name: &str, speaks: Speaks, key: [u8; 32]) -> Result<PathBuf> {
    let broker = match speaks {
        Speaks::Mqtt => ("mqtt", plant.site.mqtt_address().port()),
        Speaks::Nats => ("nats", plant.site.nats.options().port),
    };
    let broker = format!("{}://{HOST_OF_EMULATOR}:{}", broker.0, broker.1);
    let sensor = SensorSettings {
        alias: name,
        location: "Emulator",
        poll_interval_ms: 500,
    };
    let is_user = speaks == Speaks::Nats;
    let settings = Settings {
        key,
        wifi: None,
        login: None,
        prefix: if is_user { "field" } else { "picow" },
        is_confined: is_user,
        brokers: [broker.as_str()].into_iter().collect(),
        heartbeat_interval_ms: 1_000,
        history_patience_ms: 1_000,
        sensors: [sensor].into_iter().collect(),
        nkey: is_user,
    };
    let mut record = [0; SETTINGS_BYTES];
    settings.write(&mut record)?;
    let path = plant.path(&format!("{name}.bin"));
    std::fs::write(&path, record)?;
    Ok(path)
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_of_microcontrollers_are_in_the_log_as_they_signed_them() -> Result<()> {
    let mut plant =
        Plant::start_with(|options| options.set("http-gateway", "tokens", ADMIN_SETTING)).await?;
    let client = plant.nats().await?;
    let mut boards = [
        Board::start(&plant, &client, Speaks::Mqtt).await?,
        Board::start(&plant, &client, Speaks::Nats).await?,
    ];
    let mut signed = Vec::new();
    for board in &mut boards {
        signed.push(board.signed().await?);
    }

    // An operator compares the fingerprints and approves them; what a device says is its own from then on.
    for board in &boards {
        let (sensor, fingerprint) = (
            board.sensor.to_string(),
            board.key.fingerprint().to_string(),
        );
        let approve = [
            "devices",
            "approve",
            &sensor,
            &fingerprint,
            "--reason",
            "seen",
        ];
        plant.command_line(ADMIN_TOKEN, &approve).await?;
        until_attested(&plant, board, "a signed answer", |reading| {
            reading["attestation"] == "valid"
        })
        .await?;
    }

    // What they read while their broker is away arrives afterwards, signed as well.
    plant.site.nats.kill9().await;
    tokio::time::sleep(OUTAGE).await;
    plant.site.nats.restart().await?;
    for board in &boards {
        until_attested(&plant, board, "history", |reading| {
            reading["attestation"] == "valid" && reading["historical"] == true
        })
        .await?;
        until_attested(&plant, board, "an answer after history", |reading| {
            reading["historical"].is_null() && reading["device_up"].as_u64() > Some(10_000_000)
        })
        .await?;
    }
    for board in &boards {
        until_nothing_is_missing(&plant, &board.sensor.to_string()).await?;
    }
    for board in &mut boards {
        board.emulator.stop().await;
    }
    plant.until_settled().await?;
    for (board, signed) in boards.iter().zip(&signed) {
        are_logged(&plant, board, signed).await?;
    }
    plant.finish().await;
    Ok(())
}

/// Waits until what the board signed is in the log.
async fn are_logged(plant: &Plant, board: &Board, signed: &Signed) -> Result<()> {
    let found =
        json!({"source": [board.sensor], "status": ["SUCCESS"], "action": ["SENSOR_READING"]});
    let entries = until("the readings are in the log", PATIENCE, async || {
        let entries = plant.api.entries(found.clone()).await?;
        let logged = entries.iter().map(source_and_value);
        let logged: Signed = logged.collect::<Result<_>>()?;
        let is_logged = |(source, value)| logged.get(source) == Some(value);
        Ok(signed.iter().all(is_logged).then_some(entries))
    })
    .await?;
    for entry in &entries {
        ensure!(entry.field("actor") == board.name && entry.field("target") == "Emulator");
    }
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
    board: &Board,
    what: &str,
    is_it: impl Fn(&Value) -> bool,
) -> Result<()> {
    until(what, PATIENCE, async || {
        plant.api.until_indexed(PATIENCE).await?;
        let entries = plant
            .api
            .entries(json!({"source": [board.sensor], "action": ["SENSOR_READING"]}))
            .await?;
        let readings: Vec<Value> = entries.iter().map(Entry::reading).collect::<Result<_>>()?;
        Ok(readings.iter().any(&is_it).then_some(()))
    })
    .await
}

/// Waits for what a board still holds: it comes with the polls after those that are answered first.
async fn until_nothing_is_missing(plant: &Plant, sensor: &str) -> Result<()> {
    let complete = until("no reading is missing", PATIENCE, async || {
        plant.api.until_indexed(PATIENCE).await?;
        Ok(nothing_is_missing(plant, sensor).await.ok())
    })
    .await;
    if complete.is_err() {
        // Says what it is.
        nothing_is_missing(plant, sensor).await?;
    }
    complete
}

/// Every number of the device is in the log once, that of an answer that was on its way when the broker
/// died as well; and every reading is signed by the device.
async fn nothing_is_missing(plant: &Plant, sensor: &str) -> Result<()> {
    let entries = plant
        .api
        .entries(json!({"source": [sensor], "status": ["SUCCESS"], "action": ["SENSOR_READING"]}))
        .await?;
    let mut numbers = Vec::new();
    let mut historical = 0;
    for entry in &entries {
        let reading = entry.reading()?;
        let attestation = reading["attestation"].as_str().unwrap_or_default();
        ensure!(["unapproved", "valid"].contains(&attestation), "{reading}");
        numbers.push(reading["seq"].as_u64().context("no sequence")?);
        historical += u32::from(reading["historical"] == true);
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
    ensure!(
        historical >= 4,
        "only {historical} readings of the outage arrived"
    );
    Ok(())
}
