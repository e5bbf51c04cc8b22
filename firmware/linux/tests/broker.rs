//! The program against a real nats-server, over MQTT and over NATS.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{Site, announced, until_holds};
use fieldledger_attest::reading::Clock;
use fieldledger_wire::bulk::Bulk;
use fieldledger_wire::heartbeat::Device;
use fieldledger_wire::reply::Reply;
use serde_json::{Value, json};
use uuid::Uuid;

const SENSORS: &str = "\
sensors:
  - { source: !simulated { mean: 21.5, deviation: 0.5, unit: Cel }, alias: Room, poll_interval_ms: 200 }
  - { source: load, poll_interval_ms: 300 }
";

/// How long the broker is away: there is nothing to see of it but the readings afterwards.
const OUTAGE: Duration = Duration::from_secs(3);

fn utc() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_micros() as u64
}

async fn both(site: &Site, heartbeats: &mut async_nats::Subscriber) -> Vec<Device> {
    let mut found: BTreeMap<Uuid, Device> = BTreeMap::new();
    while found.len() < 2 {
        let device = announced(&site.next(heartbeats).await);
        found.insert(device.id, device);
    }
    found.into_values().collect()
}

#[tokio::test]
async fn readings_of_an_outage_arrive_afterwards_and_every_signature_holds() {
    let mut site = Site::start().await;
    let key = site.keygen();
    let mut heartbeats = site.subscribe("picow.heartbeat").await;
    let mut answers = site.subscribe("picow.*.read").await;
    let mut history = site.subscribe("picow.*.history").await;
    let brokers = [site.mqtt()];
    site.start_device(&brokers, SENSORS);

    // It announces both sensors, under one key, and answers polls.
    let devices = both(&site, &mut heartbeats).await;
    let mut seen: BTreeMap<(Uuid, u64), String> = BTreeMap::new();
    let mut boot = None;
    for (device, number) in devices.iter().zip(1..) {
        let identity = device.identity.as_ref().unwrap();
        assert_eq!(identity.key, key);
        assert!(boot.get_or_insert(identity.boot.clone()) == &identity.boot);
        let reply = site.poll(device, &mut answers, number).await;
        assert_eq!(reply.poll, Some(number));
        assert_eq!(reply.boot, identity.boot);
        reply.attested(device.id, key).unwrap();
        seen.insert((device.id, reply.seq.unwrap()), reply.value);
    }

    // The broker is killed, and comes back.
    site.nats.kill9().await;
    let lost_at = utc();
    tokio::time::sleep(OUTAGE).await;
    let back_at = utc();
    site.nats.restart().await.unwrap();

    // What was read meanwhile arrives, and of both sensors.
    let mut during: BTreeMap<Uuid, BTreeSet<u64>> = BTreeMap::new();
    while devices
        .iter()
        .any(|device| during.get(&device.id).is_none_or(|found| found.len() < 5))
    {
        let message = site.next(&mut history).await;
        let bulk = Bulk::parse(&message.payload).unwrap();
        let sensor = message.subject.split('.').nth(1).unwrap().parse().unwrap();
        let device = devices.iter().find(|device| device.id == sensor).unwrap();
        assert_eq!(message.subject.as_str(), device.read.history().as_str());
        let evidence = bulk.attested(sensor, key).unwrap();
        assert_eq!(evidence.len(), bulk.readings.len());
        assert_eq!(Some(&bulk.boot), boot.as_ref());
        for reading in &bulk.readings {
            let Clock::Utc(at) = reading.clock else {
                panic!("this machine knows the time")
            };
            if (lost_at..back_at).contains(&at) {
                during.entry(sensor).or_default().insert(reading.seq);
            }
            // Sent again it is the same; and no number was an answer's before.
            let known = seen.insert((sensor, reading.seq), reading.value.clone());
            assert!(known.is_none_or(|known| known == reading.value));
        }
        site.acknowledge(device, &bulk).await;
    }

    // Once acknowledged it is not sent again: the next history begins later.
    let acknowledged: BTreeMap<Uuid, u64> = seen.keys().copied().collect();
    let message = site.next(&mut history).await;
    let bulk = Bulk::parse(&message.payload).unwrap();
    let sensor: Uuid = message.subject.split('.').nth(1).unwrap().parse().unwrap();
    let overlap = bulk.readings[0].seq <= acknowledged[&sensor];
    assert!(!overlap, "{} of {acknowledged:?}", bulk.readings[0].seq);

    // It is polled again, and says goodbye when it is stopped.
    let reply = site.poll(&devices[0], &mut answers, 77).await;
    reply.attested(devices[0].id, key).unwrap();
    let mut goodbyes = site.subscribe("picow.*.disconnect").await;
    site.stop_device().await;
    site.next(&mut goodbyes).await;
    site.next(&mut goodbyes).await;
}

#[tokio::test]
async fn over_nats_a_poll_is_answered_on_its_reply_subject() {
    let mut site = Site::start().await;
    let key = site.keygen();
    let mut heartbeats = site.subscribe("picow.heartbeat").await;
    // The first broker of the list is not there: the device takes the next one.
    let brokers = ["mqtt://127.0.0.1:9".to_owned(), site.nats.url()];
    site.start_device(&brokers, SENSORS);
    for device in both(&site, &mut heartbeats).await {
        let subject = device.poll.to_string();
        let answer = site
            .client
            .request(subject, r#"{"poll":5}"#.into())
            .await
            .unwrap();
        let reply = Reply::parse(&answer.payload).unwrap();
        assert_eq!(reply.poll, Some(5));
        reply.attested(device.id, key).unwrap();
    }
    site.stop_device().await;
}

#[tokio::test]
async fn a_device_falls_back_and_goes_where_a_new_list_sends_it() {
    let mut first = Site::start().await;
    let second = Site::start().await;
    let key = first.keygen();
    let mut at_first = first.subscribe("picow.heartbeat").await;
    let mut at_second = second.subscribe("picow.heartbeat").await;
    let mut answers = second.subscribe("picow.*.read").await;
    let brokers = [first.mqtt(), second.mqtt()];
    first.start_device(&brokers, SENSORS);
    let device = both(&first, &mut at_first).await.remove(0);

    first.nats.kill9().await;
    let beside = both(&second, &mut at_second).await.remove(0);
    let (before, after) = (device.identity.unwrap(), beside.identity.clone().unwrap());
    assert_eq!((&before.boot, before.key), (&after.boot, after.key));
    assert!(before.beat < after.beat);
    let reply = second.poll(&beside, &mut answers, 3).await;
    reply.attested(beside.id, key).unwrap();

    first.nats.restart().await.unwrap();
    let number = fieldledger_device::sensor::DEVICE_NUMBER;
    let id = Uuid::from_bytes(fieldledger_device::sensor::derived_id(&key, number));
    let list = json!({"version": 1, "brokers": [first.nats.url()]}).to_string();
    let subject = format!("picow.{id}.brokers");
    second.client.publish(subject, list.into()).await.unwrap();
    let back = both(&first, &mut at_first).await.remove(0);
    assert!(after.beat < back.identity.unwrap().beat);
    first.stop_device().await;
}

#[tokio::test]
async fn a_list_that_was_sent_outlives_a_kill_until_the_settings_name_others() {
    let mut first = Site::start().await;
    let second = Site::start().await;
    let key = first.keygen();
    let mut at_first = first.subscribe("picow.heartbeat").await;
    let mut at_second = second.subscribe("picow.heartbeat").await;
    let brokers = [first.mqtt()];
    first.start_device(&brokers, SENSORS);
    let device = both(&first, &mut at_first).await.remove(0);

    let number = fieldledger_device::sensor::DEVICE_NUMBER;
    let id = Uuid::from_bytes(fieldledger_device::sensor::derived_id(&key, number));
    let list = json!({"version": 7, "brokers": [second.mqtt()]}).to_string();
    let subject = format!("picow.{id}.brokers");
    first.client.publish(subject, list.into()).await.unwrap();
    let moved = both(&second, &mut at_second).await.remove(0);
    assert_eq!(boot_of(&moved), boot_of(&device));

    first.kill9_device();
    first.start_device(&brokers, SENSORS);
    let is_new = |device: &Device| boot_of(device) != boot_of(&moved);
    let again = until_seen(&second, &mut at_second, is_new).await;

    // Somebody who changes the settings means it.
    first.kill9_device();
    first.start_device(&[first.mqtt(), "mqtt://127.0.0.1:9".to_owned()], SENSORS);
    let is_new =
        |device: &Device| boot_of(device) != boot_of(&again) && boot_of(device) != boot_of(&moved);
    until_seen(&first, &mut at_first, is_new).await;
    first.stop_device().await;
}

fn boot_of(device: &Device) -> &str {
    &device.identity.as_ref().unwrap().boot
}

/// The first heartbeat that is wanted.
async fn until_seen(
    site: &Site,
    heartbeats: &mut async_nats::Subscriber,
    is_wanted: impl Fn(&Device) -> bool,
) -> Device {
    loop {
        let device = announced(&site.next(heartbeats).await);
        if is_wanted(&device) {
            return device;
        }
    }
}

#[tokio::test]
async fn an_output_is_neutral_before_and_after_a_command() {
    let mut site = Site::start().await;
    let key = site.keygen();
    let file = site.folder.path().join("valve");
    let mut heartbeats = site.subscribe("picow.heartbeat").await;
    let mut acks = site.subscribe("picow.*.command_ack").await;
    let brokers = [site.mqtt()];
    let output = format!("{SENSORS}outputs: [{{ channel: valve, file: {file:?} }}]\n");
    site.start_device(&brokers, &output);
    let device = both(&site, &mut heartbeats).await.remove(0);
    until_holds(&file, "0").await;
    let boot = &device.identity.unwrap().boot;
    let number = fieldledger_device::sensor::DEVICE_NUMBER;
    let id = Uuid::from_bytes(fieldledger_device::sensor::derived_id(&key, number));
    let mut command = json!({
        "boot": boot, "channel": "valve", "epoch": 1, "seq": 0, "on": true, "for": 2_000,
    });
    let mut send = async |command: &Value| {
        let subject = format!("picow.{id}.command");
        site.client
            .publish(subject, command.to_string().into())
            .await
            .unwrap();
        let ack: Value = serde_json::from_slice(&site.next(&mut acks).await.payload).unwrap();
        ack["verdict"].as_str().unwrap().to_owned()
    };
    assert_eq!(send(&command).await, "done");
    until_holds(&file, "1").await;
    assert_eq!(send(&command).await, "repeated");
    until_holds(&file, "0").await;
    command["seq"] = json!(1);
    command["for"] = json!(3_600_000);
    assert_eq!(send(&command).await, "done");
    until_holds(&file, "1").await;
    // Stopped, it leaves nothing open.
    site.stop_device().await;
    until_holds(&file, "0").await;
}
