//! The newest signed tree head lies apart from the log, so that no copy of the log can go its own way.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{append, copy_files, entries, numbered};
use fieldledger_ledger::{AnchorPlace, AppendError, Config, Ledger, OpenError};

/// A ledger in the folder `name`, whose anchor is `anchor`.
fn config(folder: &Path, name: &str) -> Config {
    let mut config = Config::new(folder.join(name));
    config.anchor = AnchorPlace::Folder(folder.join("anchor"));
    config.index = false;
    config.lock_wait_ms = 0;
    config
}

#[test]
fn the_anchor_is_a_sibling_unless_it_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(folder.path().join("log"));
    config.index = false;
    let ledger = Ledger::open(config.clone()).unwrap();
    append(&ledger, numbered("p", 0, 3)).unwrap();
    let note = fs::read_to_string(folder.path().join("log-anchor/checkpoint")).unwrap();
    assert_eq!(note, ledger.checkpoint().note);
    assert!(!folder.path().join("log/checkpoint").exists());
    drop(ledger);

    config.folder = folder.path().join("log/..");
    let error = Ledger::open(config).unwrap_err();
    let unnamed = matches!(
        error,
        OpenError::Setting {
            setting: "anchor",
            ..
        }
    );
    assert!(unnamed, "{error}");
}

#[test]
fn an_old_copy_of_the_log_is_refused_with_an_explanation() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(folder.path(), "log")).unwrap();
    append(&ledger, numbered("p", 0, 10)).unwrap();
    drop(ledger);
    copy_files(&folder.path().join("log"), &folder.path().join("backup"));
    let ledger = Ledger::open(config(folder.path(), "log")).unwrap();
    append(&ledger, numbered("p", 10, 15)).unwrap();
    drop(ledger);
    let signed = fs::read(folder.path().join("anchor/checkpoint")).unwrap();

    let error = Ledger::open(config(folder.path(), "backup")).unwrap_err();
    assert!(matches!(error, OpenError::Forked { .. }), "{error}");
    let said = error.to_string();
    for part in [
        "15 entries were signed, but only 10 are there",
        "older copy",
        "restore the newest segments",
        folder.path().join("anchor").to_str().unwrap(),
    ] {
        assert!(said.contains(part), "{part:?} is not in {said:?}");
    }
    assert_eq!(
        fs::read(folder.path().join("anchor/checkpoint")).unwrap(),
        signed
    );
    let ledger = Ledger::open(config(folder.path(), "log")).unwrap();
    assert_eq!(ledger.checkpoint().tree_size, 15);
}

#[test]
fn a_copy_of_the_log_is_kept_out_while_the_log_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(folder.path(), "log")).unwrap();
    append(&ledger, numbered("p", 0, 10)).unwrap();
    copy_files(&folder.path().join("log"), &folder.path().join("copy"));
    let error = Ledger::open(config(folder.path(), "copy")).unwrap_err();
    let OpenError::Locked { path } = &error else {
        panic!("{error}");
    };
    assert_eq!(path, &folder.path().join("anchor/lock"));
}

/// Of two copies only one can go on: the other finds its anchor moved, and what it wrote is not
/// acknowledged by anybody.
#[test]
fn of_two_copies_of_a_log_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(folder.path(), "log")).unwrap();
    append(&ledger, numbered("p", 0, 10)).unwrap();
    drop(ledger);
    copy_files(&folder.path().join("log"), &folder.path().join("copy"));
    let ledger = Ledger::open(config(folder.path(), "log")).unwrap();
    // Whoever copies the log to another machine brings no lock with it.
    fs::remove_file(folder.path().join("anchor/lock")).unwrap();
    let copy = Ledger::open(config(folder.path(), "copy")).unwrap();

    append(&copy, numbered("copy", 0, 3)).unwrap();
    for _ in 0..2 {
        let Err(AppendError::Unavailable(reason)) = append(&ledger, numbered("log", 0, 2)) else {
            panic!("two histories of one log");
        };
        for part in [
            "a tree of 13 entries",
            "a tree of 10 entries",
            "another process",
        ] {
            assert!(reason.contains(part), "{reason}");
        }
    }
    assert_eq!(ledger.checkpoint().tree_size, 10);
    append(&copy, numbered("copy", 3, 5)).unwrap();
    assert_eq!(entries(&copy).len(), 15);
    drop((ledger, copy));

    let error = Ledger::open(config(folder.path(), "log")).unwrap_err();
    assert!(matches!(error, OpenError::Forked { .. }), "{error}");
    let copy = Ledger::open(config(folder.path(), "copy")).unwrap();
    assert_eq!(copy.checkpoint().tree_size, 15);
}

#[test]
fn a_log_without_its_anchor_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(folder.path(), "log")).unwrap();
    append(&ledger, numbered("p", 0, 10)).unwrap();
    drop(ledger);
    fs::rename(
        folder.path().join("anchor"),
        folder.path().join("elsewhere"),
    )
    .unwrap();
    let error = Ledger::open(config(folder.path(), "log")).unwrap_err();
    assert!(error.to_string().contains("set `anchor`"), "{error}");
    let mut moved = config(folder.path(), "log");
    moved.anchor = AnchorPlace::Folder(folder.path().join("elsewhere"));
    assert_eq!(Ledger::open(moved).unwrap().checkpoint().tree_size, 10);
}
