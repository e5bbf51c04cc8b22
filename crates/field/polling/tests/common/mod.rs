//! A field that exists in memory: a clock, and books of what the engine asked for.
#![allow(clippy::unwrap_used, unreachable_pub, dead_code)]

pub mod signed;

use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;

use fieldledger_polling::{Action, Engine, Liveness, Moment, PollResult, Rejection, Settings};
use fieldledger_wire::heartbeat::Limits;
use fieldledger_wire::poll::StoredAnswers;
use fieldledger_wire::topic::TopicRules;
use serde_json::{Value, json};
use uuid::Uuid;

pub const SECOND: u64 = 1_000_000;

/// 2026-01-02T03:04:05Z.
const START: u64 = 1_767_323_045 * SECOND;

pub fn settings() -> Settings {
    Settings {
        limits: Limits {
            topics: TopicRules::new(&["sim".to_owned()], "default").unwrap(),
            poll_interval_ms: 100..=86_400_000,
        },
        confined: Vec::new(),
        poll_timeout: Duration::from_millis(500),
        late_window: Duration::from_secs(2),
        stale_after: Duration::from_secs(180),
        down_after: 5,
        retry_max: Duration::from_secs(10),
        forget_after: Duration::from_secs(3_600),
        sensors_max: 20_000,
        outstanding_max: 4_096,
        patterns_max: 16,
        history_per_s: 1_000,
        unsigned_allowed: true,
        heartbeats_per_s: 20_000,
    }
}

pub fn id(n: u32) -> Uuid {
    Uuid::from_u128(0xf308_8463_5623_476f_a1b5_0000_0000_0000 + u128::from(n))
}

pub fn heartbeat(n: u32, interval_ms: u64) -> Value {
    let id = id(n);
    json!({
        "alias": format!("sensor-{n:04}"),
        "id": id,
        "poll_interval": interval_ms,
        "poll_topic": format!("sim.poll.{id}"),
        "read_topic": format!("sim.read.{id}"),
        "disconnect_topic": format!("sim.disconnect/{id}"),
        "ip_addr": "192.168.1.17",
        "mac_addr": [40, 205, 193, 3, 226, 159],
        "location": "SIMULATION-Boiler Room",
    })
}

/// A poll that the engine sent.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub sensor: Uuid,
    pub number: u64,
    /// Steady clock.
    pub at: u64,
}

pub struct Field {
    pub engine: Engine,
    pub now: Moment,
    pub polls: Vec<Sent>,
    /// What each of them says of stored answers.
    pub named: Vec<Option<StoredAnswers>>,
    pub results: Vec<PollResult>,
    /// Sensors in whose name farewells came that were not theirs.
    pub refuted: Vec<Uuid>,
    pub subscriptions: Vec<String>,
    pub records: HashMap<Uuid, Vec<u8>>,
}

impl Field {
    pub fn new(settings: Settings) -> Self {
        let now = Moment {
            steady: SECOND,
            wall: START,
        };
        Self {
            engine: Engine::new(settings, 7, now),
            now,
            polls: Vec::new(),
            named: Vec::new(),
            results: Vec::new(),
            refuted: Vec::new(),
            subscriptions: Vec::new(),
            records: HashMap::new(),
        }
    }

    pub fn announce(&mut self, heartbeat: &impl Display) -> Result<(), Rejection> {
        let accepted =
            self.engine
                .heartbeat("sim.heartbeat", heartbeat.to_string().as_bytes(), self.now);
        self.perform();
        accepted
    }

    pub fn hello(&mut self, n: u32, interval_ms: u64) {
        self.announce(&heartbeat(n, interval_ms)).unwrap();
    }

    pub fn message(&mut self, subject: &str, payload: &str) {
        self.engine.message(subject, payload.as_bytes(), self.now);
        self.perform();
    }

    pub fn read(&mut self, n: u32, payload: &str) {
        self.message(&format!("sim.read.{}", id(n)), payload);
    }

    pub fn reply(&mut self, number: u64, payload: &str) {
        self.engine.reply(number, payload.as_bytes(), self.now);
        self.perform();
    }

    pub fn liveness(&self, n: u32) -> Liveness {
        self.engine.sensor(id(n)).unwrap().liveness
    }

    /// Lets time pass from wake-up to wake-up.
    pub fn pass(&mut self, microseconds: u64) {
        let end = self.now.steady + microseconds;
        while let Some(wake) = self.engine.next_wake().filter(|wake| *wake <= end) {
            self.jump_to(wake);
        }
        self.jump_to(end);
    }

    /// Lets time pass until the next poll is sent.
    pub fn until_poll(&mut self) -> Sent {
        let before = self.polls.len();
        while self.polls.len() == before {
            let wake = self.engine.next_wake().unwrap();
            self.jump_to(wake);
        }
        self.polls[before]
    }

    fn jump_to(&mut self, steady: u64) {
        let passed = steady.saturating_sub(self.now.steady);
        self.now.steady += passed;
        self.now.wall += passed;
        self.engine.tick(self.now);
        self.perform();
    }

    pub fn perform(&mut self) {
        for action in self.engine.take_actions() {
            match action {
                Action::Subscribe { pattern } => {
                    assert!(!self.subscriptions.contains(&pattern), "{pattern} twice");
                    self.subscriptions.push(pattern);
                }
                Action::Unsubscribe { pattern } => {
                    assert!(
                        self.subscriptions.contains(&pattern),
                        "{pattern} never made"
                    );
                    self.subscriptions.retain(|made| *made != pattern);
                }
                Action::Poll { subject, poll } => {
                    let sensor = subject.rsplit('.').next().unwrap().parse().unwrap();
                    let (at, number) = (self.now.steady, poll.poll);
                    self.polls.push(Sent { sensor, number, at });
                    self.named.push(poll.stored);
                }
                Action::Save { sensor, record } => {
                    self.records.insert(sensor, record);
                }
                Action::Delete { sensor } => {
                    self.records.remove(&sensor);
                }
                Action::Result(result) => self.results.push(result),
                Action::FarewellRefuted { sensor } => self.refuted.push(sensor),
            }
        }
    }
}
