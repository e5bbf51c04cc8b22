//! Numbers that devices count with: nothing that was measured is dropped because of one, and what is sent
//! twice is in the log once.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{all, append, config, config_without_index, message, wait_for_index};
use fieldledger_chance::proptest_config;
use fieldledger_ledger::{
    Config, ControlError, EventColumns, Gap, GapKind, GapQuery, GapState, Ledger,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const SENSOR: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
const START: u64 = 1_767_323_045_000_000;
const SECOND: u64 = 1_000_000;

/// One reading, as the sensor reader logs it.
#[derive(Debug, Clone)]
struct Sent {
    boot: &'static str,
    number: u64,
    /// Seconds since the start; it names the poll as well.
    second: u64,
    value: String,
    historical: bool,
}

impl Sent {
    fn event(&self) -> EventColumns {
        let polled_at = START + self.second * SECOND;
        let mut message = json!({
            "attestation": "unsigned", "boot": self.boot, "poll": format!("e/{}", self.second),
            "polled_at": polled_at, "quality": "Good", "raw": self.value,
            "received_at": polled_at + 9, "seq": self.number, "unit": "Cel", "value": self.value,
        });
        if self.historical {
            message["historical"] = true.into();
        }
        EventColumns {
            producer: vec![format!("reading/{SENSOR}/{}", self.boot)],
            sequence: vec![self.number],
            message: vec![message.to_string()],
            actor: vec!["a".to_owned()],
            action: vec!["SENSOR_READING".to_owned()],
            new: vec![self.value.clone()],
            source: vec![SENSOR.to_owned()],
            status: vec!["SUCCESS".to_owned()],
            ..EventColumns::default()
        }
    }
}

/// Readings of these numbers, one a second from `second` on, each with a value of its own.
fn sent(boot: &'static str, numbers: impl IntoIterator<Item = u64>, second: u64) -> Vec<Sent> {
    let numbers = numbers.into_iter().zip(second..);
    let one = |(number, second): (u64, u64)| Sent {
        boot,
        number,
        second,
        value: second.to_string(),
        historical: false,
    };
    numbers.map(one).collect()
}

/// Appends in one call; how many were new.
fn send(ledger: &Ledger, readings: &[Sent]) -> u32 {
    let mut columns = EventColumns::default();
    for reading in readings {
        let EventColumns {
            producer,
            sequence,
            message,
            actor,
            action,
            new,
            source,
            status,
            ..
        } = reading.event();
        columns.producer.extend(producer);
        columns.sequence.extend(sequence);
        columns.message.extend(message);
        columns.actor.extend(actor);
        columns.action.extend(action);
        columns.new.extend(new);
        columns.source.extend(source);
        columns.status.extend(status);
    }
    append(ledger, columns).unwrap().appended
}

/// Never tells the log of gaps by itself.
fn quiet(mut config: Config) -> Config {
    config.gap_grace_ms = u64::MAX;
    config
}

fn open(folder: &Path) -> Ledger {
    Ledger::open(quiet(config_without_index(folder))).unwrap()
}

/// Opens it again, with the snapshot or from the log alone.
fn reopen(ledger: Ledger, folder: &Path, with_snapshot: bool) -> Ledger {
    ledger.close();
    drop(ledger);
    if !with_snapshot {
        std::fs::remove_file(folder.join("snapshot")).unwrap();
    }
    open(folder)
}

fn gaps(ledger: &Ledger) -> Vec<Gap> {
    let query = GapQuery {
        limit: 1_000,
        ..GapQuery::default()
    };
    ledger.gaps(&query).unwrap().gaps
}

/// Quality, reason and value of every reading, as the log has them.
fn recorded(ledger: &Ledger) -> Vec<(String, String, String)> {
    let size = ledger.checkpoint().tree_size;
    let mut recorded = Vec::new();
    for index in 0..size {
        let entry = ledger.inclusion(index).unwrap().entry;
        let told: Value = serde_json::from_str(&message(&entry)).unwrap();
        if let Some(quality) = told["quality"].as_str() {
            let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
            recorded.push((quality.to_owned(), text("reason"), text("raw")));
        }
    }
    recorded
}

#[test]
fn a_restart_under_an_old_boot_id_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    let first = sent("1", 1..=50, 0);
    let second = sent("1", 1..=60, 50);
    assert_eq!(send(&ledger, &first), 50);
    assert_eq!(send(&ledger, &second[..20]), 20);
    assert_eq!(send(&ledger, &second[20..]), 40);
    for with_snapshot in [true, false] {
        // Delivered again, in any order, before and after a start.
        for batch in [&first[..], &second[..20], &second[10..], &second[..]] {
            assert_eq!(send(&ledger, batch), 0);
        }
        ledger = reopen(ledger, folder.path(), with_snapshot);
    }
    let recorded = recorded(&ledger);
    assert_eq!(recorded.len(), 110);
    for (second, (quality, reason, value)) in recorded.iter().enumerate() {
        assert_eq!(*value, second.to_string());
        let is_again = (50..100).contains(&second);
        assert_eq!(quality == "Good", !is_again, "{second}: {reason}");
        // The last of them is as high as the first count came.
        let is_again = is_again && second < 99;
        assert_eq!(
            reason.contains("old boot id"),
            is_again,
            "{second}: {reason}"
        );
    }
    let [gap] = gaps(&ledger).try_into().unwrap();
    assert_eq!((gap.kind, gap.restarts), (GapKind::Reused, 50));
    assert_eq!(ledger.gap_totals().missing, 0);
}

#[test]
fn a_device_that_measures_the_same_again_is_recorded_again() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    for round in 0..2 {
        for mut reading in sent("1", 1..=5, round * 5) {
            reading.value = "21.5".to_owned();
            assert_eq!(send(&ledger, &[reading]), 1);
        }
    }
    let (_, reason, _) = &recorded(&ledger)[5];
    assert!(reason.contains("another poll"), "{reason}");
}

#[test]
fn an_answer_and_its_copy_in_history_are_in_the_log_once() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    let answers = sent("1", 1..=4, 0);
    let copy = |answer: &Sent, second| Sent {
        historical: true,
        second,
        ..answer.clone()
    };
    assert_eq!(send(&ledger, &answers[..2]), 2);
    let history: Vec<_> = answers.iter().map(|answer| copy(answer, 9)).collect();
    assert_eq!(send(&ledger, &history), 2, "those that the log lacks");
    assert_eq!(send(&ledger, &answers), 0);
    // History that says something else under a number is recorded, once.
    let mut other = copy(&answers[1], 10);
    other.value = "7".to_owned();
    assert_eq!(send(&ledger, &[other.clone()]), 1);
    other.second = 11;
    assert_eq!(send(&ledger, &[other]), 0);
    let (quality, reason, _) = recorded(&ledger).pop().unwrap();
    assert_eq!(quality, "UncertainSubNormal");
    assert!(reason.contains("another value or time"), "{reason}");
}

#[test]
fn a_counter_that_begins_again_is_counted_on() {
    for bits in [8, 16, 32] {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = open(folder.path());
        let end = 1_u64 << bits;
        let numbers: Vec<u64> = (end - 5..end).chain(0..20).collect();
        let readings = sent("1", numbers.clone(), 0);
        for batch in readings.chunks(6) {
            assert_eq!(usize::try_from(send(&ledger, batch)).unwrap(), batch.len());
        }
        for with_snapshot in [true, false] {
            assert_eq!(send(&ledger, &readings), 0, "{bits} bits, again");
            ledger = reopen(ledger, folder.path(), with_snapshot);
        }
        // It counts on through the next rounds, where that is soon.
        let more = sent("1", 20..40, 25);
        assert_eq!(send(&ledger, &more), 20);
        let recorded = recorded(&ledger);
        let flagged: Vec<_> = recorded
            .iter()
            .enumerate()
            .filter(|(_, (quality, ..))| quality != "Good")
            .collect();
        let [(5, (_, reason, _))] = flagged[..] else {
            panic!("{bits} bits: {flagged:?}");
        };
        assert!(reason.contains(&format!("{bits} bits")), "{reason}");
        assert!(gaps(&ledger).is_empty(), "{:?}", gaps(&ledger));
    }
}

#[test]
fn a_counter_of_8_bits_goes_round_and_round() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    let numbers: Vec<u64> = (0..2_000).map(|number| number % 256).collect();
    let readings = sent("1", numbers, 0);
    assert_eq!(send(&ledger, &readings), 2_000);
    assert_eq!(send(&ledger, &readings[1_700..]), 0);
    let flagged = recorded(&ledger)
        .iter()
        .filter(|(quality, ..)| quality != "Good")
        .count();
    assert_eq!(flagged, 7, "the first of each round");
    assert!(gaps(&ledger).is_empty());
    // What is lost in a later round is missing.
    send(&ledger, &sent("1", [(2_000 % 256) + 3], 2_003));
    assert_eq!(ledger.gap_totals().missing, 3);
}

#[test]
fn an_absurd_number_is_no_number_of_missing_readings() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    let readings = sent("1", [1, 2, 9_000_000_000_000_000, 3, 4, 5], 0);
    assert_eq!(send(&ledger, &readings), 6);
    for with_snapshot in [true, false] {
        let [gap] = gaps(&ledger).try_into().unwrap();
        assert_eq!((gap.kind, gap.state), (GapKind::Jump, GapState::Unknown));
        assert_eq!(ledger.gap_totals().missing, 0);
        assert!(
            recorded(&ledger)
                .iter()
                .all(|(quality, ..)| quality == "Good")
        );
        ledger = reopen(ledger, folder.path(), with_snapshot);
    }
}

#[test]
fn a_gap_is_closed_with_a_reason_and_stays_closed() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    send(&ledger, &sent("1", [1, 5], 0));
    let refused = ledger.close_gap(1, " ", "officer");
    assert!(
        matches!(refused, Err(ControlError::Invalid(_))),
        "{refused:?}"
    );
    let refused = ledger.close_gap(7, "why", "officer");
    assert!(
        matches!(refused, Err(ControlError::NotFound(_))),
        "{refused:?}"
    );
    let closed = ledger.close_gap(1, "the radio was off", "officer").unwrap();
    assert_eq!(
        (closed.state, closed.closed_entry),
        (GapState::Closed, Some(2))
    );
    let refused = ledger.close_gap(1, "again", "officer");
    assert!(
        matches!(refused, Err(ControlError::Refused(_))),
        "{refused:?}"
    );
    for with_snapshot in [true, false] {
        ledger = reopen(ledger, folder.path(), with_snapshot);
        let [gap] = gaps(&ledger).try_into().unwrap();
        assert_eq!(gap, closed);
        let told = message(&ledger.inclusion(2).unwrap().entry);
        assert!(
            told.contains("the radio was off") && told.contains("officer"),
            "{told}"
        );
        assert_eq!(ledger.gap_totals().open, 0);
    }
}

#[test]
fn an_old_reading_is_found_by_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let with_index = || {
        let mut config = quiet(config(folder.path()));
        // So that what is read at the start is the newest only.
        config.segment_bytes = 4_096;
        config
    };
    let ledger = Ledger::open(with_index()).unwrap();
    let first = sent("1", 1..=50, 0);
    for reading in &first {
        send(&ledger, std::slice::from_ref(reading));
    }
    wait_for_index(&ledger);
    ledger.close();
    drop(ledger);
    let ledger = Ledger::open(with_index()).unwrap();
    // The same as history, which names no poll: what it says decides, and its time does not.
    let copies = first.iter().map(|reading| Sent {
        historical: true,
        second: 500,
        ..reading.clone()
    });
    assert_eq!(send(&ledger, &copies.collect::<Vec<_>>()), 0);
    assert_eq!(send(&ledger, &sent("1", 1..=50, 100)), 50);
    let reason = &recorded(&ledger)[50].1;
    assert!(reason.contains("another value or time"), "{reason}");
    wait_for_index(&ledger);
    assert_eq!(ledger.search(&all()).unwrap().count, 100);
}

#[derive(Debug, Clone)]
enum Step {
    /// The device counts on.
    On(u64),
    /// It counts anew under the same boot id.
    Restart,
    /// It says this number next.
    Jump(u64),
    /// What was sent is delivered again from here on.
    Again(usize),
    /// The ledger starts again.
    Reopen(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (1_u64..40).prop_map(Step::On),
        2 => Just(Step::Restart),
        2 => prop_oneof![0_u64..300, Just(1 << 40), Just((1 << 53) - 1), Just(250), Just(65_530)]
            .prop_map(Step::Jump),
        3 => any::<usize>().prop_map(Step::Again),
        1 => any::<bool>().prop_map(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..proptest_config() })]

    /// Whatever a device counts like, and however often what it sent is delivered: each reading is in the
    /// log exactly once.
    #[test]
    fn every_reading_is_in_the_log_once(steps in proptest::collection::vec(step(), 1..25)) {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = open(folder.path());
        let mut all: Vec<Sent> = Vec::new();
        let mut next = 1;
        for step in steps {
            match step {
                Step::On(count) => {
                    let numbers = (next..next + count).map(|number| number % (1 << 53));
                    let readings = sent("1", numbers, all.len() as u64);
                    prop_assert_eq!(u64::from(send(&ledger, &readings)), count);
                    all.extend(readings);
                    next += count;
                }
                Step::Restart => next = 1,
                Step::Jump(number) => next = number,
                Step::Again(from) => {
                    let from = from % (all.len() + 1);
                    prop_assert_eq!(send(&ledger, &all[from..]), 0, "from {}", from);
                }
                Step::Reopen(with_snapshot) if !all.is_empty() => {
                    ledger = reopen(ledger, folder.path(), with_snapshot);
                }
                Step::Reopen(_) => {}
            }
        }
        let recorded: Vec<String> = recorded(&ledger).into_iter().map(|(.., value)| value).collect();
        let expected: Vec<String> = all.iter().map(|reading| reading.value.clone()).collect();
        prop_assert_eq!(recorded, expected);
    }
}
