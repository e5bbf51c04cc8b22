//! Logs that end, and logs that go on from there.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{append, config_without_index, message, numbered, verify};
use fieldledger_ledger::fsck::{self, Severity};
use fieldledger_ledger::{AppendError, Config, ControlError, Ledger, OpenError, Successor};

fn open(folder: &Path) -> Ledger {
    Ledger::open(config_without_index(folder)).unwrap()
}

fn successor_config(folder: &Path) -> Config {
    let mut config = config_without_index(folder);
    config.origin = "example.com/second".to_owned();
    config
}

fn assert_refused(ledger: &Ledger) {
    let Err(AppendError::Unavailable(reason)) = append(ledger, numbered("p", 50, 51)) else {
        panic!("a frozen log takes nothing");
    };
    for part in ["frozen by entry 3", "moved to hall 2", "example.com/second"] {
        assert!(reason.contains(part), "{reason}");
    }
    let changes = [
        ledger.erase(0, "r", "a").map(|_| ()),
        ledger.rotate_key("r", "a").map(|_| ()),
        ledger.freeze(None, "r", "a").map(|_| ()),
    ];
    for change in changes {
        assert!(
            matches!(change, Err(ControlError::Refused(_))),
            "{change:?}"
        );
    }
    assert_eq!(ledger.checkpoint().tree_size, 4);
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
    assert_refused(&ledger);
    drop(ledger);
    for with_snapshot in [true, false] {
        if !with_snapshot {
            fs::remove_file(folder.path().join("snapshot")).unwrap();
        }
        let ledger = open(folder.path());
        assert_refused(&ledger);
        for index in 0..4 {
            let proof = ledger.inclusion(index).unwrap();
            verify(&proof.entry, &proof.checkpoint);
        }
    }
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
