//! A server's clock that steps: found, recorded, and marked on what is stamped meanwhile.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use common::{config_without_index, numbered};
use fieldledger_ledger::fsck;
use fieldledger_ledger::{Clock, Config, Ledger};
use futures::executor::block_on;
use serde_json::Value;

const START: u64 = 1_767_323_045_000_000;
const SECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600 * SECOND;

/// A clock and the steady one beside it, set by a test.
#[derive(Clone, Default)]
struct Hands {
    wall: Arc<AtomicU64>,
    steady: Arc<AtomicU64>,
}

impl Hands {
    fn config(&self, folder: &Path) -> Config {
        let Self { wall, steady } = self.clone();
        let mut config = config_without_index(folder);
        config.clock = Clock::with_steady(move || wall.load(Relaxed), move || steady.load(Relaxed));
        config
    }

    /// So much passes.
    fn pass(&self, micros: u64) {
        self.wall.fetch_add(micros, Relaxed);
        self.steady.fetch_add(micros, Relaxed);
    }
}

/// Waits until the ledger has written so many entries about its clock; what they tell.
fn told(ledger: &Ledger, count: usize) -> Vec<Value> {
    let started = Instant::now();
    loop {
        let told: Vec<Value> = entries(ledger)
            .into_iter()
            .filter(|envelope| envelope["producer"] == "ledger/clock")
            .map(|envelope| {
                assert_eq!(envelope["event"]["action"], "LOG_CLOCK");
                serde_json::from_str(envelope["event"]["message"].as_str().unwrap()).unwrap()
            })
            .collect();
        if told.len() >= count {
            return told;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{told:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn entries(ledger: &Ledger) -> Vec<Value> {
    let size = ledger.checkpoint().tree_size;
    let envelope = |index| serde_json::from_str(&ledger.entry(index).unwrap().envelope).unwrap();
    (0..size).map(envelope).collect()
}

/// Appends one event and gives its envelope.
fn append(ledger: &Ledger, number: u64) -> Value {
    let written = block_on(ledger.append(numbered("p", number, number + 1))).unwrap();
    let index = written.indices[0].unwrap();
    serde_json::from_str(&ledger.entry(index).unwrap().envelope).unwrap()
}

#[test]
fn an_hour_ahead_for_a_minute_is_recorded_and_what_is_stamped_meanwhile_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::default();
    hands.wall.store(START, Relaxed);
    let ledger = Ledger::open(hands.config(folder.path())).unwrap();
    assert_eq!(append(&ledger, 0).get("clock"), None);
    assert_eq!(ledger.status().clock, None);

    // The step is seen by the very commit that follows it.
    hands.pass(SECOND);
    hands.wall.fetch_add(HOUR, Relaxed);
    assert_eq!(append(&ledger, 1)["clock"], "stepped");
    let problem = ledger.status().clock.unwrap();
    assert_eq!(
        (problem.offset_micros, problem.behind_micros),
        (3_600_000_000, 0)
    );
    let began = told(&ledger, 1);
    assert_eq!(
        (&began[0]["state"], &began[0]["offset_micros"]),
        (&"began".into(), &3_600_000_000_u64.into())
    );

    // Put right a minute later: entries go on after the last time until the clock has caught up.
    hands.pass(60 * SECOND);
    append(&ledger, 2);
    hands.wall.fetch_sub(HOUR, Relaxed);
    let after = append(&ledger, 3);
    assert_eq!(after["clock"], "stepped");
    let problem = ledger.status().clock.unwrap();
    assert_eq!(problem.offset_micros, 0);
    assert!(problem.behind_micros >= HOUR, "{problem:?}");
    assert_eq!(told(&ledger, 2)[1]["state"], "stepped again");

    hands.pass(HOUR + SECOND);
    assert_eq!(told(&ledger, 3)[2]["state"], "ended");
    assert_eq!(ledger.status().clock, None);
    assert_eq!(append(&ledger, 4).get("clock"), None);

    // The log is one that anybody can check, and times never go back.
    let times: Vec<String> = entries(&ledger)
        .iter()
        .map(|envelope| envelope["received_at"].as_str().unwrap().to_owned())
        .collect();
    assert!(times.is_sorted());
    ledger.close();
    let ledger = Ledger::open(hands.config(folder.path())).unwrap();
    assert_eq!(ledger.status().clock, None);
    ledger.close();
    let report = fsck::check(&hands.config(folder.path()), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:#?}", report.findings);
}

#[test]
fn a_start_before_the_last_entry_is_found_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::default();
    hands.wall.store(START + HOUR, Relaxed);
    let ledger = Ledger::open(hands.config(folder.path())).unwrap();
    append(&ledger, 0);
    ledger.close();

    hands.wall.store(START, Relaxed);
    let ledger = Ledger::open(hands.config(folder.path())).unwrap();
    assert_eq!(append(&ledger, 1)["clock"], "stepped");
    let problem = ledger.status().clock.unwrap();
    assert!(problem.behind_micros >= HOUR, "{problem:?}");
    assert_eq!(told(&ledger, 1)[0]["state"], "began");
    hands.pass(HOUR + SECOND);
    assert_eq!(told(&ledger, 2)[1]["state"], "ended");
    ledger.close();
}
