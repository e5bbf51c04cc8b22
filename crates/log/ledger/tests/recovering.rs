//! Starts after crashes, losses and damage.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use common::{
    append, config_without_index, copy_files, entries, flip, indices, message, numbered, reading,
    verify,
};
use fieldledger_ledger::{
    AnchorPlace, Config, EventColumns, Ledger, OpenError, QueryError, StoreError,
};

/// A folder with a log of `batches` commits of `each` entries, as a crash leaves it: no snapshot.
fn crashed(batches: u64, each: u64, config: impl Fn(&Path) -> Config) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(folder.path())).unwrap();
    for batch in 0..batches {
        append(&ledger, numbered("p", batch * each, (batch + 1) * each)).unwrap();
    }
    drop(ledger);
    fs::remove_file(folder.path().join("snapshot")).unwrap();
    folder
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    copy_files(from, to.path());
    to
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let items = fs::read_dir(folder.join("segments")).unwrap();
    let mut paths: Vec<PathBuf> = items.map(|item| item.unwrap().path()).collect();
    paths.sort();
    paths
}

fn last_segment(folder: &Path) -> PathBuf {
    segments(folder).pop().unwrap()
}

fn small_segments(folder: &Path) -> Config {
    let mut config = config_without_index(folder);
    config.segment_bytes = 1_000;
    config
}

fn assert_is_whole(ledger: &Ledger, size: u64) {
    let found = entries(ledger);
    assert_eq!(indices(&found), (0..size).collect::<Vec<u64>>());
    for entry in &found {
        assert_eq!(message(entry), format!("event {} of p", entry.index));
    }
    for index in 0..size {
        let proof = ledger.inclusion(index).unwrap();
        verify(&proof.entry, &proof.checkpoint);
    }
}

#[test]
fn a_half_written_entry_is_removed_wherever_it_was_cut() {
    let folder = crashed(4, 1, config_without_index);
    let segment = last_segment(folder.path());
    let before = fs::read(&segment).unwrap();
    // What a crash during the next commit leaves: part of two more frames, unsigned.
    let longer = copy(folder.path());
    let ledger = Ledger::open(config_without_index(longer.path())).unwrap();
    append(&ledger, numbered("p", 4, 6)).unwrap();
    drop(ledger);
    let after = fs::read(last_segment(longer.path())).unwrap();
    assert_eq!(after[..before.len()], before);
    let first_end = before.len()
        + 8
        + u32::from_le_bytes(after[before.len()..][..4].try_into().unwrap()) as usize;
    for cut in before.len()..=after.len() {
        let crashed = copy(folder.path());
        fs::write(last_segment(crashed.path()), &after[..cut]).unwrap();
        let ledger = Ledger::open(config_without_index(crashed.path())).unwrap();
        let size = 4 + u64::from(cut >= first_end) + u64::from(cut == after.len());
        assert_eq!(ledger.checkpoint().tree_size, size, "cut at {cut}");
        let recovery = ledger.status().recovery;
        let whole = [before.len(), first_end, after.len()].contains(&cut);
        assert_eq!(recovery.contains("half written"), !whole, "{recovery}");
        assert_eq!(recovery.contains("not yet signed"), size > 4, "{recovery}");
        // The caller that got no answer sends again.
        append(&ledger, numbered("p", 4, 6)).unwrap();
        assert_is_whole(&ledger, 6);
    }
}

#[test]
fn zeros_or_rubbish_after_the_end_are_removed() {
    for tail in [
        vec![0; 5_000],
        vec![0xff; 3],
        b"{}{}{}{}{}{}{}{}{}".to_vec(),
    ] {
        let folder = crashed(3, 2, config_without_index);
        let segment = last_segment(folder.path());
        let mut bytes = fs::read(&segment).unwrap();
        let good = bytes.len();
        bytes.extend_from_slice(&tail);
        fs::write(&segment, &bytes).unwrap();
        let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
        assert_is_whole(&ledger, 6);
        assert_eq!(fs::metadata(&segment).unwrap().len(), good as u64);
    }
}

#[test]
fn signed_entries_that_are_damaged_are_named() {
    let folder = crashed(2, 2, config_without_index);
    let segment = last_segment(folder.path());
    for offset in 0..fs::metadata(&segment).unwrap().len() {
        let damaged = copy(folder.path());
        let path = last_segment(damaged.path());
        flip(&path, offset, 0x10);
        let error = Ledger::open(config_without_index(damaged.path())).unwrap_err();
        let OpenError::Store(StoreError::Damaged {
            path: named,
            offset: at,
            problem,
        }) = &error
        else {
            panic!("byte {offset}: {error}");
        };
        assert_eq!(named, &path);
        assert!(
            *at <= offset && problem.contains("entry"),
            "byte {offset}: {error}"
        );
    }
}

#[test]
fn signed_entries_that_are_missing_are_noticed() {
    let folder = crashed(4, 1, config_without_index);
    let length = fs::metadata(last_segment(folder.path())).unwrap().len();
    for keep in 0..length {
        let lost = copy(folder.path());
        OpenOptions::new()
            .write(true)
            .open(last_segment(lost.path()))
            .unwrap()
            .set_len(keep)
            .unwrap();
        let error = Ledger::open(config_without_index(lost.path())).unwrap_err();
        let refused = matches!(
            error,
            OpenError::Forked { .. } | OpenError::Store(StoreError::Damaged { .. })
        );
        assert!(refused, "kept {keep}: {error}");
    }
}

#[test]
fn damage_in_an_earlier_segment_or_its_loss_is_named() {
    let folder = crashed(30, 1, small_segments);
    let paths = segments(folder.path());
    assert!(paths.len() > 3);
    let name = paths[1].file_name().unwrap();

    let damaged = copy(folder.path());
    let path = damaged.path().join("segments").join(name);
    flip(&path, 100, 0x10);
    let error = Ledger::open(small_segments(damaged.path()))
        .unwrap_err()
        .to_string();
    assert!(error.contains(path.to_str().unwrap()), "{error}");

    let lost = copy(folder.path());
    let path = lost.path().join("segments").join(name);
    fs::remove_file(&path).unwrap();
    let error = Ledger::open(small_segments(lost.path()))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(path.to_str().unwrap()) && error.contains("missing"),
        "{error}"
    );

    let ledger = Ledger::open(small_segments(folder.path())).unwrap();
    assert_is_whole(&ledger, 30);
}

#[test]
fn an_older_log_under_a_newer_checkpoint_is_refused() {
    let folder = crashed(2, 5, config_without_index);
    let old = copy(folder.path());
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    append(&ledger, numbered("p", 10, 11)).unwrap();
    drop(ledger);
    fs::copy(
        folder.path().join("anchor/checkpoint"),
        old.path().join("anchor/checkpoint"),
    )
    .unwrap();
    let error = Ledger::open(config_without_index(old.path()))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("11 entries were signed, but only 10 are there"),
        "{error}"
    );
}

#[test]
fn another_log_under_the_checkpoint_is_refused() {
    let folder = crashed(2, 5, config_without_index);
    let other = crashed(2, 5, config_without_index);
    fs::copy(last_segment(other.path()), last_segment(folder.path())).unwrap();
    let error = Ledger::open(config_without_index(folder.path())).unwrap_err();
    assert!(matches!(error, OpenError::Forked { .. }), "{error}");
}

#[test]
fn a_checkpoint_that_is_missing_or_changed_is_refused() {
    let folder = crashed(2, 5, config_without_index);
    let path = folder.path().join("anchor/checkpoint");
    let note = fs::read_to_string(&path).unwrap();
    fs::write(&path, note.replace("\n10\n", "\n9\n")).unwrap();
    fs::remove_file(path.with_added_extension("old")).unwrap();
    let error = Ledger::open(config_without_index(folder.path())).unwrap_err();
    assert!(matches!(error, OpenError::Forked { .. }), "{error}");
    fs::remove_file(&path).unwrap();
    let error = Ledger::open(config_without_index(folder.path())).unwrap_err();
    assert!(matches!(error, OpenError::Forked { .. }), "{error}");
}

#[test]
fn an_older_checkpoint_is_signed_anew() {
    let folder = crashed(1, 5, config_without_index);
    let old = fs::read(folder.path().join("anchor/checkpoint")).unwrap();
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    append(&ledger, numbered("p", 5, 8)).unwrap();
    drop(ledger);
    fs::write(folder.path().join("anchor/checkpoint"), old).unwrap();
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    let recovery = ledger.status().recovery;
    assert!(
        recovery.contains("signed 3 that were written but not yet signed"),
        "{recovery}"
    );
    assert_is_whole(&ledger, 8);
}

#[test]
fn a_snapshot_saves_reading_and_is_not_needed() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = small_segments(folder.path());
    config.snapshot_every = 100;
    let ledger = Ledger::open(config.clone()).unwrap();
    for batch in 0..30 {
        append(&ledger, numbered("p", batch * 10, (batch + 1) * 10)).unwrap();
    }
    append(&ledger, reading("s", 7, Some(21.5))).unwrap();
    let latest = ledger.latest(&[]).unwrap();
    let crashed = copy(folder.path());
    ledger.close();

    // (what is left, entries read again)
    for (folder, read_again) in [(folder.path(), 0), (crashed.path(), 1)] {
        config.folder = folder.to_owned();
        config.anchor = AnchorPlace::Folder(folder.join("anchor"));
        let ledger = Ledger::open(config.clone()).unwrap();
        let expected = format!("found 301 entries and read the last {read_again} of them again");
        assert_eq!(ledger.status().recovery, expected);
        assert_eq!(ledger.latest(&[]).unwrap(), latest);
        assert_eq!(
            append(&ledger, numbered("p", 0, 300)).unwrap().duplicates,
            300
        );
        let proof = ledger.inclusion(17).unwrap();
        verify(&proof.entry, &proof.checkpoint);
        drop(ledger);
    }
    flip(&folder.path().join("snapshot"), 30, 0x10);
    fs::remove_file(folder.path().join("offsets")).unwrap();
    fs::remove_dir_all(folder.path().join("tile")).unwrap();
    let ledger = Ledger::open(small_segments(folder.path())).unwrap();
    let recovery = ledger.status().recovery;
    assert_eq!(
        recovery,
        "found 301 entries and read the last 301 of them again"
    );
    assert_eq!(ledger.latest(&[]).unwrap(), latest);
    let proof = ledger.inclusion(17).unwrap();
    verify(&proof.entry, &proof.checkpoint);
}

#[test]
fn a_large_snapshot_is_written_beside_the_commits() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config_without_index(folder.path());
    config.snapshot_every = 1_500;
    let ledger = Ledger::open(config.clone()).unwrap();
    let mut events = EventColumns::default();
    for producer in 0..1_500 {
        let event = numbered(&format!("p{producer}"), 0, 1);
        events.message.extend(event.message);
        events.producer.extend(event.producer);
        events.sequence.extend(event.sequence);
    }
    append(&ledger, events).unwrap();
    while !folder.path().join("snapshot").is_file() {
        std::thread::yield_now();
    }
    append(&ledger, numbered("p7", 1, 3)).unwrap();
    let crashed = copy(folder.path());
    ledger.close();
    // (what is left, entries read again)
    for (folder, read_again) in [(folder.path(), 0), (crashed.path(), 2)] {
        config.folder = folder.to_owned();
        config.anchor = AnchorPlace::Folder(folder.join("anchor"));
        let ledger = Ledger::open(config.clone()).unwrap();
        let expected = format!("found 1502 entries and read the last {read_again} of them again");
        assert_eq!(ledger.status().recovery, expected);
        let again = append(&ledger, numbered("p7", 0, 3)).unwrap();
        assert_eq!(again.duplicates, 3);
    }
}

#[test]
fn tiles_that_are_lost_or_damaged_are_computed_again() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    for batch in 0..7 {
        append(&ledger, numbered("p", batch * 10_000, (batch + 1) * 10_000)).unwrap();
    }
    let tile = folder.path().join("tile/level-0");
    let upper = folder.path().join("tile/level-1");
    let bytes = || {
        let lower = fs::read(&tile).unwrap();
        (lower[8_192..2 * 8_192].to_vec(), fs::read(&upper).unwrap())
    };
    let good = bytes();
    let check = |ledger: &Ledger| {
        let proof = ledger.inclusion(300).unwrap();
        verify(&proof.entry, &proof.checkpoint);
        ledger.consistency(300, 70_000).unwrap();
    };
    // In tile 1 of its level.
    flip(&tile, 8_192 + 5_000, 0x10);
    flip(&upper, 17, 0x10);
    check(&ledger);
    fs::write(&upper, b"short").unwrap();
    check(&ledger);
    fs::remove_dir_all(folder.path().join("tile")).unwrap();
    check(&ledger);
    assert_eq!(bytes(), good);
}

#[test]
fn damage_in_a_running_log_is_named_and_proves_nothing() {
    let folder = crashed(1, 5, config_without_index);
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    let path = last_segment(folder.path());
    flip(&path, 100, 0x10);
    let Err(QueryError::Unavailable(problem)) = ledger.inclusion(0) else {
        panic!("a damaged entry must not be handed out");
    };
    assert!(problem.contains(path.to_str().unwrap()), "{problem}");
    assert!(ledger.inclusion(4).is_ok());
}
