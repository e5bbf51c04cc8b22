//! The engine and the device of `firmware/device`, and between them a world that loses polls, answers,
//! history and acknowledgements, stores late, and kills the server with what it has not stored. Once all is
//! well again the log has every number that the device gave, whatever came before.
#![allow(clippy::unwrap_used)]

mod common;

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use common::{SECOND, id, settings};
use fieldledger_attest::identity::DeviceKey;
use fieldledger_chance::proptest_config;
use fieldledger_device::sensor::{Fault, Profile, Sensor, Text};
use fieldledger_device::topics::Style;
use fieldledger_device::{Action as Deed, Config, Device, Now};
use fieldledger_polling::{Action, Engine, Moment, PollResult, Receipt};
use proptest::prelude::*;
use uuid::Uuid;

/// 2026-01-02T03:04:05Z.
const START: u64 = 1_767_323_045 * SECOND;

/// Long enough for a poll, the 5 s in which an answer may still be stored, and every wait of the device.
const ALL_IS_WELL_FOR: u64 = 90 * SECOND;

/// Counts its readings.
struct Counting(Rc<Cell<u64>>);

impl Sensor for Counting {
    fn read(&mut self) -> Result<Text, Fault> {
        self.0.set(self.0.get() + 1);
        Text::try_from("21.5").map_err(|_long| Fault("too long"))
    }
}

#[derive(Debug, Clone)]
enum Event {
    Pass(u64),
    LosePolls(bool),
    LoseAnswers(bool),
    LoseAcks(bool),
    Stall(bool),
    ServerDies,
    BrokerUp(bool),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..3 * SECOND).prop_map(Event::Pass),
        1 => any::<bool>().prop_map(Event::LosePolls),
        1 => any::<bool>().prop_map(Event::LoseAnswers),
        1 => any::<bool>().prop_map(Event::LoseAcks),
        1 => any::<bool>().prop_map(Event::Stall),
        1 => Just(Event::ServerDies),
        2 => any::<bool>().prop_map(Event::BrokerUp),
    ]
}

struct World {
    engine: Engine,
    device: Box<Device<Counting, 1, 512, 8_192>>,
    now: Moment,
    /// Readings that the device took, and so the numbers that it gave.
    count: Rc<Cell<u64>>,
    is_broker_up: bool,
    loses_polls: bool,
    loses_answers: bool,
    loses_acks: bool,
    stalls: bool,
    /// What the server has not stored yet.
    results: Vec<PollResult>,
    records: HashMap<Uuid, Vec<u8>>,
    log: BTreeSet<u64>,
    /// Results of numbers that the log had already.
    doubled: u64,
}

impl World {
    fn new() -> Self {
        let now = Moment {
            steady: 0,
            wall: START,
        };
        let mut config = Config::new([9; 16], "sim".try_into().unwrap(), Style::Nats);
        config.heartbeat_interval = 5 * SECOND;
        config.history_patience_limit = 20 * SECOND;
        let mut brokers = heapless::Vec::new();
        brokers.push("broker".try_into().unwrap()).unwrap();
        let key = DeviceKey::from_seed(&[7; 32]);
        let mut device = Box::new(Device::new(config, key, "boot-1", brokers).unwrap());
        let count = Rc::new(Cell::new(0));
        let profile = Profile {
            id: *id(1).as_bytes(),
            alias: "sensor".try_into().unwrap(),
            location: "hall".try_into().unwrap(),
            unit: "Cel".try_into().unwrap(),
            range: None,
            poll_interval_ms: 1_000,
        };
        device.add_sensor(profile, Counting(count.clone())).unwrap();
        Self {
            engine: Engine::new(settings(), 7, now),
            device,
            now,
            count,
            is_broker_up: true,
            loses_polls: false,
            loses_answers: false,
            loses_acks: false,
            stalls: false,
            results: Vec::new(),
            records: HashMap::new(),
            log: BTreeSet::new(),
            doubled: 0,
        }
    }

    fn device_now(&self) -> Now {
        Now {
            up: self.now.steady,
            utc: None,
        }
    }

    /// The device hears something, if it hears anything.
    fn say(&mut self, topic: &str, payload: &[u8]) {
        let now = self.device_now();
        self.device.message(now, topic, None, payload).unwrap();
    }

    /// Does all that engine and device want done now.
    fn act(&mut self) {
        loop {
            self.engine.tick(self.now);
            let actions = self.engine.take_actions();
            let has_acted = !actions.is_empty();
            for action in actions {
                self.perform(action);
            }
            if !self.stalls {
                self.store();
            }
            if !self.obey() && !has_acted {
                return;
            }
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Poll { subject, poll } if !self.loses_polls => {
                self.say(&subject, &poll.payload());
            }
            Action::Result(result) => self.results.push(result),
            Action::Save { sensor, record } => {
                self.records.insert(sensor, record);
            }
            _ => {}
        }
    }

    /// Does one thing that the device wants done; false where there is none.
    fn obey(&mut self) -> bool {
        let now = self.device_now();
        match self.device.next(now) {
            None => return false,
            Some(Deed::Connect { .. }) => match self.is_broker_up {
                true => self.device.connected(now),
                false => self.device.disconnected(now),
            },
            Some(Deed::Publish { topic, payload }) if topic == "sim.heartbeat" => {
                let _ = self.engine.heartbeat(topic, payload, self.now);
            }
            Some(Deed::Publish { topic, payload }) if !self.loses_answers => {
                self.engine.message(topic, payload, self.now);
            }
            Some(_) => {}
        }
        true
    }

    /// The log has each number once; receipts go out.
    fn store(&mut self) {
        for result in std::mem::take(&mut self.results) {
            let Some(sequence) = result.sequence else {
                continue;
            };
            assert!(result.attestation.is_credible() && !result.sequence_reused);
            self.doubled += u64::from(!self.log.insert(sequence));
            match result.receipt.map(|receipt| *receipt) {
                Some(Receipt::Answer(answer)) => self.engine.answer_stored(answer),
                Some(Receipt::History { subject, ack }) if !self.loses_acks => {
                    let ack = serde_json::to_vec(&ack).unwrap();
                    self.say(subject.as_str(), &ack);
                }
                _ => {}
            }
        }
    }

    fn pass(&mut self, time: u64) {
        let end = self.now.steady + time;
        self.act();
        while self.now.steady < end {
            let wakes = [self.engine.next_wake(), Some(self.device.wake_at())];
            let next = wakes.into_iter().flatten().min().unwrap_or(end);
            let passed = next.clamp(self.now.steady + 1, end) - self.now.steady;
            self.now.steady += passed;
            self.now.wall += passed;
            self.act();
        }
    }

    fn step(&mut self, event: &Event) {
        match event {
            Event::Pass(time) => self.pass(*time),
            Event::LosePolls(lose) => self.loses_polls = *lose,
            Event::LoseAnswers(lose) => self.loses_answers = *lose,
            Event::LoseAcks(lose) => self.loses_acks = *lose,
            Event::Stall(stall) => self.stalls = *stall,
            Event::ServerDies => {
                self.results.clear();
                self.engine = Engine::new(settings(), 7, self.now);
                for record in self.records.values() {
                    self.engine.restore(record, self.now).unwrap();
                }
            }
            Event::BrokerUp(is_up) => {
                self.is_broker_up = *is_up;
                if !is_up && self.device.is_connected() {
                    self.device.disconnected(self.device_now());
                }
            }
        }
    }

    fn settle(&mut self) {
        for event in [
            Event::LosePolls(false),
            Event::LoseAnswers(false),
            Event::LoseAcks(false),
            Event::Stall(false),
            Event::BrokerUp(true),
        ] {
            self.step(&event);
        }
        self.pass(ALL_IS_WELL_FOR);
        let given: BTreeSet<u64> = (0..self.count.get()).collect();
        let missing: Vec<_> = given.difference(&self.log).collect();
        assert!(missing.is_empty(), "{missing:?} of {}", given.len());
        assert_eq!(self.log.len(), given.len(), "a number that was never given");
        // The last answer may still have to be named.
        let (waiting, lost) = self.device.waiting_and_lost();
        assert!(waiting <= 1, "{waiting} are kept");
        assert_eq!((lost, self.device.unconfirmed()), (0, 0));
    }
}

#[test]
fn where_nothing_is_lost_nothing_is_sent_twice() {
    let mut world = World::new();
    world.pass(60 * SECOND);
    world.settle();
    assert_eq!(world.doubled, 0);
    assert!(world.count.get() > 100);
}

#[test]
fn a_server_that_dies_costs_some_copies_and_no_reading() {
    let mut world = World::new();
    world.pass(20 * SECOND);
    world.step(&Event::Stall(true));
    world.pass(3 * SECOND);
    assert!(!world.results.is_empty());
    world.step(&Event::ServerDies);
    world.settle();
    assert!(world.doubled <= 2, "{}", world.doubled);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..proptest_config() })]

    #[test]
    fn the_log_has_every_number_in_the_end(events in prop::collection::vec(event(), 0..60)) {
        let mut world = World::new();
        for event in &events {
            world.step(event);
        }
        world.settle();
    }
}
