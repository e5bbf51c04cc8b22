//! Crashes and disk failures while appends are under way.
//!
//! A child is killed once it has acknowledged so many times. That count is drawn from a seed, which is
//! printed and can be set as `FIELDLEDGER_SEED`; each test runs with a fixed set of seeds and a new
//! one. A seed repeats the counts and no more: where in its work the child is when the signal arrives
//! depends on the machine. Every operation at which a ledger can die is gone through in `faults.rs`.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use common::{
    append, config, config_without_index, entries, numbered, query, verify, verify_growth,
    wait_for_index,
};
use fieldledger_chance::each;
use fieldledger_ledger::{AppendError, Checkpoint, Config, Ledger};
use rand::Rng;

const FOLDER: &str = "FIELDLEDGER_TEST_FOLDER";
const PRODUCERS: u64 = 4;
const BATCH: u64 = 7;

/// Seeds that every run draws its kill points from, besides a new one.
const SEEDS: [u64; 2] = [1, 2];

/// Small files, so that crashes hit the moments when one begins.
fn busy(folder: &Path) -> Config {
    let mut config = config(folder);
    config.segment_bytes = 20_000;
    config.snapshot_every = 100;
    config
}

/// Runs one of the ignored tests below in a process of its own.
fn child(test: &str, folder: &Path, wrapper: Option<&str>) -> Child {
    let this = std::env::current_exe().unwrap();
    let arguments = [
        "--exact",
        test,
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ];
    let mut command = match wrapper {
        Some(script) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", script, "sh"]).arg(this);
            shell
        }
        None => Command::new(this),
    };
    command
        .args(arguments)
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// None where the test is not run as the child of another.
fn folder_of_child() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// Appends until it is killed, each producer from where the log ends for it, and prints
/// `acknowledged <producer> <end>` once the numbers below the end are in the log.
#[test]
#[ignore = "run by a_killed_ledger_keeps_what_it_acknowledged"]
fn child_appends_until_killed() {
    let Some(folder) = folder_of_child() else {
        return;
    };
    let ledger = Ledger::open(busy(&folder)).unwrap();
    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let ledger = &ledger;
            scope.spawn(move || {
                // Everything is sent again from the start: what is there is not appended twice.
                for batch in 0.. {
                    let events =
                        numbered(&producer.to_string(), batch * BATCH, (batch + 1) * BATCH);
                    append(ledger, events).unwrap();
                    let end = (batch + 1) * BATCH;
                    writeln!(std::io::stdout(), "acknowledged {producer} {end}").unwrap();
                }
            });
        }
    });
}

/// Reads what the child acknowledged; false at the end of its output.
fn read_one(output: &mut BufReader<ChildStdout>, acknowledged: &mut HashMap<String, u64>) -> bool {
    let mut line = String::new();
    if output.read_line(&mut line).unwrap() == 0 {
        return false;
    }
    // The test harness prints before the child does, without ending its line.
    let said = line
        .split_once("acknowledged ")
        .filter(|_| line.ends_with('\n'));
    if let Some((producer, end)) = said.and_then(|(_, said)| said.trim().split_once(' ')) {
        let known = acknowledged.entry(producer.to_owned()).or_default();
        *known = (*known).max(end.parse().unwrap());
    }
    true
}

/// Kills one of the children below once it has acknowledged `count` times, and reads what else it
/// acknowledged until then.
fn kill_after(test: &str, folder: &Path, count: u64, acknowledged: &mut HashMap<String, u64>) {
    let mut child = child(test, folder, None);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..count {
        let goes_on = read_one(&mut output, acknowledged);
        assert!(goes_on, "the child ended by itself");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    while read_one(&mut output, acknowledged) {}
}

#[test]
fn a_killed_ledger_keeps_what_it_acknowledged() {
    for seed in each(&SEEDS) {
        let mut random = seed.numbers();
        let folder = tempfile::tempdir().unwrap();
        let mut acknowledged: HashMap<String, u64> = HashMap::new();
        let mut before: Option<Checkpoint> = None;
        for round in 0..6 {
            let already: u64 = acknowledged.values().sum::<u64>() / BATCH;
            kill_after(
                "child_appends_until_killed",
                folder.path(),
                already + random.random_range(1..60),
                &mut acknowledged,
            );
            // Some crashes hit a ledger that has just recovered from another.
            if round % 3 == 2 {
                before = Some(check(folder.path(), &acknowledged, before.as_ref()));
            }
        }
    }
}

/// Returns the newest signed tree head.
fn check(
    folder: &Path,
    acknowledged: &HashMap<String, u64>,
    before: Option<&Checkpoint>,
) -> Checkpoint {
    let ledger = Ledger::open(busy(folder)).unwrap();
    let checkpoint = ledger.checkpoint();
    let size = checkpoint.tree_size;
    if let Some(before) = before {
        verify_growth(&ledger, before, &checkpoint);
    }
    let mut next: HashMap<String, u64> = HashMap::new();
    for entry in entries(&ledger) {
        let envelope: serde_json::Value = serde_json::from_str(&entry.envelope).unwrap();
        let producer = envelope["producer"].as_str().unwrap().to_owned();
        let expected = next.entry(producer).or_default();
        assert_eq!(
            envelope["sequence"].as_u64().unwrap(),
            *expected,
            "entry {}",
            entry.index
        );
        *expected += 1;
        let proof = ledger.inclusion(entry.index).unwrap();
        verify(&proof.entry, &proof.checkpoint);
    }
    for (producer, end) in acknowledged {
        assert!(
            next[producer] >= *end,
            "producer {producer} lost what was acknowledged"
        );
    }
    wait_for_index(&ledger);
    let found = ledger.search(&query("event")).unwrap();
    assert_eq!(found.count, size.min(10_000));
    checkpoint
}

/// Appends to a disk on which files cannot grow beyond a limit.
#[test]
#[ignore = "run by a_full_disk_refuses_and_loses_nothing"]
fn child_appends_until_the_disk_is_full() {
    let Some(folder) = folder_of_child() else {
        return;
    };
    let ledger = Ledger::open(config_without_index(&folder)).unwrap();
    let mut end = 0;
    loop {
        match append(&ledger, numbered("p", end, end + 50)) {
            Ok(written) => {
                end += 50;
                assert_eq!(written.tree_size, end);
            }
            Err(AppendError::Unavailable(reason)) => {
                assert!(reason.contains("segments"), "{reason}");
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(ledger.checkpoint().tree_size, end);
    let last = ledger.inclusion(end - 1).unwrap();
    verify(&last.entry, &last.checkpoint);
    // What failed left nothing behind, so a smaller append still fits.
    let written = append(&ledger, numbered("p", end, end + 1)).unwrap();
    assert_eq!((written.appended, written.tree_size), (1, end + 1));
    writeln!(std::io::stdout(), "\nacknowledged p {}", end + 1).unwrap();
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // 256 blocks of 512 bytes, and an error instead of a signal beyond them.
    let script = "trap '' XFSZ; ulimit -f 256; exec \"$@\"";
    let mut child = child(
        "child_appends_until_the_disk_is_full",
        folder.path(),
        Some(script),
    );
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = HashMap::new();
    while read_one(&mut output, &mut acknowledged) {}
    assert!(child.wait().unwrap().success());
    let end = acknowledged["p"];

    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    assert_eq!(ledger.checkpoint().tree_size, end);
    let written = append(&ledger, numbered("p", 0, end + 10)).unwrap();
    assert_eq!((u64::from(written.duplicates), written.appended), (end, 10));
}

#[test]
fn what_cannot_be_signed_is_not_acknowledged_and_stops_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    append(&ledger, numbered("p", 0, 3)).unwrap();
    let checkpoint = folder.path().join("anchor/checkpoint");
    let signed = fs::read(&checkpoint).unwrap();
    fs::remove_file(&checkpoint).unwrap();
    assert!(matches!(
        append(&ledger, numbered("p", 3, 4)),
        Err(AppendError::Unavailable(_))
    ));
    assert_eq!(ledger.checkpoint().tree_size, 3);

    fs::write(&checkpoint, signed).unwrap();
    let Err(AppendError::Unavailable(reason)) = append(&ledger, numbered("p", 4, 5)) else {
        panic!("nothing may be appended after entries of unknown state");
    };
    assert!(reason.contains("opened again"), "{reason}");
    assert_eq!(entries(&ledger).len(), 3);
    drop(ledger);

    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    let recovery = ledger.status().recovery;
    assert!(
        recovery.contains("signed 1 that were written but not yet signed"),
        "{recovery}"
    );
    let written = append(&ledger, numbered("p", 0, 5)).unwrap();
    assert_eq!((written.duplicates, written.appended), (4, 1));
}

/// Appends and erases until it is killed, and prints `acknowledged erasures <entry + 1>` once an
/// entry is erased.
#[test]
#[ignore = "run by a_killed_ledger_finishes_what_it_was_erasing"]
fn child_erases_until_killed() {
    let Some(folder) = folder_of_child() else {
        return;
    };
    let ledger = Ledger::open(busy(&folder)).unwrap();
    let mut next = ledger.checkpoint().tree_size;
    loop {
        append(&ledger, numbered("p", next, next + 3)).unwrap();
        ledger
            .erase(ledger.checkpoint().tree_size - 2, "r", "a")
            .unwrap();
        let erased = ledger.checkpoint().tree_size - 2;
        writeln!(std::io::stdout(), "acknowledged erasures {erased}").unwrap();
        next += 3;
    }
}

#[test]
fn a_killed_ledger_finishes_what_it_was_erasing() {
    for seed in each(&SEEDS) {
        let mut random = seed.numbers();
        let folder = tempfile::tempdir().unwrap();
        let mut acknowledged = HashMap::new();
        for round in 0..4 {
            kill_after(
                "child_erases_until_killed",
                folder.path(),
                random.random_range(1..15),
                &mut acknowledged,
            );
            if round % 2 == 1 {
                check_erasures(folder.path(), &acknowledged);
            }
        }
    }
}

/// What was acknowledged is erased, and what is erased is told of.
fn check_erasures(folder: &Path, acknowledged: &HashMap<String, u64>) {
    let ledger = Ledger::open(busy(folder)).unwrap();
    let checkpoint = ledger.checkpoint();
    let mut erased = Vec::new();
    let mut told = Vec::new();
    for index in 0..checkpoint.tree_size {
        let proof = ledger.inclusion(index).unwrap();
        verify(&proof.entry, &proof.checkpoint);
        if let Some(removal) = proof.entry.removed {
            erased.push((index, removal.entry));
            continue;
        }
        let envelope: serde_json::Value = serde_json::from_str(&proof.entry.envelope).unwrap();
        if envelope["producer"] == "ledger/erasure" {
            told.push((envelope["sequence"].as_u64().unwrap(), index));
        }
    }
    assert_eq!(erased, told);
    let last = acknowledged["erasures"] - 1;
    assert!(
        erased.iter().any(|(entry, _)| *entry == last),
        "{last} is not erased"
    );
}

/// Changes keys until it is killed, and prints `acknowledged changes <how many>`.
#[test]
#[ignore = "run by a_killed_ledger_keeps_its_keys"]
fn child_changes_keys_until_killed() {
    let Some(folder) = folder_of_child() else {
        return;
    };
    let ledger = Ledger::open(busy(&folder)).unwrap();
    for change in 1.. {
        append(&ledger, numbered("p", change, change + 1)).unwrap();
        match ledger.checkpoint().verifier_keys.len() {
            1 => ledger.rotate_key("r", "a").unwrap(),
            _ => ledger.retire_key("r", "a").unwrap(),
        };
        writeln!(std::io::stdout(), "acknowledged changes {change}").unwrap();
    }
}

#[test]
fn a_killed_ledger_keeps_its_keys() {
    for seed in each(&SEEDS) {
        let mut random = seed.numbers();
        let folder = tempfile::tempdir().unwrap();
        let first_key = {
            let ledger = Ledger::open(busy(folder.path())).unwrap();
            ledger.checkpoint().verifier_key
        };
        for _ in 0..3 {
            kill_after(
                "child_changes_keys_until_killed",
                folder.path(),
                random.random_range(1..12),
                &mut HashMap::new(),
            );
            check_keys(folder.path(), &first_key);
        }
    }
}

/// The keys that sign are those that the log's entries lead to, from the first.
fn check_keys(folder: &Path, first_key: &str) {
    let ledger = Ledger::open(busy(folder)).unwrap();
    let checkpoint = ledger.checkpoint();
    let mut signing = vec![first_key.to_owned()];
    for index in 0..checkpoint.tree_size {
        let proof = ledger.inclusion(index).unwrap();
        verify(&proof.entry, &proof.checkpoint);
        let envelope: serde_json::Value = serde_json::from_str(&proof.entry.envelope).unwrap();
        if envelope["producer"] != "ledger/key" {
            continue;
        }
        let message = envelope["event"]["message"].as_str().unwrap();
        let change: serde_json::Value = serde_json::from_str(message).unwrap();
        let (old, new) = (
            change["old"].as_str().unwrap(),
            change["new"].as_str().unwrap(),
        );
        match change["step"].as_str().unwrap() {
            "added" => {
                assert_eq!(signing, [old]);
                signing.push(new.to_owned());
            }
            _ => {
                assert_eq!(signing, [old, new]);
                signing.remove(0);
            }
        }
    }
    assert_eq!(checkpoint.verifier_keys, signing);
    for key in &signing {
        let key = fieldledger_verifier::note::LogKey::parse(key).unwrap();
        let head = fieldledger_verifier::note::open(&checkpoint.note, &key).unwrap();
        assert_eq!(head.size, checkpoint.tree_size);
    }
}
