//! The bookkeeping of gaps against a model that remembers every number.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeSet, HashMap};

use fieldledger_chance::proptest_config;
use fieldledger_contract::WallTime;
use proptest::prelude::*;

use super::record::details;
use super::*;

const GRACE: u64 = 30_000_000;

/// A log that is told of gaps as the recorder does it.
#[derive(Default)]
struct Log {
    gaps: Gaps,
    /// All that was noted, to be replayed.
    entries: Vec<(String, u64, Noted, Place)>,
    now: u64,
}

impl Log {
    fn append(&mut self, producer: &str, sequence: u64, noted: Noted) {
        let place = Place {
            index: self.entries.len() as u64,
            received_at: self.now,
        };
        self.gaps.note((producer, sequence), &noted, place);
        self.entries
            .push((producer.to_owned(), sequence, noted, place));
    }

    fn read(&mut self, sensor: &str, boot: &str, number: u64) {
        let noted = Noted::Number {
            said: Some(number),
            polled_at: self.now,
            device_at: None,
        };
        self.append(&format!("reading/{sensor}/{boot}"), number, noted);
    }

    fn record(&mut self) {
        for (sequence, details) in self.gaps.unrecorded(self.now, GRACE, 1_000) {
            self.write_record(sequence, &details);
        }
    }

    fn write_record(&mut self, sequence: u64, details: &Details) {
        let message = serde_json::to_string(details).unwrap();
        let event = fieldledger_audit::EventRow {
            message: &message,
            ..Default::default()
        };
        let noted = noted_in(&event, "ledger/gap", None).unwrap();
        self.append("ledger/gap", sequence, noted);
    }

    fn all(&self) -> Vec<Gap> {
        let query = GapQuery {
            limit: MOST_LISTED,
            ..GapQuery::default()
        };
        self.gaps.list(&query).unwrap().gaps
    }

    fn records(&self) -> Vec<(u64, GapRecord)> {
        let records = self
            .entries
            .iter()
            .filter_map(|(_, sequence, noted, _)| match noted {
                Noted::Record(record) => Some((*sequence, *record)),
                Noted::Number { .. } | Noted::Reused { .. } | Noted::Closing(_) => None,
            });
        records.collect()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Read { sensor: u8, boot: u8, number: u64 },
    Wait(u64),
    Record,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        // So close to each other that none is a jump, whatever the time.
        12 => (0_u8..2, 0_u8..3, 0_u64..100)
            .prop_map(|(sensor, boot, number)| Step::Read { sensor, boot, number }),
        2 => (0_u64..90_000_000).prop_map(Step::Wait),
        2 => Just(Step::Record),
    ]
}

fn run(steps: &[Step]) -> (Log, HashMap<(u8, u8), BTreeSet<u64>>) {
    let mut log = Log::default();
    let mut model: HashMap<(u8, u8), BTreeSet<u64>> = HashMap::new();
    for step in steps {
        match *step {
            Step::Read {
                sensor,
                boot,
                number,
            } => {
                // The ledger drops what it has already.
                if model.entry((sensor, boot)).or_default().insert(number) {
                    log.read(&format!("s{sensor}"), &format!("b{boot}"), number);
                }
            }
            Step::Wait(micros) => log.now += micros,
            Step::Record => log.record(),
        }
    }
    (log, model)
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn missing_is_what_lies_between_and_is_not_there(
        steps in proptest::collection::vec(step(), 0..400)
    ) {
        let (log, model) = run(&steps);
        for ((sensor, boot), seen) in &model {
            let (first, last) = (*seen.first().unwrap(), *seen.last().unwrap());
            let missing = last - first + 1 - seen.len() as u64;
            let gaps = log.all().into_iter().filter(|gap| {
                gap.kind == GapKind::Numbers
                    && gap.sensor == format!("s{sensor}")
                    && gap.boot == format!("b{boot}")
            });
            let mut found = 0;
            let mut covered = BTreeSet::new();
            for gap in gaps {
                prop_assert_eq!(gap.state == GapState::Open, !gap.ranges.is_empty());
                prop_assert!(gap.start <= gap.end && gap.ranges.len() <= MOST_RANGES);
                for range in &gap.ranges {
                    prop_assert!(range.start <= range.end);
                    prop_assert!((1..=range.last - range.first + 1).contains(&range.missing));
                    found += range.missing;
                    covered.extend(range.first..=range.last);
                    if range.missing == range.last - range.first + 1 {
                        prop_assert!(!(range.first..=range.last).any(|number| seen.contains(&number)));
                    }
                }
            }
            prop_assert_eq!(found, missing);
            prop_assert!((first..=last).all(|number| seen.contains(&number) || covered.contains(&number)));
        }
    }

    #[test]
    fn a_replay_finds_the_same(
        steps in proptest::collection::vec(step(), 0..200),
        at in 0_usize..200,
    ) {
        let (log, _) = run(&steps);
        let mut replayed = Gaps::default();
        for (position, (producer, sequence, noted, place)) in log.entries.iter().enumerate() {
            if position == at {
                // A snapshot on the way changes nothing.
                let json = serde_json::to_vec(&replayed).unwrap();
                replayed = serde_json::from_slice(&json).unwrap();
            }
            replayed.note((producer, *sequence), noted, *place);
        }
        prop_assert_eq!(&replayed, &log.gaps);
    }

    #[test]
    fn the_log_is_told_once_of_each_gap_and_once_of_its_end(
        steps in proptest::collection::vec(step(), 0..300)
    ) {
        let (mut log, _) = run(&steps);
        log.now += 2 * BURST;
        log.record();
        log.record();
        let records = log.records();
        prop_assert!(records.iter().map(|(sequence, _)| *sequence).eq(0..records.len() as u64));
        let mut told: HashMap<u64, Vec<GapState>> = HashMap::new();
        for (_, record) in &records {
            told.entry(record.gap).or_default().push(record.state);
        }
        for gap in log.all() {
            let states = told.remove(&gap.id).unwrap();
            let expected = match gap.state {
                GapState::Open => vec![GapState::Open],
                GapState::Closed => vec![GapState::Open, GapState::Closed],
                GapState::Unknown => vec![GapState::Unknown],
            };
            prop_assert_eq!(states, expected);
            prop_assert!(gap.opened_entry.is_some());
            prop_assert_eq!(gap.closed_entry.is_some(), gap.state == GapState::Closed);
        }
        prop_assert!(told.is_empty());
    }
}

#[test]
fn a_late_reading_closes_its_gap_and_the_log_says_so() {
    let mut log = Log::default();
    for number in [1, 2, 5] {
        log.now += 1_000_000;
        log.read("s", "b", number);
    }
    let [gap] = log.all().try_into().unwrap();
    assert_eq!((gap.id, gap.before, gap.after), (2, 1, 2));
    assert_eq!((gap.start, gap.end), (2_000_000, 3_000_000));
    assert_eq!(gap.missing(), Some(2));
    log.record();
    assert!(log.records().is_empty(), "the time of grace has not passed");
    log.now += GRACE;
    log.record();
    log.read("s", "b", 4);
    log.read("s", "b", 3);
    log.record();
    let [gap] = log.all().try_into().unwrap();
    assert_eq!((gap.state, gap.missing()), (GapState::Closed, Some(0)));
    assert_eq!(gap.closed_at, Some(log.now));
    assert_eq!((gap.opened_entry, gap.closed_entry), (Some(3), Some(6)));
}

#[test]
fn a_gap_filled_within_the_time_of_grace_is_none() {
    let mut log = Log::default();
    for number in [1, 3, 2] {
        log.read("s", "b", number);
    }
    log.now += 10 * GRACE;
    log.record();
    assert!(log.all().is_empty() && log.records().is_empty());
}

#[test]
fn a_gap_filled_while_the_log_is_told_of_it_is_told_closed() {
    let mut log = Log::default();
    log.read("s", "b", 1);
    log.read("s", "b", 3);
    log.now += GRACE;
    let unrecorded = log.gaps.unrecorded(log.now, GRACE, 10);
    log.read("s", "b", 2);
    for (sequence, details) in unrecorded {
        log.write_record(sequence, &details);
    }
    log.record();
    let states: Vec<GapState> = log
        .records()
        .iter()
        .map(|(_, record)| record.state)
        .collect();
    assert_eq!(states, [GapState::Open, GapState::Closed]);
    assert_eq!(log.all()[0].closed_entry, Some(4));
}

#[test]
fn a_gap_that_grows_while_the_log_is_told_of_it_is_told_again() {
    let mut log = Log::default();
    log.read("s", "b", 1);
    log.read("s", "b", 3);
    log.now += GRACE;
    let unrecorded = log.gaps.unrecorded(log.now, GRACE, 10);
    log.read("s", "b", 5);
    for (sequence, details) in unrecorded {
        log.write_record(sequence, &details);
    }
    log.record();
    let sizes: Vec<u64> = log
        .records()
        .iter()
        .map(|(_, record)| record.extent)
        .collect();
    assert_eq!(sizes, [1, 2]);
}

#[test]
fn a_new_boot_is_unknown_and_counts_by_itself() {
    let mut log = Log::default();
    log.read("s", "one", 7);
    log.now += 5;
    log.read("s", "two", 1);
    log.read("s", "two", 2);
    let [gap] = log.all().try_into().unwrap();
    assert_eq!((gap.kind, gap.state), (GapKind::Restart, GapState::Unknown));
    assert_eq!(gap.missing(), None);
    assert_eq!(
        (gap.previous_boot.as_str(), gap.boot.as_str()),
        ("one", "two")
    );
    assert_eq!((gap.start, gap.end, gap.restarts), (0, 5, 1));
    let told = details(&gap);
    assert_eq!(told["state"], "unknown");
    assert!(!told.contains_key("missing"));
}

#[test]
fn an_absurd_number_is_told_apart_and_the_device_may_go_back() {
    let mut log = Log::default();
    for number in [1, 2, 9_000_000_000_000_000, 3, 4, 7] {
        log.now += 1_000_000;
        log.read("s", "b", number);
    }
    let kinds: Vec<_> = log
        .all()
        .iter()
        .map(|gap| (gap.kind, gap.state, gap.missing()))
        .collect();
    assert_eq!(
        kinds,
        [
            (GapKind::Numbers, GapState::Open, Some(2)),
            (GapKind::Jump, GapState::Unknown, None)
        ]
    );
    assert_eq!(log.gaps.totals().missing, 2);
    let told = details(&log.all()[1]);
    assert_eq!(
        (&told["kind"], &told["numbers"]),
        (&"jump".into(), &"3-8999999999999999".into())
    );
}

#[test]
fn a_gap_that_somebody_closed_is_closed_for_good() {
    let mut log = Log::default();
    for number in [1, 2, 5] {
        log.read("s", "b", number);
    }
    log.now += GRACE;
    log.record();
    let closing = |gap| {
        let event = r#"{"actor":"officer","gap":GAP,"reason":"the cable was out"}"#;
        let message = event.replace("GAP", &u64::to_string(&gap));
        let event = fieldledger_audit::EventRow {
            message: &message,
            ..Default::default()
        };
        noted_in(&event, "ledger/gap-closing", None).unwrap()
    };
    log.append("ledger/gap-closing", 2, closing(2));
    log.append("ledger/gap-closing", 99, closing(99));
    log.now += 10 * GRACE;
    log.read("s", "b", 3);
    log.record();
    let [gap] = log.all().try_into().unwrap();
    assert_eq!((gap.state, gap.closed_entry), (GapState::Closed, Some(4)));
    assert_eq!(
        (gap.closed_by.as_str(), gap.closed_reason.as_str()),
        ("officer", "the cable was out")
    );
    let totals = log.gaps.totals();
    assert_eq!((totals.open, totals.missing, totals.closed), (0, 0, 1));
    assert_eq!(log.records().len(), 1, "its end is told by the closing");
}

#[test]
fn numbers_used_again_are_one_gap_that_is_told_as_it_doubles() {
    let mut log = Log::default();
    log.read("s", "b", 50);
    for number in 1..=100 {
        log.now += 1_000_000;
        let reused = Noted::Reused {
            sensor: "s".to_owned(),
            boot: "b".to_owned(),
            number,
            polled_at: log.now,
            device_at: None,
        };
        log.append("poll/s/e", number, reused);
        log.now += GRACE;
        log.record();
    }
    let [gap] = log.all().try_into().unwrap();
    assert_eq!(
        (gap.kind, gap.state, gap.restarts),
        (GapKind::Reused, GapState::Unknown, 100)
    );
    assert_eq!(log.records().len(), 7);
}

#[test]
fn hostile_numbers_take_bounded_memory() {
    let mut log = Log::default();
    log.read("jumps", "b", 0);
    log.read("jumps", "b", 1 << 50);
    assert_eq!(log.all()[0].missing(), None);
    // A hole at every reading, then a boot at every reading.
    let mut gaps = Gaps::default();
    let noted = Noted::Number {
        said: None,
        polled_at: 0,
        device_at: None,
    };
    let mut index = 0;
    let mut note = |gaps: &mut Gaps, producer: &str, number, received_at| {
        let place = Place { index, received_at };
        gaps.note((producer, number), &noted, place);
        index += 1;
    };
    for number in 0..50_000 {
        note(&mut gaps, "reading/holes/b", 2 * number, 0);
    }
    let totals = gaps.totals();
    assert_eq!((totals.open, totals.missing), (1, 49_999));
    assert!(gaps.ranges <= MOST_RANGES);
    for number in 0..50_000 {
        let producer = format!("reading/boots/{number}");
        note(&mut gaps, &producer, 0, number * 2 * BURST);
    }
    let totals = gaps.totals();
    assert_eq!((totals.unknown, totals.forgotten), (10_000, 39_999));
    assert_eq!(gaps.sensors["boots"].boots.len(), MOST_BOOTS);
    assert!(gaps.gaps.len() <= MOST_SETTLED + 1 && gaps.unrecorded.len() <= MOST_SETTLED + 1);
    for number in 0..10_000 {
        note(&mut gaps, "reading/slow/b", 2 * number, number * 2 * BURST);
    }
    assert_eq!(gaps.sensors["slow"].open.len(), MOST_OPEN);
}

#[test]
fn pages_follow_each_other_from_the_newest() {
    let mut log = Log::default();
    for number in 0..10 {
        log.now += 2 * BURST;
        log.read("s", "b", 2 * number);
        log.read("t", "b", number);
    }
    let mut query = GapQuery {
        sensor: Some("s".to_owned()),
        state: Some(GapState::Open),
        limit: 4,
        ..GapQuery::default()
    };
    let mut ids = Vec::new();
    loop {
        let page = log.gaps.list(&query).unwrap();
        ids.extend(page.gaps.iter().map(|gap| gap.id));
        query.cursor = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(ids, [18, 16, 14, 12, 10, 8, 6, 4, 2]);
    query.cursor = None;
    query.start = Some(WallTime::from_micros(2 * BURST * 4 + 1));
    query.end = Some(WallTime::from_micros(2 * BURST * 5));
    let ids: Vec<u64> = log
        .gaps
        .list(&query)
        .unwrap()
        .gaps
        .iter()
        .map(|gap| gap.id)
        .collect();
    assert_eq!(ids, [8]);
    for (limit, start, end) in [(0, None, None), (1_001, None, None), (1, Some(5), Some(5))] {
        let query = GapQuery {
            limit,
            start: start.map(WallTime::from_micros),
            end: end.map(WallTime::from_micros),
            ..GapQuery::default()
        };
        assert!(log.gaps.list(&query).is_err());
    }
}
