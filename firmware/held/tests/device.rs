//! A device on flash whose power fails at any write and any erase, beside a server that adds up what it has.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::{Board, Flash, open};
use fieldledger_attest::identity::DeviceKey;
use fieldledger_attest::reading::Clock;
use fieldledger_chance::proptest_config;
use fieldledger_device::brokers::Address;
use fieldledger_device::clock::SECOND;
use fieldledger_device::sensor::{DEVICE_NUMBER, Fault, Profile, Sensor, Text, derived_id};
use fieldledger_device::topics::Style;
use fieldledger_device::{Action, Config, Device, Kept, Now};
use fieldledger_held::Store;
use fieldledger_wire::bulk::Bulk;
use fieldledger_wire::reply::Reply;
use proptest::prelude::*;
use uuid::Uuid;

const SENSORS: u32 = 2;

/// So many that none gives way: every reading of a case has room, 60 steps of five seconds each.
const SECTORS: usize = 400;

type TestDevice = Device<Counting, 2, 512, 8_192>;

/// Counts, from another number in every boot.
struct Counting(u64);

impl Sensor for Counting {
    fn read(&mut self) -> Result<Text, Fault> {
        self.0 += 1;
        Text::try_from(format!("{}.5", self.0).as_str()).map_err(|_long| Fault("too long"))
    }
}

/// Boot, sensor and number of a reading.
type Name = (String, Uuid, u64);

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Poll(u32),
    BrokerDown,
    BrokerUp,
    LoseAcks(bool),
    /// After so many more writes and erases.
    CutPower(u32),
    /// Without a write under way.
    Reboot,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..5_000_000_u64).prop_map(Step::Pass),
        3 => (0..SENSORS).prop_map(Step::Poll),
        2 => Just(Step::BrokerDown),
        2 => Just(Step::BrokerUp),
        1 => any::<bool>().prop_map(Step::LoseAcks),
        3 => (0..12_u32).prop_map(Step::CutPower),
        1 => Just(Step::Reboot),
    ]
}

/// What outlives a boot.
#[derive(Default)]
struct World {
    boot: u32,
    is_broker_up: bool,
    loses_acks: bool,
    /// Of which the store said that they are kept.
    kept: BTreeMap<Name, (String, Clock)>,
    /// What the server has.
    log: BTreeMap<Name, (String, Clock)>,
    /// The highest number of history that the server had first, of each boot and sensor.
    newest: BTreeMap<(String, Uuid), u64>,
}

fn key() -> DeviceKey {
    DeviceKey::from_seed(&[5; 32])
}

fn sensor(number: u32) -> Uuid {
    Uuid::from_bytes(derived_id(&key().public(), number))
}

fn switch_on(boot: u32) -> TestDevice {
    let id = derived_id(&key().public(), DEVICE_NUMBER);
    let mut config = Config::new(id, "picow".try_into().unwrap(), Style::Mqtt);
    config.history_batch = 20;
    config.history_patience_limit = 20 * SECOND;
    let mut brokers = heapless::Vec::new();
    brokers.push(Address::try_from("first").unwrap()).unwrap();
    let mut device = Device::new(config, key(), &format!("boot-{boot}"), brokers).unwrap();
    for number in 0..SENSORS {
        let profile = Profile {
            id: *sensor(number).as_bytes(),
            alias: "a".try_into().unwrap(),
            location: "b".try_into().unwrap(),
            unit: "Cel".try_into().unwrap(),
            range: None,
            poll_interval_ms: 1_000,
        };
        let first = u64::from(boot) * 1_000_000;
        device.add_sensor(profile, Counting(first)).unwrap();
    }
    device
}

/// The power is off.
struct Off;

/// One boot of the device.
struct Boot<'w, 'f> {
    world: &'w mut World,
    device: TestDevice,
    store: Store<Board<'f>>,
    up: u64,
}

impl Boot<'_, '_> {
    fn now(&self) -> Now {
        let (up, utc) = (self.up, None);
        Now { up, utc }
    }

    fn drain(&mut self) -> Result<(), Off> {
        for _ in 0..1_000 {
            let now = self.now();
            let Some(action) = self.device.next(now) else {
                if self.device.wants_earlier() {
                    let give = |kept: &Kept<'_>| self.device.take_earlier(kept);
                    self.store.give_earlier(give).map_err(|_| Off)?;
                }
                return Ok(());
            };
            match action {
                Action::Keep(kept) => {
                    self.store.keep(&kept).map_err(|_| Off)?;
                    let sensor = Uuid::from_bytes(kept.sensor);
                    let name = (kept.boot.to_owned(), sensor, kept.sequence);
                    let content = (kept.value.to_owned(), kept.clock);
                    self.world.kept.insert(name, content);
                }
                Action::Forget {
                    sensor,
                    boot,
                    through,
                } => {
                    let forgotten = self.store.forget(sensor, boot, through);
                    forgotten.map_err(|_| Off)?;
                }
                Action::Connect { .. } if self.world.is_broker_up => self.device.connected(now),
                Action::Connect { .. } => self.device.disconnected(now),
                Action::Publish { topic, payload } => {
                    let (topic, payload) = (topic.to_owned(), payload.to_owned());
                    self.hear(&topic, &payload);
                }
                Action::Subscribe { .. } => {}
                Action::Set { .. } => panic!("there are no outputs"),
                Action::KeepBrokers(_) => panic!("nobody sent any"),
            }
        }
        panic!("the device never rests")
    }

    fn hear(&mut self, topic: &str, payload: &[u8]) {
        let Some(sensor) = topic.split('/').nth(1).and_then(|id| id.parse().ok()) else {
            return;
        };
        if topic.ends_with("/read") {
            let reply = Reply::parse(payload).unwrap();
            reply.attested(sensor, key().public()).unwrap();
            let content = (reply.value.clone(), reply.clock().unwrap());
            self.world
                .append((reply.boot, sensor, reply.seq.unwrap()), content);
        }
        if !topic.ends_with("/history") {
            return;
        }
        let bulk = Bulk::parse(payload).unwrap();
        bulk.attested(sensor, key().public()).unwrap();
        for reading in &bulk.readings {
            let name = (bulk.boot.clone(), sensor, reading.seq);
            if !self.world.log.contains_key(&name) {
                let newest = self.world.newest.entry((bulk.boot.clone(), sensor));
                let before = newest.or_default();
                assert!(*before <= reading.seq, "{name:?} comes after {before}");
                *before = reading.seq;
            }
            self.world
                .append(name, (reading.value.clone(), reading.clock));
        }
        if !self.world.loses_acks {
            let topic = format!("picow/{sensor}/history_ack");
            let ack = serde_json::to_vec(&bulk.ack()).unwrap();
            self.device.message(self.now(), &topic, None, &ack).unwrap();
        }
    }

    fn pass(&mut self, time: u64) -> Result<(), Off> {
        let end = self.up + time;
        self.drain()?;
        while self.up < end {
            self.up = self.device.wake_at().clamp(self.up, end);
            self.drain()?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), Off> {
        match step {
            Step::Pass(time) => return self.pass(*time),
            Step::Poll(number) => {
                let topic = format!("picow/{}/poll", sensor(*number));
                let poll = br#"{"poll":1,"boot":"","stored":[]}"#;
                self.device.message(self.now(), &topic, None, poll).unwrap();
                return self.drain();
            }
            Step::BrokerDown => {
                self.world.is_broker_up = false;
                self.device.disconnected(self.now());
            }
            Step::BrokerUp => self.world.is_broker_up = true,
            Step::LoseAcks(lose) => self.world.loses_acks = *lose,
            Step::CutPower(operations) => {
                let cut = self.store.with_flash(|board| {
                    board.0.operations_left = Some(*operations);
                    Ok(())
                });
                cut.unwrap();
            }
            Step::Reboot => return Err(Off),
        }
        Ok(())
    }
}

impl World {
    /// The log has each number once.
    fn append(&mut self, name: Name, content: (String, Clock)) {
        let known = self.log.get(&name);
        assert!(
            known.is_none_or(|known| *known == content),
            "one number, two readings"
        );
        self.log.insert(name, content);
    }

    /// Switches the device on; its power fails at the end at the latest.
    fn boot(&mut self, flash: &mut Flash, live: impl FnOnce(&mut Boot<'_, '_>) -> Result<(), Off>) {
        flash.has_power = true;
        flash.operations_left = None;
        self.boot += 1;
        let mut boot = Boot {
            device: switch_on(self.boot),
            store: Store::new(Some(open(flash).unwrap())),
            up: 0,
            world: self,
        };
        // Whichever way it ended.
        let _ = live(&mut boot);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..proptest_config() })]

    #[test]
    fn what_was_kept_reaches_the_server_whenever_the_power_fails(
        steps in prop::collection::vec(step(), 1..60),
        chance in 1..u64::MAX,
    ) {
        let mut flash = Flash::new(SECTORS);
        flash.chance = chance;
        let mut world = World { is_broker_up: true, ..World::default() };
        let mut rest = steps.iter().peekable();
        while rest.peek().is_some() {
            world.boot(&mut flash, |boot| rest.try_for_each(|step| boot.step(step)));
        }
        // All is well again, until nothing of earlier boots is left.
        (world.is_broker_up, world.loses_acks) = (true, false);
        let mut is_left = true;
        world.boot(&mut flash, |boot| {
            for _ in 0..1_000 {
                boot.pass(SECOND)?;
                is_left = !boot.device.is_connected() || !boot.device.wants_earlier();
                if !is_left {
                    break;
                }
            }
            Ok(())
        });
        prop_assert!(!is_left, "it never comes to an end");
        let boot = format!("boot-{}", world.boot);
        for (name, content) in world.kept.iter().filter(|(name, _)| name.0 != boot) {
            prop_assert_eq!(world.log.get(name), Some(content), "{:?} is lost", name);
        }
        // And the flash has nothing left of it.
        let mut left = Vec::new();
        let mut ring = open(&mut flash).unwrap();
        ring.give(|kept| {
            left.push(kept.boot.to_owned());
            true
        }).unwrap();
        prop_assert!(left.iter().all(|of| *of == boot), "{:?}", left);
    }
}
