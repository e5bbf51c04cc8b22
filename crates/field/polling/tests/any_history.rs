//! The engine on histories that nobody chose: whatever happens in whatever order, every poll ends
//! exactly once, no answer is taken for that of another poll, and all bounds hold.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{HashMap, HashSet};

use common::{Field, Sent, heartbeat, id, settings};
use fieldledger_chance::proptest_config;
use fieldledger_polling::PollResult;
use fieldledger_wire::batch::Outcome;
use proptest::prelude::*;
use serde_json::json;

const SENSORS: u32 = 4;
const OUTSTANDING_MAX: usize = 3;

/// Something that happens. Numbers are cut to what exists at the time.
#[derive(Debug, Clone)]
enum Event {
    Heartbeat {
        sensor: u32,
        interval_ms: u64,
    },
    Disconnect {
        sensor: u32,
    },
    /// The device answers one of its polls of the last 2.5 s, on the subject or the read topic.
    Answer {
        poll: usize,
        directly: bool,
        named: bool,
    },
    Garbage {
        sensor: u32,
        bytes: Vec<u8>,
    },
    GarbageHeartbeat {
        bytes: Vec<u8>,
    },
    GarbageReply {
        number: u64,
        bytes: Vec<u8>,
    },
    Pass {
        microseconds: u64,
    },
    Pause {
        paused: bool,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    let sensor = || 1..=SENSORS;
    prop_oneof![
        3 => (sensor(), 100..3_000_u64)
            .prop_map(|(sensor, interval_ms)| Event::Heartbeat { sensor, interval_ms }),
        1 => sensor().prop_map(|sensor| Event::Disconnect { sensor }),
        8 => (0..8_usize, any::<bool>(), any::<bool>())
            .prop_map(|(poll, directly, named)| Event::Answer { poll, directly, named }),
        1 => (sensor(), bytes()).prop_map(|(sensor, bytes)| Event::Garbage { sensor, bytes }),
        1 => bytes().prop_map(|bytes| Event::GarbageHeartbeat { bytes }),
        1 => (0..100_u64, bytes())
            .prop_map(|(number, bytes)| Event::GarbageReply { number, bytes }),
        10 => (0..1_500_000_u64).prop_map(|microseconds| Event::Pass { microseconds }),
        1 => any::<bool>().prop_map(|paused| Event::Pause { paused }),
    ]
}

/// Lets a device answer with the number of the poll that it answers, so that a wrong match shows.
fn answer(field: &mut Field, sent: Sent, directly: bool, named: bool) {
    let value = if named {
        json!({"value": sent.number, "poll": sent.number}).to_string()
    } else {
        json!(sent.number).to_string()
    };
    // The first sensor is of two minds; the others know no reply subjects.
    if directly && sent.sensor == id(1) {
        field.reply(sent.number, &value);
    } else {
        field.message(&format!("sim.read.{}", sent.sensor), &value);
    }
}

/// One of the polls whose answer would still be recognised, but for those in `answered`.
fn recent(field: &Field, index: usize, answered: &HashSet<u64>) -> Option<Sent> {
    let horizon = field.now.steady.saturating_sub(2_500_000);
    let open = |sent: &&Sent| sent.at > horizon && !answered.contains(&sent.number);
    let polls: Vec<&Sent> = field.polls.iter().filter(open).collect();
    polls.get(index % polls.len().max(1)).map(|sent| **sent)
}

fn happen(field: &mut Field, event: Event) {
    match event {
        Event::Heartbeat {
            sensor,
            interval_ms,
        } => {
            let _ = field.announce(&heartbeat(sensor, interval_ms));
        }
        Event::Disconnect { sensor } => {
            field.message(&format!("sim.disconnect.{}", id(sensor)), "");
        }
        Event::Answer {
            poll,
            directly,
            named,
        } => {
            if let Some(sent) = recent(field, poll, &HashSet::new()) {
                answer(field, sent, directly, named);
            }
        }
        Event::Garbage { sensor, bytes } => {
            let subject = format!("sim.read.{}", id(sensor));
            field.engine.message(&subject, &bytes, field.now);
            field.perform();
        }
        Event::GarbageHeartbeat { bytes } => {
            let _ = field.engine.heartbeat("sim.heartbeat", &bytes, field.now);
            field.perform();
        }
        Event::GarbageReply { number, bytes } => {
            field.engine.reply(number, &bytes, field.now);
            field.perform();
        }
        Event::Pass { microseconds } => field.pass(microseconds),
        Event::Pause { paused } => {
            field.engine.set_paused(paused, field.now);
            field.perform();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..proptest_config() })]

    #[test]
    fn every_poll_ends_exactly_once(events in proptest::collection::vec(event(), 0..200)) {
        let mut settings = settings();
        settings.outstanding_max = OUTSTANDING_MAX;
        let mut field = Field::new(settings);
        for event in events {
            happen(&mut field, event);
            prop_assert!(field.engine.outstanding() <= OUTSTANDING_MAX);
        }
        field.engine.drain();
        field.pass(10_000_000);
        prop_assert_eq!(field.engine.outstanding(), 0);

        let mut endings: HashMap<u64, Vec<Outcome>> = HashMap::new();
        // A second answer that differs is a result of its own.
        let first = |result: &&PollResult| !result.remark.contains("two answers");
        for result in field.results.iter().filter(first) {
            endings.entry(result.poll).or_default().push(result.outcome);
        }
        prop_assert_eq!(endings.len(), field.polls.len());
        for sent in &field.polls {
            let outcomes = &endings[&sent.number];
            let once = matches!(outcomes[..], [Outcome::Value | Outcome::Unparsable | Outcome::NoReply]);
            let late = outcomes[..] == [Outcome::NoReply, Outcome::Late];
            prop_assert!(once || late, "poll {}: {outcomes:?}", sent.number);
        }
        let counted = field.engine.counters().polls;
        prop_assert_eq!(counted.polls, counted.replies + counted.unparsable + counted.timeouts);
    }

    /// Devices that answer honestly (a poll at most once, within the time in which answers are
    /// recognised) never have an answer taken for that of another poll.
    #[test]
    fn no_answer_is_taken_for_that_of_another_poll(
        events in proptest::collection::vec(event(), 0..200)
    ) {
        let mut field = Field::new(settings());
        let mut answered = HashSet::new();
        for event in events {
            match event {
                Event::Garbage { .. } | Event::GarbageReply { .. } => {}
                Event::Answer { poll, directly, named } => {
                    if let Some(sent) = recent(&field, poll, &answered) {
                        answered.insert(sent.number);
                        answer(&mut field, sent, directly, named);
                    }
                }
                other => happen(&mut field, other),
            }
        }
        for result in &field.results {
            if matches!(result.outcome, Outcome::Value | Outcome::Late) {
                prop_assert_eq!(&result.text, &result.poll.to_string());
            }
        }
    }
}
