//! The program is killed with readings that nobody has yet.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::{PATIENCE, Site, announced};
use fieldledger_attest::reading::Clock;
use fieldledger_held::SLOT_BYTES;
use fieldledger_wire::bulk::Bulk;
use fieldledger_wire::heartbeat::Device;
use tokio::time::timeout;
use uuid::Uuid;

const SENSORS: &str = "\
sensors:
  - { source: !simulated { mean: 21.5, deviation: 0.5, unit: Cel }, alias: Room, poll_interval_ms: 200 }
  - { source: load, poll_interval_ms: 300 }
";

/// Readings that the file is to hold: more than go into one message.
const MANY: usize = 70;

/// Sensor and number of each reading of this boot that waits in the program's file.
fn waiting(site: &Site, boot: &str) -> BTreeSet<(Uuid, u64)> {
    let file = std::fs::read(site.folder.path().join("key.waiting")).unwrap_or_default();
    let sectors = file.chunks_exact(4_096);
    let slots = sectors.flat_map(|sector| sector.chunks_exact(SLOT_BYTES));
    let is_mine = |slot: &&[u8]| slot[..4] == [0x5a; 4] && slot[48..].starts_with(boot.as_bytes());
    let name = |slot: &[u8]| {
        let sensor = Uuid::from_slice(&slot[12..28]).unwrap();
        (sensor, u64::from_le_bytes(slot[28..36].try_into().unwrap()))
    };
    slots.filter(is_mine).map(name).collect()
}

/// Waits until the file holds as many of this boot as `is_enough` wants.
async fn until_waiting(site: &Site, boot: &str, is_enough: impl Fn(usize) -> bool) {
    let holds = async {
        while !is_enough(waiting(site, boot).len()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let in_time = timeout(PATIENCE, holds).await.is_ok();
    let found = waiting(site, boot).len();
    assert!(in_time, "{found} wait; {}", site.device_says());
}

async fn both(site: &Site, heartbeats: &mut async_nats::Subscriber) -> BTreeMap<Uuid, Device> {
    let mut found = BTreeMap::new();
    while found.len() < 2 {
        let device = announced(&site.next(heartbeats).await);
        found.insert(device.id, device);
    }
    found
}

fn boot_of(devices: &BTreeMap<Uuid, Device>) -> String {
    let mut identities = devices.values().map(|device| &device.identity);
    identities.next().unwrap().as_ref().unwrap().boot.clone()
}

#[tokio::test]
async fn what_waits_survives_a_kill_and_arrives_under_the_boot_that_took_it() {
    let mut site = Site::start().await;
    let key = site.keygen();
    let brokers = [site.mqtt()];
    let mut heartbeats = site.subscribe("picow.heartbeat").await;
    site.start_device(&brokers, SENSORS);
    let first_boot = boot_of(&both(&site, &mut heartbeats).await);

    // The server goes, the device reads on, and is killed; the power could have failed.
    site.nats.kill9().await;
    until_waiting(&site, &first_boot, |waiting| waiting >= MANY).await;
    site.kill9_device();
    let kept = waiting(&site, &first_boot);

    // Killed once more before anybody has heard of them: nothing changes.
    site.start_device(&brokers, SENSORS);
    until_waiting(&site, "", |waiting| waiting > kept.len()).await;
    site.kill9_device();
    assert_eq!(waiting(&site, &first_boot), kept);

    site.nats.restart().await.unwrap();
    let mut heartbeats = site.subscribe("picow.heartbeat").await;
    let mut history = site.subscribe("picow.*.history").await;
    site.start_device(&brokers, SENSORS);
    let devices = both(&site, &mut heartbeats).await;
    let mut arrived: BTreeMap<(Uuid, u64), (String, Clock)> = BTreeMap::new();
    let mut boots = BTreeSet::new();
    while arrived.len() < kept.len() {
        let message = site.next(&mut history).await;
        let bulk = Bulk::parse(&message.payload).unwrap();
        let sensor: Uuid = message.subject.split('.').nth(1).unwrap().parse().unwrap();
        bulk.attested(sensor, key).unwrap();
        boots.insert(bulk.boot.clone());
        if bulk.boot == first_boot {
            for reading in &bulk.readings {
                let Clock::Utc(_) = reading.clock else {
                    panic!("this machine knows the time")
                };
                let content = (reading.value.clone(), reading.clock);
                // Sent again it is the same.
                let known = arrived.insert((sensor, reading.seq), content.clone());
                assert!(known.is_none_or(|known| known == content));
            }
        }
        site.acknowledge(&devices[&sensor], &bulk).await;
    }
    let names: BTreeSet<(Uuid, u64)> = arrived.keys().copied().collect();
    assert_eq!(names, kept);
    let mut times: BTreeMap<Uuid, Vec<Clock>> = BTreeMap::new();
    for ((sensor, _), (_, clock)) in &arrived {
        times.entry(*sensor).or_default().push(*clock);
    }
    let in_order = |times: &Vec<Clock>| times.is_sorted_by(|one, next| one < next);
    assert!(times.len() == 2 && times.values().all(in_order));

    // Acknowledged, they are forgotten, and the boot in between is next.
    until_waiting(&site, &first_boot, |waiting| waiting == 0).await;
    // What comes now may have been sent before it heard that.
    boots.insert(boot_of(&devices));
    while boots.len() < 3 {
        let message = site.next(&mut history).await;
        let bulk = Bulk::parse(&message.payload).unwrap();
        let sensor: Uuid = message.subject.split('.').nth(1).unwrap().parse().unwrap();
        site.acknowledge(&devices[&sensor], &bulk).await;
        boots.insert(bulk.boot);
    }
    site.stop_device().await;
}
