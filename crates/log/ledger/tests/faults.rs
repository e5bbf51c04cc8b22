//! Every operation on every file fails once, and the ledger dies at every one of them.
//!
//! A scripted life of a ledger is run again and again; each time another of its operations goes
//! wrong. Afterwards nothing that was acknowledged may be missing, nothing may be there twice, and the
//! tree must continue every tree that was signed before.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;
use std::thread;
use std::time::Duration;

use common::{append, config_without_index, entries, numbered, verify, verify_growth};
use fieldledger_chance::seed;
use fieldledger_ledger::fsck::{self, Severity};
use fieldledger_ledger::{AppendError, Checkpoint, Config, Done, Fault, Faults, Ledger, PowerLoss};
use tempfile::TempDir;

/// Producer, first and last but one sequence of the script's calls; some are sent twice.
const CALLS: [(&str, u64, u64); 9] = [
    ("p", 0, 250),
    ("p", 250, 260),
    ("p", 255, 265),
    ("q", 0, 3),
    ("p", 265, 266),
    ("q", 1, 6),
    ("q", 6, 30),
    ("p", 260, 300),
    ("r", 0, 1),
];

/// The entry whose payload is erased at the end of the first life. It is told of by another.
const ERASED: u64 = 7;

/// After so many of them the ledger is closed and opened again.
const SECOND_LIFE: usize = 6;

/// What the callers know in the end.
#[derive(Default)]
struct Known {
    acknowledged: BTreeMap<&'static str, BTreeSet<u64>>,
    signed: Vec<Checkpoint>,
    /// Whether somebody was told that the payload of the entry is gone.
    erased: bool,
    /// The keys that somebody was told of.
    keys: Vec<String>,
}

/// In memory where there is such a folder: the faults keep their own books of what was synced.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// Segments and snapshots so small that the script begins several.
fn config(folder: &Path, faults: Option<&Faults>) -> Config {
    let mut config = config_without_index(&folder.join("log"));
    config.segment_bytes = 2_000;
    config.snapshot_every = 12;
    config.faults = faults.cloned();
    config
}

/// Runs the script as far as the disk lets it.
fn live(folder: &Path, faults: &Faults) -> Known {
    let mut known = Known::default();
    for calls in [&CALLS[..SECOND_LIFE], &CALLS[SECOND_LIFE..]] {
        let Ok(ledger) = Ledger::open(config(folder, Some(faults))) else {
            continue;
        };
        for &(producer, from, to) in calls {
            match append(&ledger, numbered(producer, from, to)) {
                Ok(written) => {
                    let checkpoint = ledger.checkpoint();
                    assert_eq!(written.tree_size, checkpoint.tree_size);
                    known.signed.push(checkpoint);
                    known
                        .acknowledged
                        .entry(producer)
                        .or_default()
                        .extend(from..to);
                }
                Err(AppendError::Unavailable(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        if calls.len() == SECOND_LIFE {
            known.erased = ledger.erase(ERASED, "asked", "test").is_ok();
        } else if let Ok(change) = ledger.rotate_key("due", "test") {
            known.keys = change.verifier_keys;
        }
        known.signed.push(ledger.checkpoint());
    }
    known
}

/// Opens the ledger on a good disk and compares it with what is known.
fn check(folder: &Path, known: &Known, what: &str) {
    let ledger = Ledger::open(config(folder, None))
        .unwrap_or_else(|error| panic!("{what}: the ledger does not open: {error:?}"));
    let checkpoint = ledger.checkpoint();
    for signed in known.signed.iter().filter(|signed| signed.tree_size > 0) {
        assert!(
            signed.tree_size <= checkpoint.tree_size,
            "{what}: went back"
        );
        verify_growth(&ledger, signed, &checkpoint);
    }
    for key in &known.keys {
        assert!(
            checkpoint.verifier_keys.contains(key),
            "{what}: a key is lost"
        );
    }
    // What is erased does not say which event it was; that it is known is seen when it is sent again.
    let mut gone = 0;
    let mut there: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for entry in entries(&ledger) {
        if entry.removed.is_some() {
            assert_eq!(entry.index, ERASED, "{what}");
            gone += 1;
            continue;
        }
        assert!(
            !known.erased || entry.index != ERASED,
            "{what}: an erased payload is back"
        );
        let envelope: serde_json::Value = serde_json::from_str(&entry.envelope).unwrap();
        let producer = envelope["producer"].as_str().unwrap().to_owned();
        let sequence = envelope["sequence"].as_u64().unwrap();
        let new = there.entry(producer).or_default().insert(sequence);
        assert!(new, "{what}: entry {} is there twice", entry.index);
    }
    let acknowledged = known.acknowledged.iter();
    let missing: Vec<_> = acknowledged
        .flat_map(|(producer, sequences)| {
            sequences.iter().map(move |sequence| (*producer, *sequence))
        })
        .filter(|(producer, sequence)| {
            there
                .get(*producer)
                .is_none_or(|there| !there.contains(sequence))
        })
        .collect();
    assert!(missing.len() <= gone, "{what}: lost {missing:?}");
    // Callers that got no answer send again; then all is there once.
    for (producer, from, to) in CALLS {
        append(&ledger, numbered(producer, from, to)).unwrap();
    }
    let checkpoint = ledger.checkpoint();
    let own = |producer: &&String| producer.starts_with("ledger/");
    let own: usize = there
        .keys()
        .filter(own)
        .map(|producer| there[producer].len())
        .sum();
    assert_eq!(checkpoint.tree_size, 331 + own as u64, "{what}");
    for index in (0..331).step_by(66) {
        let proof = ledger.inclusion(index).unwrap();
        if proof.entry.removed.is_none() {
            verify(&proof.entry, &checkpoint);
        }
    }
    drop(ledger);
    let report = fsck::check(&config(folder, None), &mut |_| {}).unwrap();
    let worst = report.worst().unwrap_or(Severity::Note);
    assert!(worst < Severity::Damage, "{what}: {:#?}", report.findings);
}

/// Operations of the script when nothing goes wrong.
fn operations() -> u64 {
    let (folder, faults) = (folder(), Faults::default());
    let known = live(folder.path(), &faults);
    assert_eq!(
        known
            .acknowledged
            .values()
            .map(BTreeSet::len)
            .sum::<usize>(),
        331
    );
    check(folder.path(), &known, "without a fault");
    faults.calls()
}

/// Runs `each` for every operation, on both cores.
fn for_every_operation(each: impl Fn(u64) + Sync) {
    let last = operations();
    assert!(last > 150, "the script has {last} operations only");
    thread::scope(|scope| {
        for half in 0..2 {
            let each = &each;
            scope.spawn(move || (1 + half..=last).step_by(2).for_each(each));
        }
    });
}

#[test]
fn any_operation_may_fail() {
    for_every_operation(|number| {
        for fault in [
            Fault::Error(ErrorKind::Other),
            Fault::Error(ErrorKind::StorageFull),
            Fault::Short,
        ] {
            let (folder, faults) = (folder(), Faults::default());
            faults.plan(number, fault);
            let known = live(folder.path(), &faults);
            check(folder.path(), &known, &format!("{fault:?} at {number}"));
        }
    });
}

#[test]
fn the_process_may_die_at_any_operation() {
    for_every_operation(|number| {
        for done in [Done::Nothing, Done::Half, Done::All] {
            let (folder, faults) = (folder(), Faults::default());
            faults.plan(number, Fault::Death(done));
            let known = live(folder.path(), &faults);
            check(
                folder.path(),
                &known,
                &format!("death at {number}, {done:?} done"),
            );
        }
    });
}

/// A loss of power undoes some of what was not synced: which of it is drawn, in part from the
/// operation's number and in part from the seed of the run.
#[test]
fn the_power_may_fail_at_any_operation() {
    let seed = seed().get();
    for_every_operation(|number| {
        for (done, loss) in [
            (Done::Nothing, PowerLoss::Everything),
            (Done::All, PowerLoss::Everything),
            (Done::Half, PowerLoss::Some(number)),
            (Done::All, PowerLoss::Some(seed.wrapping_add(number))),
        ] {
            let (folder, faults) = (folder(), Faults::default());
            faults.plan(number, Fault::Death(done));
            let known = live(folder.path(), &faults);
            faults.lose_power(loss).unwrap();
            let what = format!("power loss at {number}, {done:?} done, lost {loss:?}");
            check(folder.path(), &known, &what);
        }
    });
}

/// From some operation on the disk fails for good: nothing is acknowledged that is not there.
#[test]
fn the_disk_may_fail_for_good() {
    for_every_operation(|number| {
        let (folder, faults) = (folder(), Faults::default());
        faults.plan_all_from(number, ErrorKind::Other);
        let known = live(folder.path(), &faults);
        check(folder.path(), &known, &format!("failing from {number}"));
    });
}

/// However slow the disk, callers share commits, and a commit takes all that waits.
#[test]
fn a_slow_disk_makes_commits_larger() {
    let (folder, faults) = (folder(), Faults::default());
    let ledger = Ledger::open(config_of_slow(folder.path(), &faults)).unwrap();
    faults.slow_down(Duration::from_millis(20));
    let calls = (0..400).map(|caller| ledger.append(numbered(&format!("p{caller}"), 0, 2)));
    let answers = futures::executor::block_on(futures::future::join_all(calls));
    assert!(answers.iter().all(Result::is_ok));
    let status = ledger.status();
    assert_eq!(status.tree_size, 800);
    assert!(status.commits <= 40, "{} commits", status.commits);
}

fn config_of_slow(folder: &Path, faults: &Faults) -> Config {
    let mut config = config_without_index(&folder.join("log"));
    config.faults = Some(faults.clone());
    config
}
