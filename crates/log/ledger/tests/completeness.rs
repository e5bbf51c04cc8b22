//! Which readings are missing, and what the log tells of it.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{append, config_without_index, counted, entries};
use fieldledger_contract::WallTime;
use fieldledger_ledger::{Config, Gap, GapKind, GapQuery, GapState, Ledger};
use serde_json::Value;

const FOLDER: &str = "FIELDLEDGER_TEST_FOLDER";
const SENSOR: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

fn impatient(folder: &Path) -> Config {
    let mut config = config_without_index(folder);
    config.gap_grace_ms = 0;
    config
}

/// Never tells the log.
fn patient(folder: &Path) -> Config {
    let mut config = config_without_index(folder);
    config.gap_grace_ms = u64::MAX;
    config
}

fn gaps(ledger: &Ledger) -> Vec<Gap> {
    let query = GapQuery {
        limit: 1_000,
        ..GapQuery::default()
    };
    ledger.gaps(&query).unwrap().gaps
}

/// Waits until the ledger's gaps are as wanted.
fn wait_for(ledger: &Ledger, wanted: impl Fn(&[Gap]) -> bool) -> Vec<Gap> {
    let started = Instant::now();
    loop {
        let found = gaps(ledger);
        if wanted(&found) {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{found:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Producer, sequence and message of each entry about a gap.
fn records(ledger: &Ledger) -> Vec<(u64, Value)> {
    let mut records = Vec::new();
    for entry in entries(ledger) {
        let envelope: Value = serde_json::from_str(&entry.envelope).unwrap();
        if envelope["producer"] == "ledger/gap" {
            assert_eq!(envelope["event"]["action"], "LOG_GAP");
            let message = envelope["event"]["message"].as_str().unwrap();
            let details = serde_json::from_str(message).unwrap();
            records.push((envelope["sequence"].as_u64().unwrap(), details));
        }
    }
    records
}

#[test]
fn a_gap_is_told_of_and_so_is_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(impatient(folder.path())).unwrap();
    append(&ledger, counted(SENSOR, "b1", [1, 2, 6, 7])).unwrap();
    let open = wait_for(&ledger, |gaps| gaps[0].opened_entry.is_some());
    let [gap] = open.as_slice() else {
        panic!("{open:?}");
    };
    assert_eq!((gap.sensor.as_str(), gap.boot.as_str()), (SENSOR, "b1"));
    assert_eq!((gap.kind, gap.state), (GapKind::Numbers, GapState::Open));
    assert_eq!((gap.id, gap.before, gap.after), (2, 1, 2));
    assert_eq!(gap.missing, Some(3));
    assert_eq!(gap.end.seconds() - gap.start.seconds(), 4);
    let device_start = gap.start.micros + 7;
    assert_eq!(gap.device_start, Some(WallTime::from_micros(device_start)));
    let told = records(&ledger);
    let [(0, told)] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(
        (told["numbers"].as_str(), told["state"].as_str()),
        (Some("3-5"), Some("open"))
    );
    assert_eq!(told["start"], "2026-01-02T03:04:07.000000Z");

    append(&ledger, counted(SENSOR, "b1", [4])).unwrap();
    let ranges = gaps(&ledger)[0].ranges.clone();
    let ranges: Vec<_> = ranges
        .iter()
        .map(|range| (range.first, range.last))
        .collect();
    assert_eq!(ranges, [(3, 3), (5, 5)]);
    append(&ledger, counted(SENSOR, "b1", [3, 5])).unwrap();
    let closed = wait_for(&ledger, |gaps| gaps[0].closed_entry.is_some());
    assert_eq!(closed[0].state, GapState::Closed);
    let told = records(&ledger);
    assert_eq!(told.len(), 2);
    assert_eq!(told[1].1["state"], "closed");
    assert_eq!((told[1].0, told[1].1["gap"].as_u64()), (1, Some(2)));
}

#[test]
fn a_poll_without_an_answer_is_no_gap() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(impatient(folder.path())).unwrap();
    let mut silent = common::reading(SENSOR, 5, None);
    silent.producer = vec![format!("poll/{SENSOR}/e")];
    silent.sequence = vec![5];
    append(&ledger, silent).unwrap();
    let mut unnumbered = common::reading(SENSOR, 9, Some(1.5));
    unnumbered.producer = vec![format!("poll/{SENSOR}/e")];
    unnumbered.sequence = vec![9];
    append(&ledger, unnumbered).unwrap();
    append(&ledger, counted(SENSOR, "b1", [100, 101])).unwrap();
    assert!(gaps(&ledger).is_empty());
}

#[test]
fn a_start_finds_the_same_gaps_with_and_without_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(impatient(folder.path())).unwrap();
    append(&ledger, counted(SENSOR, "b1", [1, 5, 9])).unwrap();
    append(&ledger, counted(SENSOR, "b2", [3, 1_u64 << 52])).unwrap();
    append(&ledger, counted(SENSOR, "b1", [7])).unwrap();
    let before = wait_for(&ledger, |gaps| {
        gaps.len() == 3 && gaps.iter().all(|gap| gap.opened_entry.is_some())
    });
    let told = records(&ledger);
    ledger.close();
    drop(ledger);
    assert!(folder.path().join("snapshot").exists());
    let ledger = Ledger::open(patient(folder.path())).unwrap();
    assert_eq!(gaps(&ledger), before);
    drop(ledger);
    std::fs::remove_file(folder.path().join("snapshot")).unwrap();
    let ledger = Ledger::open(impatient(folder.path())).unwrap();
    assert_eq!(gaps(&ledger), before);
    // Nothing is told twice: one more gap is told of under the next number.
    append(&ledger, counted(SENSOR, "b1", [11])).unwrap();
    wait_for(&ledger, |gaps| {
        gaps.len() == 4 && gaps[0].opened_entry.is_some()
    });
    let all = records(&ledger);
    assert_eq!(all[..told.len()], told);
    let sequences: Vec<u64> = all.iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(sequences, (0..all.len() as u64).collect::<Vec<_>>());
}

#[test]
fn an_erased_reading_is_not_missing() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(patient(folder.path())).unwrap();
    append(&ledger, counted(SENSOR, "b1", [1, 2, 3, 6])).unwrap();
    ledger.erase(1, "asked to", "tester").unwrap();
    ledger.close();
    drop(ledger);
    std::fs::remove_file(folder.path().join("snapshot")).unwrap();
    let ledger = Ledger::open(patient(folder.path())).unwrap();
    let [gap] = gaps(&ledger).try_into().unwrap();
    assert_eq!((gap.ranges[0].first, gap.missing), (4, Some(2)));
}

#[test]
fn what_was_read_twice_is_no_news() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(patient(folder.path())).unwrap();
    append(&ledger, counted(SENSOR, "b1", [1, 3])).unwrap();
    append(&ledger, counted(SENSOR, "b1", [1, 3, 3])).unwrap();
    let totals = ledger.gap_totals();
    assert_eq!((totals.open, totals.missing, totals.unknown), (1, 1, 0));
}

/// Appends numbers with holes that are filled two rounds later, until it is killed.
#[test]
#[ignore = "run by a_killed_ledger_tells_of_each_gap_once"]
fn child_loses_readings_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let mut config = impatient(&folder);
    config.snapshot_every = 40;
    let ledger = Ledger::open(config).unwrap();
    // Each round has a boot of its own, so that each gap is one of its own; the log knows how far
    // the runs before came.
    for round in 0_u64.. {
        let boot = round.to_string();
        append(&ledger, counted(SENSOR, &boot, [1, 4])).unwrap();
        if let Some(earlier) = round.checked_sub(2) {
            let fill = if earlier % 2 == 0 {
                vec![2, 3]
            } else {
                vec![2]
            };
            append(&ledger, counted(SENSOR, &earlier.to_string(), fill)).unwrap();
        }
        writeln!(std::io::stdout(), "round {round}").unwrap();
    }
}

#[test]
fn a_killed_ledger_tells_of_each_gap_once() {
    let folder = tempfile::tempdir().unwrap();
    for run in 1..=6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_loses_readings_until_killed", "--ignored"])
            .args(["--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let wanted = format!("round {}", run * 15);
        let reached = output.any(|line| line.unwrap().ends_with(&wanted));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(reached, "the child ended by itself");
    }
    let ledger = Ledger::open(impatient(folder.path())).unwrap();
    let all = wait_for(&ledger, |gaps| {
        gaps.iter().all(|gap| {
            gap.opened_entry.is_some()
                && (gap.state != GapState::Closed || gap.closed_entry.is_some())
        })
    });
    let told = records(&ledger);
    let sequences: Vec<u64> = told.iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(sequences, (0..told.len() as u64).collect::<Vec<_>>());
    let mut states: HashMap<(u64, String), Vec<u64>> = HashMap::new();
    for (_, details) in &told {
        let state = details["state"].as_str().unwrap().to_owned();
        let size = details["size"].as_u64().unwrap();
        let sizes = states.entry((details["gap"].as_u64().unwrap(), state));
        sizes.or_default().push(size);
    }
    for ((gap, state), sizes) in &states {
        // Again only where it had grown meanwhile.
        assert!(
            sizes.windows(2).all(|pair| pair[0] < pair[1]),
            "gap {gap} is told {state} with sizes {sizes:?}"
        );
    }
    // All rounds but the last two are as the child left them: even ones whole, odd ones lacking 3.
    let open: Vec<&Gap> = all
        .iter()
        .filter(|gap| gap.state == GapState::Open)
        .collect();
    assert!(open.len() >= 30, "{} open", open.len());
    let whole = |gap: &&Gap| gap.boot.parse::<u64>().unwrap() < 80;
    for gap in open.into_iter().filter(whole) {
        assert_eq!(gap.boot.parse::<u64>().unwrap() % 2, 1);
        assert_eq!((gap.ranges[0].first, gap.missing), (3, Some(1)));
    }
    // And a start that reads the whole log finds the same.
    ledger.close();
    drop(ledger);
    std::fs::remove_file(folder.path().join("snapshot")).unwrap();
    let ledger = Ledger::open(patient(folder.path())).unwrap();
    assert_eq!(gaps(&ledger), all);
}
