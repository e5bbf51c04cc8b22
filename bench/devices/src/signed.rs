//! What a signature costs the server: answers and history through the polling engine, the batches and
//! the grading, in memory and on one core, as the provider and the reader do it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use fieldledger_attest::heartbeat::with_proof;
use fieldledger_attest::identity::DeviceKey;
use fieldledger_attest::reading::{Clock, Reading};
use fieldledger_attest::statement::{BootId, Statement};
use fieldledger_attest::tree::RootBuilder;
use fieldledger_polling::{Action, Batcher, Config, Engine, Moment};
use serde_json::json;
use uuid::Uuid;

use crate::median;

/// Sensors, each with a key of its own.
const SENSORS: u64 = 500;

/// Answers of each.
const ROUNDS: u64 = 10;

/// Readings under one signature, as devices send them.
const KEPT: u64 = 64;

const BOOT: &str = "bench";

/// A poll interval, microseconds.
const INTERVAL: u64 = 1_000_000;

/// How a field answers.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Unsigned,
    Signed,
    History,
}

/// Prints a table.
pub(crate) fn print(turns: u32) -> anyhow::Result<()> {
    println!("\nreadings judged, batched and graded by the server, one core");
    println!(
        "{:>24} {:>12} {:>12} {:>10}",
        "", "readings/s", "us each", "ratio"
    );
    let mut plain = None;
    for (name, kind) in [
        ("answer, unsigned", Kind::Unsigned),
        ("answer, signed", Kind::Signed),
        ("history, 64 a signature", Kind::History),
    ] {
        let mut figures = Vec::new();
        for _ in 0..turns {
            figures.push(measure(kind)?);
        }
        let rate = median(figures);
        let ratio = *plain.get_or_insert(rate) / rate;
        println!("{name:>24} {rate:>12.0} {:>12.1} {ratio:>10.1}", 1e6 / rate);
    }
    Ok(())
}

/// Readings a second.
fn measure(kind: Kind) -> anyhow::Result<f64> {
    let mut field = Field::new(kind)?;
    let mut readings = 0;
    let mut took = Duration::ZERO;
    for round in 0..ROUNDS {
        let polls = field.polls()?;
        // What devices do is not what is measured.
        let messages: Vec<_> = polls
            .into_iter()
            .map(|(sensor, number)| Ok((sensor, number, field.message(sensor, round)?)))
            .collect::<anyhow::Result<_>>()?;
        let start = Instant::now();
        for (sensor, number, message) in messages {
            match kind {
                Kind::History => {
                    let subject = format!("sim.history.{}", id(sensor));
                    field
                        .engine
                        .message(&subject, message.as_bytes(), field.now);
                }
                _ => field.engine.reply(number, message.as_bytes(), field.now),
            }
        }
        readings += field.grade()?;
        took += start.elapsed();
    }
    let expected = SENSORS * ROUNDS * if kind == Kind::History { KEPT } else { 1 };
    ensure!(readings == expected, "{readings} readings of {expected}");
    Ok(readings as f64 / took.as_secs_f64())
}

struct Field {
    engine: Engine,
    batcher: Batcher,
    now: Moment,
    kind: Kind,
    keys: Vec<DeviceKey>,
}

impl Field {
    fn new(kind: Kind) -> anyhow::Result<Self> {
        let settings = HashMap::from(
            [
                ("SUBSCRIPTION", "sim.heartbeat"),
                ("HISTORY_PER_S", "1000000"),
                ("HEARTBEATS_PER_S", "1000000"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        let config = Config::from_map(&settings, "bench", "default")?;
        let now = Moment {
            steady: INTERVAL,
            wall: 1_767_323_045_000_000,
        };
        let keys = (0..SENSORS).map(|sensor| {
            let mut seed = [7; 32];
            seed[..8].copy_from_slice(&sensor.to_be_bytes());
            DeviceKey::from_seed(&seed)
        });
        let mut field = Self {
            engine: Engine::new(config.engine, 7, now),
            batcher: Batcher::new(config.batch, "bench", "0"),
            now,
            kind,
            keys: keys.collect(),
        };
        for sensor in 0..SENSORS {
            let heartbeat = field.heartbeat(sensor)?;
            field
                .engine
                .heartbeat("sim.heartbeat", heartbeat.as_bytes(), now)?;
            if kind != Kind::Unsigned {
                let fingerprint = field.key(sensor)?.public().fingerprint().to_string();
                let approved = field.engine.approve(id(sensor), &fingerprint)?;
                field.engine.decide(id(sensor), approved);
            }
        }
        Ok(field)
    }

    fn key(&self, sensor: u64) -> anyhow::Result<&DeviceKey> {
        self.keys.get(sensor as usize).context("no such sensor")
    }

    fn heartbeat(&self, sensor: u64) -> anyhow::Result<String> {
        let id = id(sensor);
        let mut heartbeat = json!({
            "alias": format!("sensor {sensor}"), "id": id, "poll_interval": INTERVAL / 1_000,
            "poll_topic": format!("sim.poll.{id}"), "read_topic": format!("sim.read.{id}"),
            "disconnect_topic": format!("sim.disconnect.{id}"), "ip_addr": "127.0.0.1",
            "mac_addr": [2, 0, 0, 0, 0, 1], "location": "bench",
        });
        if self.kind != Kind::Unsigned {
            let key = self.key(sensor)?;
            heartbeat["key"] = key.public().to_string().into();
            heartbeat["boot"] = BOOT.into();
            heartbeat["beat"] = 1.into();
            let proven = with_proof(&heartbeat.to_string(), key);
            return proven.context("a heartbeat is an object");
        }
        Ok(heartbeat.to_string())
    }

    /// Lets time pass until every sensor is polled once more: sensor and number of each poll.
    fn polls(&mut self) -> anyhow::Result<Vec<(u64, u64)>> {
        if self.kind == Kind::History {
            // A sensor may send four messages of history a second.
            self.now.steady += INTERVAL;
            self.now.wall += INTERVAL;
            return Ok((0..SENSORS).map(|sensor| (sensor, 0)).collect());
        }
        let mut polls = Vec::new();
        while (polls.len() as u64) < SENSORS {
            let wake = self.engine.next_wake().context("nothing is due")?;
            self.now.wall += wake.saturating_sub(self.now.steady);
            self.now.steady = self.now.steady.max(wake);
            self.engine.tick(self.now);
            for action in self.engine.take_actions() {
                if let Action::Poll { subject, poll } = action {
                    let sensor = subject.rsplit('.').next().context("no sensor")?;
                    let sensor = Uuid::parse_str(sensor)?.as_u128() as u64;
                    polls.push((sensor, poll.poll));
                }
            }
        }
        Ok(polls)
    }

    /// What a device sends.
    fn message(&self, sensor: u64, round: u64) -> anyhow::Result<String> {
        let at = self.now.wall;
        let boot = BootId::new(BOOT)?;
        if self.kind != Kind::History {
            let reading = Reading::new(round, Clock::Utc(at), "21.50", "Cel")?;
            let statement = Statement::of_one(*id(sensor).as_bytes(), boot, &reading);
            let mut answer =
                json!({"value": "21.50", "seq": round, "boot": BOOT, "at": at, "unit": "Cel"});
            if self.kind == Kind::Signed {
                answer["sig"] = statement.sign(self.key(sensor)?).to_string().into();
            }
            return Ok(answer.to_string());
        }
        let mut tree = RootBuilder::new();
        let mut readings = Vec::new();
        for number in round * KEPT..(round + 1) * KEPT {
            tree.push(&Reading::new(number, Clock::Utc(at), "21.50", "Cel")?)?;
            readings.push(json!({"value": "21.50", "seq": number, "at": at, "unit": "Cel"}));
        }
        let statement = Statement::of_tree(*id(sensor).as_bytes(), boot, tree)?;
        let signature = statement.sign(self.key(sensor)?).to_string();
        Ok(json!({"boot": BOOT, "sig": signature, "readings": readings}).to_string())
    }

    /// Makes events of all that came; how many.
    fn grade(&mut self) -> anyhow::Result<u64> {
        for action in self.engine.take_actions() {
            if let Action::Result(result) = action {
                self.batcher.add(result, self.now.steady);
            }
        }
        let mut events = 0;
        for sealed in self.batcher.take_all() {
            let graded = fieldledger_reading::grade::grade_batch(&sealed.batch)?;
            events += graded.len() as u64;
        }
        Ok(events)
    }
}

fn id(sensor: u64) -> Uuid {
    Uuid::from_u128(0xf308_8463_5623_476f_0000_0000_0000_0000 + u128::from(sensor))
}
