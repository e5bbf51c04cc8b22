//! Logs that end, and logs that go on from there.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use common::{append, config_without_index, message, numbered, verify};
use fieldledger_ledger::fsck::{self, Severity};
use fieldledger_ledger::{
    AppendError, Config, ControlError, Ledger, OpenError, Publication, Successor,
};

fn open(folder: &Path) -> Ledger {
    Ledger::open(config_without_index(folder)).unwrap()
}

fn successor_config(folder: &Path) -> Config {
    let mut config = config_without_index(folder);
    config.origin = "example.com/second".to_owned();
    config
}

fn assert_refused(ledger: &Ledger, size: u64) {
    let Err(AppendError::Ended(reason)) = append(ledger, numbered("p", 50, 51)) else {
        panic!("a frozen log takes nothing");
    };
    for part in ["frozen by entry 3", "moved to hall 2", "example.com/second"] {
        assert!(reason.contains(part), "{reason}");
    }
    let changes = [
        ledger.retire_key("r", "a").map(|_| ()),
        ledger.rotate_key("r", "a").map(|_| ()),
        ledger.freeze(None, "r", "a").map(|_| ()),
    ];
    for change in changes {
        assert!(matches!(change, Err(ControlError::Ended(_))), "{change:?}");
    }
    assert_eq!(ledger.checkpoint().tree_size, size);
    let ended = ledger.status().ended.unwrap();
    assert!(ended.contains("frozen by entry 3"), "{ended}");
}

#[test]
fn a_frozen_log_takes_nothing_ever_again() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    append(&ledger, numbered("p", 0, 3)).unwrap();
    let successor = Successor {
        origin: "example.com/second".to_owned(),
        verifier_key: String::new(),
    };
    let freeze = ledger
        .freeze(Some(successor), "moved to hall 2", "a")
        .unwrap();
    assert_eq!((freeze.entry, freeze.checkpoint.tree_size), (3, 4));
    assert_refused(&ledger, 4);
    drop(ledger);
    for with_snapshot in [true, false] {
        if !with_snapshot {
            fs::remove_file(folder.path().join("snapshot")).unwrap();
        }
        let ledger = open(folder.path());
        assert_refused(&ledger, 4);
        for index in 0..4 {
            let proof = ledger.inclusion(index).unwrap();
            verify(&proof.entry, &proof.checkpoint);
        }
    }
}

#[test]
fn what_a_frozen_log_says_can_still_be_erased() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    append(&ledger, numbered("p", 0, 3)).unwrap();
    let successor = Successor {
        origin: "example.com/second".to_owned(),
        verifier_key: String::new(),
    };
    let end = ledger
        .freeze(Some(successor), "moved to hall 2", "a")
        .unwrap()
        .checkpoint;
    let erasure = ledger.erase(1, "a visitor asked", "officer").unwrap();
    assert_eq!(
        (erasure.entry, erasure.marker, erasure.already),
        (1, 4, false)
    );
    assert_refused(&ledger, 5);
    // The freeze itself is one of the log's own entries, as is what tells of the erasure.
    for own in [3, 4] {
        let refused = ledger.erase(own, "r", "a");
        assert!(
            matches!(refused, Err(ControlError::Refused(_))),
            "{refused:?}"
        );
    }
    // Whoever relies on the tree that ended is shown that this one continues it.
    assert_eq!(end.tree_size, 4);
    assert!(!ledger.consistency(4, 5).unwrap().is_empty());
    drop(ledger);

    for (with_snapshot, entry, marker) in [(true, 0, 5), (false, 2, 6)] {
        if !with_snapshot {
            fs::remove_file(folder.path().join("snapshot")).unwrap();
        }
        let ledger = open(folder.path());
        assert_refused(&ledger, marker);
        assert!(ledger.erase(1, "r", "a").unwrap().already);
        assert_eq!(ledger.erase(entry, "r", "a").unwrap().marker, marker);
        for index in 0..=marker {
            let proof = ledger.inclusion(index).unwrap();
            verify(&proof.entry, &proof.checkpoint);
        }
    }
    let config = config_without_index(folder.path());
    let report = fsck::check(&config, &mut |_| {}).unwrap();
    assert!(
        report.worst().is_none_or(|worst| worst == Severity::Note),
        "{report:?}"
    );
}

#[test]
fn no_root_is_published_of_a_log_that_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config_without_index(folder.path());
    config.publication = Some(Publication {
        interval_ms: 1,
        entries: 1,
    });
    let ledger = Ledger::open(config.clone()).unwrap();
    append(&ledger, numbered("p", 0, 3)).unwrap();
    ledger.freeze(None, "r", "a").unwrap();
    let size = ledger.checkpoint().tree_size;
    let publisher = || {
        let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = tasks.map(|task| fs::read_to_string(task.path().join("comm")));
        names
            .flatten()
            .filter(|name| name.trim() == "ledger-publish")
            .count()
    };
    // Other tests of this process may have ledgers of their own.
    let started = Instant::now();
    while publisher() > 0 {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "it publishes on"
        );
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(ledger.checkpoint().tree_size, size);
    ledger.close();
}

#[test]
fn a_successor_begins_with_what_it_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    append(&first, numbered("p", 0, 3)).unwrap();
    let end = first.freeze(None, "r", "a").unwrap().checkpoint;
    let next = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let second = Ledger::succeed(successor_config(next.path()), &end, 4).unwrap();
        assert_eq!(second.checkpoint().tree_size, 1);
        let entry = second.inclusion(0).unwrap().entry;
        let told: serde_json::Value = serde_json::from_str(&message(&entry)).unwrap();
        assert_eq!(told["predecessor_origin"], end.origin);
        assert_eq!(told["predecessor_size"], 4);
        assert_eq!(told["predecessor_root"], end.root_hash);
        assert_eq!(told["predecessor_checkpoint"], end.note);
    }
    // Under the name of the log that ended it would be a fork of it.
    let folder = tempfile::tempdir().unwrap();
    let error = Ledger::succeed(config_without_index(folder.path()), &end, 4).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Setting {
                setting: "origin",
                ..
            }
        ),
        "{error}"
    );
    let other = Ledger::open(successor_config(folder.path())).unwrap();
    append(&other, numbered("p", 0, 1)).unwrap();
    drop(other);
    let error = Ledger::succeed(successor_config(folder.path()), &end, 4).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Setting {
                setting: "folder",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_log_that_has_lived_is_found_whole() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path());
    append(&ledger, numbered("p", 0, 10)).unwrap();
    let check = || {
        let config = config_without_index(folder.path());
        let report = fsck::check(&config, &mut |_| {}).unwrap();
        assert!(
            report.worst().is_none_or(|worst| worst == Severity::Note),
            "{report:?}"
        );
    };
    ledger.erase(3, "r", "a").unwrap();
    ledger.rotate_key("r", "a").unwrap();
    ledger.close();
    check();
    let ledger = open(folder.path());
    ledger.retire_key("r", "a").unwrap();
    ledger.rotate_key("r", "a").unwrap();
    ledger.freeze(None, "r", "a").unwrap();
    ledger.close();
    check();
    let ledger = open(folder.path());
    assert_eq!(ledger.checkpoint().verifier_keys.len(), 2);
}
