//! Devices without keys that pretend: to be another, to have answered, to know the time. What can be
//! distinguished from honest ones is refused or recorded for what it is, and those beside them lose
//! nothing.
//!
//! In the open field anybody may publish as anybody, so a liar who is faster than the device that he
//! imitates, and gets all right, is trusted there; `access.rs` has the field where he is not.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use async_nats::{Client, Subscriber};
use fieldledger_e2e::{
    account,
    api::{Api, Entry},
    device::{Device, Poll, heartbeat, sensor_id},
    plant::{PATIENCE, Plant, until},
};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// The boot of the device whose numbers are stolen.
const BOOT: &str = "honest-1";

/// What impostors measure.
const FALSE_VALUE: &str = "666";

/// Readings of a device after which there was enough time for a lie to be accepted.
const ENOUGH: usize = 6;

const UNSOLICITED: &str = "fieldledger_polling_unsolicited_total";
const REFUSED: &str = "fieldledger_polling_heartbeats_rejected_total";

#[tokio::test(flavor = "multi_thread")]
async fn impostors_are_known_and_honest_devices_lose_no_reading() -> Result<()> {
    let plant = Plant::start().await?;
    let client = plant.nats().await?;
    let api = &plant.api;
    let mut heartbeats = client.subscribe("sim.heartbeat").await?;
    client.flush().await?;
    let record = plant.path("honest.jsonl").display().to_string();
    let arguments = ["--sensors", "4", "--interval", "300", "--no-faulty"];
    let arguments = [
        &arguments[..],
        &["--heartbeat", "2000", "--record", &record],
    ]
    .concat();
    let honest = plant.site.start_simulator("honest", &arguments).await?;
    let victim = announced(&mut heartbeats).await?;
    drop(heartbeats);

    forged_ids(api, &client, &victim).await?;
    replayed_answers(api, &client).await?;
    stolen_numbers(api, &client).await?;
    clocks_far_off(api, &client).await?;
    a_flood_of_answers(api, &client).await?;
    false_news_of_the_living(api, &client).await?;

    let process = honest.stop().await;
    let answers = account::answers(&plant.path("honest.jsonl"))?;
    ensure!(answers.len() > 4 * 30, "{}", process.log_tail());
    until("honest readings are in the log", PATIENCE, async || {
        plant.until_settled().await?;
        let readings = account::readings(api, &answers).await?;
        let missing = account::settle(&answers, &readings)?;
        ensure!(missing.is_empty(), "missing: {missing:?}");
        for entry in readings.values().flatten() {
            let raw = entry.reading()?["raw"].clone();
            ensure!(raw != FALSE_VALUE, "{:?}", entry.envelope);
        }
        Ok(Some(()))
    })
    .await?;
    plant.finish().await;
    Ok(())
}

async fn announced(heartbeats: &mut Subscriber) -> Result<Value> {
    let message = tokio::time::timeout(PATIENCE, heartbeats.next()).await?;
    let message = message.context("no heartbeat")?;
    Ok(serde_json::from_slice(&message.payload)?)
}

/// Another's heartbeat with topics of one's own, or with all of its own far too often.
async fn forged_ids(api: &Api, client: &Client, victim: &Value) -> Result<()> {
    const REPEATED: usize = 300;
    let own = heartbeat(&sensor_id(1));
    let mut forged = Vec::new();
    for topic in ["poll_topic", "read_topic", "disconnect_topic"] {
        // The victim, reached elsewhere; and the impostor, who would speak for the victim.
        for (whose, taken) in [(victim, &own), (&own, victim)] {
            let mut heartbeat = whose.clone();
            heartbeat[topic] = taken[topic].clone();
            forged.push(heartbeat);
        }
    }
    are_refused(api, client, &forged, forged.len()).await?;
    // A burst of ten and one a second are let through.
    let repeated = vec![victim.clone(); REPEATED];
    are_refused(api, client, &repeated, REPEATED - 50).await?;
    let id = victim["id"].as_str().context("no id")?;
    let listed = api.get_json(&format!("/api/sensors/{id}")).await?;
    ensure!(listed["alias"] == victim["alias"], "{listed}");
    let impostor = api.get(&format!("/api/sensors/{}", sensor_id(1))).await?;
    ensure!(impostor.status == 404, "a forged heartbeat was accepted");
    Ok(())
}

/// Sends heartbeats of which at least so many are refused.
async fn are_refused(api: &Api, client: &Client, sent: &[Value], least: usize) -> Result<()> {
    let before = api.metric(REFUSED).await?;
    for heartbeat in sent {
        let payload = heartbeat.to_string().into();
        client.publish("sim.heartbeat", payload).await?;
    }
    client.flush().await?;
    until("forged heartbeats are refused", PATIENCE, async || {
        let refused = api.metric(REFUSED).await? - before;
        ensure!(refused >= least as f64, "{refused} of {least} are");
        Ok(Some(()))
    })
    .await
}

/// A device that counts, says which poll it answers, and answers on its read topic, where everybody
/// hears it.
async fn counting(client: &Client, id: &str) -> Result<Device> {
    let count = AtomicU64::new(0);
    Device::start(client, "sim.heartbeat", &quick(id), move |poll| {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        vec![poll.published(answer(&value_of(number), number, poll))]
    })
    .await
}

fn quick(id: &str) -> Value {
    let mut heartbeat = heartbeat(id);
    heartbeat["poll_interval"] = json!(300);
    heartbeat
}

fn answer(value: &str, number: u64, poll: &Poll) -> String {
    json!({"value": value, "seq": number, "boot": BOOT, "poll": poll.number}).to_string()
}

/// What a counting device measures when it counts `number`.
fn value_of(number: u64) -> String {
    format!("{number}.5")
}

/// Waits until there is enough of a counting device in the log, and checks that it is all of it: each
/// number once, in order, with its own value.
async fn is_complete(api: &Api, id: &str) -> Result<()> {
    until(&format!("enough readings of {id}"), PATIENCE, async || {
        let mut entries = readings_of(api, id).await?;
        // Where this machine is too slow for a poll, that is written down, and the answer after it.
        entries.retain(|entry| entry.field("status") != "COMM_ERROR");
        for (number, entry) in (1..).zip(&entries) {
            let reading = entry.reading()?;
            let is_good = reading["quality"] == "Good" || reading["late"] == true;
            ensure!(
                reading["seq"] == number && reading["raw"] == value_of(number) && is_good,
                "{reading} where number {number} belongs"
            );
        }
        Ok((entries.len() >= ENOUGH).then_some(()))
    })
    .await
}

async fn readings_of(api: &Api, id: &str) -> Result<Vec<Entry>> {
    api.entries(json!({"source": [id], "action": ["SENSOR_READING"]}))
        .await
}

/// Sends the last answer of a device again, byte for byte, at each poll of it and of another one.
struct Parrot(JoinHandle<()>);

impl Parrot {
    async fn start(client: &Client, of: &str, and: &str) -> Result<Self> {
        let subjects = [of, and].map(|id| format!("sim.read.{id}"));
        let mut answers = client.subscribe(subjects[0].clone()).await?;
        let mut polls = client.subscribe("sim.poll.*").await?;
        client.flush().await?;
        let client = client.clone();
        Ok(Self(tokio::spawn(async move {
            let mut heard = None;
            loop {
                tokio::select! {
                    Some(answer) = answers.next() => heard = Some(answer.payload),
                    Some(_) = polls.next() => {}
                    else => return,
                }
                for subject in &subjects {
                    let Some(again) = heard.clone() else { continue };
                    if client.publish(subject.clone(), again).await.is_err() {
                        return;
                    }
                }
                // It hears its own words too.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })))
    }
}

impl Drop for Parrot {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An answer that says which poll it is for answers no other one, of this device or of another.
async fn replayed_answers(api: &Api, client: &Client) -> Result<()> {
    let (id, other) = (sensor_id(2), sensor_id(3));
    let before = api.metric(UNSOLICITED).await?;
    let _parrot = Parrot::start(client, &id, &other).await?;
    let devices = (
        counting(client, &id).await?,
        counting(client, &other).await?,
    );
    is_complete(api, &id).await?;
    is_complete(api, &other).await?;
    let refused = api.metric(UNSOLICITED).await? - before;
    ensure!(
        refused >= ENOUGH as f64,
        "only {refused} answers were refused"
    );
    drop(devices);
    leave(client, &[&id, &other]).await
}

/// An impostor's own answers with another's boot and numbers, those still to come: they are the
/// impostor's, and take nothing from the other one.
async fn stolen_numbers(api: &Api, client: &Client) -> Result<()> {
    let (id, thief) = (sensor_id(4), sensor_id(5));
    let count = AtomicU64::new(0);
    let thieving = Device::start(client, "sim.heartbeat", &quick(&thief), move |poll| {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        vec![poll.direct(answer(FALSE_VALUE, number, poll))]
    })
    .await?;
    until("the thief's numbers are in the log", PATIENCE, async || {
        Ok((readings_of(api, &thief).await?.len() >= ENOUGH).then_some(()))
    })
    .await?;
    let device = counting(client, &id).await?;
    is_complete(api, &id).await?;
    for (owner, entries) in [
        (&id, readings_of(api, &id).await?),
        (&thief, readings_of(api, &thief).await?),
    ] {
        for entry in entries {
            let producer = entry.envelope.producer.as_deref();
            let expected = format!("reading/{owner}/{BOOT}");
            ensure!(producer == Some(&expected), "{:?}", entry.envelope);
        }
    }
    drop((device, thieving));
    leave(client, &[&id, &thief]).await
}

/// What a device takes for the time is written down as that, and orders nothing.
async fn clocks_far_off(api: &Api, client: &Client) -> Result<()> {
    const IN_2255: u64 = 9_007_199_254_740_991;
    let began = now_micros()?;
    for (sensor, at) in [(6, 0), (7, IN_2255)] {
        let id = sensor_id(sensor);
        let device = Device::start(client, "sim.heartbeat", &quick(&id), move |poll| {
            let said = json!({"value": 20.5, "seq": poll.number, "boot": BOOT, "at": at});
            vec![poll.direct(said.to_string())]
        })
        .await?;
        let reading = first_answer(api, &id).await?.reading()?;
        ensure!(reading["device_at"] == at, "{reading}");
        let polled_at = reading["polled_at"].as_u64().context("no time")?;
        ensure!(
            (began..=now_micros()?).contains(&polled_at),
            "{reading}, and it began at {began}"
        );
        drop(device);
        leave(client, &[&id]).await?;
    }
    // No number of microseconds that JSON could hold: the value stands without it, and says so.
    let id = sensor_id(8);
    let device = Device::start(client, "sim.heartbeat", &quick(&id), |poll| {
        vec![poll.direct(r#"{"value":20.5,"at":"9999-12-31T23:59:59Z"}"#)]
    })
    .await?;
    let reading = first_answer(api, &id).await?.reading()?;
    let reason = reading["reason"].as_str().unwrap_or_default();
    ensure!(
        reading["value"] == "20.5"
            && reading["device_at"].is_null()
            && reading["quality"] == "UncertainSubNormal"
            && reason.starts_with("field at is"),
        "{reading}"
    );
    drop(device);
    leave(client, &[&id]).await
}

async fn first_answer(api: &Api, id: &str) -> Result<Entry> {
    until(&format!("an answer of {id}"), PATIENCE, async || {
        let mut entries = readings_of(api, id).await?.into_iter();
        Ok(entries.find(|entry| entry.field("status") != "COMM_ERROR"))
    })
    .await
}

fn now_micros() -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(u64::try_from(now.as_micros())?)
}

/// Hundreds of answers to one poll are one reading, the first.
async fn a_flood_of_answers(api: &Api, client: &Client) -> Result<()> {
    const ANSWERS: usize = 500;
    let id = sensor_id(9);
    let before = api.metric(UNSOLICITED).await?;
    let device = Device::start(client, "sim.heartbeat", &quick(&id), |poll| {
        vec![poll.direct(FALSE_VALUE); ANSWERS]
    })
    .await?;
    until("enough of the flood is in the log", PATIENCE, async || {
        let mut polls = Vec::new();
        for entry in readings_of(api, &id).await? {
            let poll = entry.reading()?["poll"].clone();
            ensure!(!polls.contains(&poll), "{poll} is there twice");
            polls.push(poll);
        }
        Ok((polls.len() >= ENOUGH).then_some(()))
    })
    .await?;
    let refused = api.metric(UNSOLICITED).await? - before;
    let least = (ENOUGH - 1) * (ANSWERS - 1);
    ensure!(refused >= least as f64, "{refused} refused, not {least}");
    drop(device);
    leave(client, &[&id]).await
}

/// A sensor that answers has neither moved nor left, whoever says so in its name; one that is gone has.
async fn false_news_of_the_living(api: &Api, client: &Client) -> Result<()> {
    let id = sensor_id(10);
    let device = counting(client, &id).await?;
    is_complete(api, &id).await?;
    let mut moved = Vec::new();
    for topic in ["poll_topic", "read_topic", "disconnect_topic"] {
        let mut heartbeat = quick(&id);
        heartbeat[topic] = json!(format!("sim.elsewhere.{id}"));
        moved.push(heartbeat);
    }
    are_refused(api, client, &moved, moved.len()).await?;
    let before = readings_of(api, &id).await?.len();
    leave(client, &[&id]).await?;
    // It announces itself but once, so that whoever had forgotten it would never hear of it again.
    until("readings after a forged farewell", PATIENCE, async || {
        let readings = readings_of(api, &id).await?.len();
        Ok((readings >= before + ENOUGH).then_some(()))
    })
    .await?;
    is_complete(api, &id).await?;
    drop(device);
    leave(client, &[&id]).await?;
    until("the sensor is forgotten", PATIENCE, async || {
        let asked = api.get(&format!("/api/sensors/{id}")).await?;
        Ok((asked.status == 404).then_some(()))
    })
    .await
}

async fn leave(client: &Client, ids: &[&String]) -> Result<()> {
    for id in ids {
        client
            .publish(format!("sim.disconnect.{id}"), "bye".into())
            .await?;
    }
    Ok(client.flush().await?)
}
