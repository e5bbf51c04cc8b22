//! Backups, and logs that are restored from them.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{
    append, config_without_index, entries, message, numbered, query, verify, verify_growth,
    wait_for_index,
};
use fieldledger_ledger::{
    AnchorPlace, AppendError, BackupError, BackupReport, Config, ControlError, Ledger, RestoreMode,
    Restored, backup, fsck, restore,
};

/// A folder with a ledger in `data`, its anchor in `anchor`, and room for backups.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn config(&self, data: &str) -> Config {
        let mut config = config_without_index(&self.path(data));
        config.anchor = AnchorPlace::Folder(self.path("anchor"));
        config.segment_bytes = 2_000;
        config
    }

    fn open(&self) -> Ledger {
        Ledger::open(self.config("data")).unwrap()
    }

    fn back_up(&self, with_keys: bool) -> Result<BackupReport, BackupError> {
        backup(
            &self.config("data"),
            &self.path("backup"),
            with_keys,
            &mut |_, _, _| (),
        )
    }

    fn restore(
        &self,
        to: &str,
        key: Option<&Path>,
        mode: RestoreMode,
    ) -> Result<Restored, BackupError> {
        restore(
            &self.path("backup"),
            &self.config(to),
            key,
            mode,
            &mut |_, _, _| (),
        )
    }
}

/// Appends in commits of five, so that there are several segments.
fn fill(ledger: &Ledger, from: u64, to: u64) {
    for first in (from..to).step_by(5) {
        append(ledger, numbered("p", first, first + 5)).unwrap();
    }
}

fn assert_whole(ledger: &Ledger, size: u64) {
    assert_eq!(ledger.checkpoint().tree_size, size);
    let found = entries(ledger);
    assert_eq!(found.len() as u64, size);
    for entry in found {
        assert_eq!(message(&entry), format!("event {} of p", entry.index));
        let proof = ledger.inclusion(entry.index).unwrap();
        verify(&proof.entry, &proof.checkpoint);
    }
}

/// Every file below the folder, with its bytes.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for item in fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

#[test]
fn a_log_goes_on_from_a_backup_that_has_all_of_it() {
    let site = Site::new();
    let ledger = site.open();
    fill(&ledger, 0, 100);
    let report = site.back_up(true).unwrap();
    assert_eq!((report.backup.tree_size, report.entries_before), (100, 0));
    assert!(report.backup.with_keys);
    let first = report.bytes_copied;
    append(&ledger, numbered("p", 100, 110)).unwrap();
    let report = site.back_up(true).unwrap();
    assert_eq!((report.backup.tree_size, report.entries_before), (110, 100));
    assert!(report.bytes_copied < first / 4, "{}", report.bytes_copied);
    assert_eq!(site.back_up(true).unwrap().bytes_copied, 0);
    let before = ledger.checkpoint();
    drop(ledger);
    fs::remove_dir_all(site.path("data")).unwrap();

    let restored = site.restore("data", None, RestoreMode::GoOn).unwrap();
    assert_eq!(restored.newest.root_hash, before.root_hash);
    let ledger = site.open();
    assert_whole(&ledger, 110);
    let written = append(&ledger, numbered("p", 0, 120)).unwrap();
    assert_eq!((written.duplicates, written.appended), (110, 10));
    verify_growth(&ledger, &before, &ledger.checkpoint());
    assert_whole(&ledger, 120);
}

#[test]
fn a_backup_of_a_busy_ledger_is_that_of_one_moment() {
    let site = Site::new();
    let ledger = site.open();
    append(&ledger, numbered("p", 0, 5)).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = 5;
            while !stop.load(Ordering::Relaxed) {
                append(&ledger, numbered("p", next, next + 3)).unwrap();
                next += 3;
            }
        });
        let mut size = 0;
        for _ in 0..6 {
            let report = site.back_up(false).unwrap();
            assert!(report.backup.tree_size >= size);
            assert_eq!(report.entries_before, size);
            size = report.backup.tree_size;
        }
        stop.store(true, Ordering::Relaxed);
    });
    let size = site.back_up(false).unwrap().backup.tree_size;
    site.restore("copy", None, RestoreMode::ReadOnly).unwrap();
    let copy = Ledger::open(site.config("copy")).unwrap();
    assert_whole(&copy, size);
}

#[test]
fn what_a_witness_remembers_is_in_no_backup() {
    let site = Site::new();
    let ledger = site.open();
    fill(&ledger, 0, 20);
    // As if the witness of this site, and what its own witnesses cosigned, lay in the ledger's folder.
    for (folder, file) in [
        ("witness", "key"),
        ("witness/logs", "cosigned"),
        ("witnessed", "w0"),
    ] {
        fs::create_dir_all(site.path("data").join(folder)).unwrap();
        fs::write(site.path("data").join(folder).join(file), "remembered").unwrap();
    }
    site.back_up(true).unwrap();
    drop(ledger);
    let known = |path: &Path| {
        let name = path.strip_prefix(site.path("backup")).unwrap();
        ["backup.json", "checkpoint", "key"]
            .map(Path::new)
            .contains(&name)
            || name.parent() == Some(Path::new("segments"))
    };
    let in_backup = files(&site.path("backup"));
    assert!(in_backup.len() >= 4, "{in_backup:?}");
    for (path, bytes) in &in_backup {
        assert!(known(path), "{}", path.display());
        assert_ne!(bytes, b"remembered");
    }
    // An older memory would let this site cosign a second history of another's log.
    site.restore("copy", None, RestoreMode::GoOn).unwrap();
    for folder in ["witness", "witnessed"] {
        assert!(!site.path("copy").join(folder).exists());
    }
}

#[test]
fn a_backup_that_is_behind_never_goes_on() {
    let site = Site::new();
    let ledger = site.open();
    fill(&ledger, 0, 50);
    site.back_up(true).unwrap();
    append(&ledger, numbered("p", 50, 60)).unwrap();
    let end = ledger.checkpoint();
    drop(ledger);

    let refused = site.restore("copy", None, RestoreMode::GoOn).unwrap_err();
    assert!(
        matches!(
            refused,
            BackupError::Behind {
                backup: 50,
                anchor: 60,
                ..
            }
        ),
        "{refused}"
    );
    assert!(refused.to_string().contains("read-only"), "{refused}");
    assert!(!site.path("copy").exists());
    // Nor does it by hand: who copies the files finds the anchor.
    fs::create_dir(site.path("copy")).unwrap();
    fs::create_dir(site.path("copy/segments")).unwrap();
    for (path, bytes) in files(&site.path("backup/segments")) {
        let name = path.file_name().unwrap();
        fs::write(site.path("copy/segments").join(name), bytes).unwrap();
    }
    fs::copy(site.path("backup/key"), site.path("copy/key")).unwrap();
    Ledger::open(site.config("copy")).unwrap_err();
    fs::remove_dir_all(site.path("copy")).unwrap();

    let restored = site.restore("copy", None, RestoreMode::ReadOnly).unwrap();
    assert_eq!(
        (restored.newest.tree_size, &restored.newest.note),
        (60, &end.note)
    );
    let mut config = site.config("copy");
    config.index = true;
    for _ in 0..2 {
        // It has neither key nor anchor, and is whole without.
        let report = fsck::check(&config, &mut |_| {}).unwrap();
        assert_eq!(
            (report.signed_size, report.is_clean()),
            (Some(50), true),
            "{report:#?}"
        );
        let copy = Ledger::open(config.clone()).unwrap();
        assert_whole(&copy, 50);
        wait_for_index(&copy);
        assert_eq!(copy.search(&query("49")).unwrap().count, 1);
        let Err(AppendError::Ended(reason)) = append(&copy, numbered("p", 50, 51)) else {
            panic!("it would be a fork");
        };
        let Err(ControlError::Ended(why)) = copy.erase(0, "r", "a") else {
            panic!("nothing could tell of it");
        };
        assert!(why.contains("it signs nothing"), "{why}");
        assert_eq!(copy.status().ended.as_ref(), Some(&reason));
        assert!(
            reason.contains("read-only") && reason.contains("while 60 were signed"),
            "{reason}"
        );
        let refused = copy.erase(0, "r", "a");
        assert!(
            matches!(refused, Err(ControlError::Ended(_))),
            "{refused:?}"
        );
        assert_eq!(copy.checkpoint().tree_size, 50);
    }

    let mut config = config_without_index(&site.path("next"));
    config.origin = "example.com/next".to_owned();
    config.anchor = AnchorPlace::Folder(site.path("next-anchor"));
    let next = Ledger::succeed(config, &restored.newest, restored.backup.tree_size).unwrap();
    let told: serde_json::Value =
        serde_json::from_str(&message(&next.inclusion(0).unwrap().entry)).unwrap();
    assert_eq!(
        (&told["predecessor_size"], &told["entries_left"]),
        (&60.into(), &50.into())
    );

    // The log itself goes on where it is.
    let ledger = site.open();
    append(&ledger, numbered("p", 60, 61)).unwrap();
    assert_whole(&ledger, 61);
}

#[test]
fn without_an_anchor_or_a_key_no_log_goes_on() {
    let site = Site::new();
    append(&site.open(), numbered("p", 0, 5)).unwrap();
    let report = site.back_up(false).unwrap();
    assert!(!report.backup.with_keys && !site.path("backup/key").exists());
    let refused = site.restore("copy", None, RestoreMode::GoOn).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("key is missing from the backup"),
        "{refused}"
    );
    let stranger = Site::new();
    drop(stranger.open());
    let refused = site
        .restore("copy", Some(&stranger.path("data/key")), RestoreMode::GoOn)
        .unwrap_err();
    assert!(refused.to_string().contains("not signed"), "{refused}");
    assert!(!site.path("copy").exists());

    let key = site.path("data/key");
    site.restore("copy", Some(&key), RestoreMode::GoOn).unwrap();
    let full = site
        .restore("copy", Some(&key), RestoreMode::GoOn)
        .unwrap_err();
    assert!(full.to_string().contains("not empty"), "{full}");
    fs::rename(site.path("anchor"), site.path("elsewhere")).unwrap();
    let refused = site
        .restore("other", Some(&key), RestoreMode::GoOn)
        .unwrap_err();
    assert!(
        matches!(refused, BackupError::NoAnchor { backup: 5, .. }),
        "{refused}"
    );
    site.restore("other", None, RestoreMode::ReadOnly).unwrap();
    fs::rename(site.path("elsewhere"), site.path("anchor")).unwrap();
    assert_whole(&Ledger::open(site.config("copy")).unwrap(), 5);
}

#[test]
fn what_is_erased_is_erased_in_the_backup_too() {
    let site = Site::new();
    let ledger = site.open();
    fill(&ledger, 0, 60);
    site.back_up(false).unwrap();
    let holds = |word: &str| {
        let found = files(&site.path("backup"));
        found.iter().any(|(_, bytes)| {
            bytes
                .windows(word.len())
                .any(|part| part == word.as_bytes())
        })
    };
    assert!(holds("event 7 of p"));
    ledger.erase(7, "r", "a").unwrap();
    ledger.erase(59, "r", "a").unwrap();
    let report = site.back_up(false).unwrap();
    assert_eq!((report.backup.tree_size, report.erased), (62, 2));
    assert!(!holds("event 7 of p") && !holds("event 59 of p") && holds("event 8 of p"));
    assert_eq!(site.back_up(false).unwrap().erased, 0);
    site.restore("copy", None, RestoreMode::ReadOnly).unwrap();
    let copy = Ledger::open(site.config("copy")).unwrap();
    let proof = copy.inclusion(7).unwrap();
    verify(&proof.entry, &proof.checkpoint);
    assert_eq!(proof.entry.removed.unwrap().entry, 60);
}

#[test]
fn a_backup_that_was_torn_or_damaged_is_made_whole_by_the_next() {
    let site = Site::new();
    fill(&site.open(), 0, 60);
    site.back_up(false).unwrap();
    let good = files(&site.path("backup/segments"));
    assert!(good.len() > 2);
    let (segment, bytes) = &good[1];
    let mut flipped = bytes.clone();
    flipped[200] ^= 1;
    let longer = [&bytes[..], b"more"].concat();
    let half = bytes[..bytes.len() / 2].to_vec();
    for damaged in [flipped, longer, half, Vec::new()] {
        fs::write(segment, &damaged).unwrap();
        if damaged.len() <= bytes.len() {
            let refused = site
                .restore("copy", None, RestoreMode::ReadOnly)
                .unwrap_err();
            let name = segment.file_name().unwrap().to_str().unwrap();
            let next = good[2].0.file_name().unwrap().to_str().unwrap();
            let said = refused.to_string();
            assert!(said.contains(name) || said.contains(next), "{said}");
            assert!(!site.path("copy").exists());
        }
        site.back_up(false).unwrap();
        assert_eq!(files(&site.path("backup/segments")), good);
    }
    // One that never came to its end.
    fs::remove_file(site.path("backup/backup.json")).unwrap();
    fs::remove_file(site.path("backup/checkpoint")).unwrap();
    fs::remove_file(&good[2].0).unwrap();
    let refused = site
        .restore("copy", None, RestoreMode::ReadOnly)
        .unwrap_err();
    assert!(
        refused.to_string().contains("not a finished backup"),
        "{refused}"
    );
    site.back_up(false).unwrap();
    assert_eq!(files(&site.path("backup/segments")), good);
}

#[test]
fn a_backup_of_another_log_is_left_alone() {
    let site = Site::new();
    fill(&site.open(), 0, 60);
    site.back_up(false).unwrap();
    let before = files(&site.path("backup"));
    let other = Site::new();
    fill(&other.open(), 0, 70);
    let back_up = || {
        backup(
            &other.config("data"),
            &site.path("backup"),
            false,
            &mut |_, _, _| (),
        )
    };
    let refused = back_up().unwrap_err();
    assert!(
        refused.to_string().contains("another log of the same name"),
        "{refused}"
    );
    assert_eq!(files(&site.path("backup")), before);

    fs::create_dir(site.path("full")).unwrap();
    fs::write(site.path("full/letter"), "dear").unwrap();
    let refused = backup(
        &site.config("data"),
        &site.path("full"),
        false,
        &mut |_, _, _| (),
    );
    assert!(refused.unwrap_err().to_string().contains("nor a backup"));

    // A log that is shorter than its backup is an old copy.
    let short = Site::new();
    append(&short.open(), numbered("p", 0, 5)).unwrap();
    let refused = backup(
        &short.config("data"),
        &site.path("backup"),
        false,
        &mut |_, _, _| (),
    );
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("the backup is newer")
    );
    assert_eq!(files(&site.path("backup")), before);
}

#[test]
fn a_restore_that_was_interrupted_never_goes_on() {
    let site = Site::new();
    fill(&site.open(), 0, 60);
    site.back_up(true).unwrap();
    site.restore("read-only", None, RestoreMode::ReadOnly)
        .unwrap();
    site.restore("copy", None, RestoreMode::GoOn).unwrap();
    // Whole but for its last step, and then with a segment missing.
    let copy = site.path("copy");
    fs::copy(site.path("read-only/read-only"), copy.join("read-only")).unwrap();
    let ledger = Ledger::open(site.config("copy")).unwrap();
    append(&ledger, numbered("p", 60, 61)).unwrap_err();
    assert_whole(&ledger, 60);
    drop(ledger);
    let last = files(&copy.join("segments")).pop().unwrap().0;
    fs::remove_file(last).unwrap();
    Ledger::open(site.config("copy")).unwrap_err();
    // The log itself is none the worse.
    assert_whole(&site.open(), 60);
}
