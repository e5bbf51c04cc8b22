//! Erasing the payload of entries: what is gone, what stays, and what a crash leaves.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{
    append, config, config_without_index, entries, message, numbered, query, reading, verify,
    verify_growth, wait_for_index,
};
use fieldledger_chance::proptest_config;
use fieldledger_ledger::{ControlError, Entry, EventColumns, Ledger, RemovalKind, Series};
use proptest::prelude::*;

/// A word that stands nowhere else.
const SECRET: &str = "Quetzalcoatlus";

fn event(text: &str) -> EventColumns {
    EventColumns {
        message: vec![text.to_owned()],
        ..EventColumns::default()
    }
}

/// The files below the folder that hold the word.
fn files_with(folder: &Path, word: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for item in fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, word));
            continue;
        }
        // The index removes files while this looks.
        let bytes = fs::read(&path).unwrap_or_default();
        if bytes
            .windows(word.len())
            .any(|window| window == word.as_bytes())
        {
            found.push(path);
        }
    }
    found
}

fn wait_until_gone(folder: &Path, word: &str) {
    let started = Instant::now();
    loop {
        let found = files_with(folder, word);
        if found.is_empty() {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{found:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn assert_all_proved(ledger: &Ledger) -> Vec<Entry> {
    let size = ledger.checkpoint().tree_size;
    let mut all = Vec::new();
    for index in 0..size {
        let proof = ledger.inclusion(index).unwrap();
        verify(&proof.entry, &proof.checkpoint);
        all.push(proof.entry);
    }
    all
}

#[test]
fn an_erased_entry_is_gone_and_still_proved() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(folder.path())).unwrap();
    append(&ledger, event("before")).unwrap();
    append(&ledger, event(&format!("{SECRET} came in"))).unwrap();
    append(&ledger, event(&format!("{SECRET} went out"))).unwrap();
    wait_for_index(&ledger);
    assert_eq!(ledger.search(&query(SECRET)).unwrap().count, 2);
    let before = ledger.inclusion(1).unwrap();

    let erasure = ledger
        .erase(1, "a visitor asked", "the data officer")
        .unwrap();
    assert_eq!(
        (erasure.entry, erasure.marker, erasure.already),
        (1, 3, false)
    );
    // At once, whether or not the index has heard of it.
    let found = ledger.search(&query(SECRET)).unwrap();
    assert_eq!((found.count, found.entries[0].index), (1, 2));

    let after = ledger.inclusion(1).unwrap();
    verify(&after.entry, &after.checkpoint);
    verify_growth(&ledger, &before.checkpoint, &after.checkpoint);
    assert_eq!(after.entry.leaf, before.entry.leaf);
    assert_eq!(after.entry.envelope_hash, before.entry.envelope_hash);
    assert_eq!(after.entry.envelope, "");
    let removed = after.entry.removed.unwrap();
    assert_eq!(removed.kind, RemovalKind::Erased);
    assert_eq!(
        (removed.entry, removed.reason.as_str()),
        (3, "a visitor asked")
    );
    let marker = ledger.inclusion(3).unwrap().entry;
    assert!(
        message(&marker).contains("the data officer"),
        "{}",
        message(&marker)
    );

    // The other entry holds the word as well.
    ledger
        .erase(2, "a visitor asked", "the data officer")
        .unwrap();
    wait_for_index(&ledger);
    wait_until_gone(folder.path(), SECRET);
    assert_eq!(ledger.search(&query(SECRET)).unwrap().count, 0);
    assert_eq!(ledger.search(&query("before")).unwrap().count, 1);
    assert_eq!(entries(&ledger).len(), 5);
    drop(ledger);

    for lost in ["", "snapshot", "index", "tile", "offsets"] {
        let path = folder.path().join(lost);
        if path.is_dir() && !lost.is_empty() {
            fs::remove_dir_all(path).unwrap();
        } else if !lost.is_empty() {
            let _ = fs::remove_file(path);
            let _ = fs::remove_file(folder.path().join("snapshot"));
        }
        let ledger = Ledger::open(config(folder.path())).unwrap();
        wait_for_index(&ledger);
        let all = assert_all_proved(&ledger);
        let removed: Vec<bool> = all.iter().map(|entry| entry.removed.is_some()).collect();
        assert_eq!(
            removed,
            [false, true, true, false, false],
            "without {lost:?}"
        );
        assert_eq!(ledger.search(&query(SECRET)).unwrap().count, 0);
        assert_eq!(ledger.search(&query("before")).unwrap().count, 1);
    }
}

#[test]
fn a_ledger_that_closes_leaves_no_word_of_what_was_erased() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(folder.path())).unwrap();
    append(&ledger, event(SECRET)).unwrap();
    wait_for_index(&ledger);
    ledger.erase(0, "r", "a").unwrap();
    ledger.close();
    assert!(files_with(folder.path(), SECRET).is_empty());
    assert!(files_with(folder.path(), &SECRET.to_lowercase()).is_empty());
}

#[test]
fn an_erased_event_that_is_delivered_again_stays_out() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    append(&ledger, numbered("p", 0, 10)).unwrap();
    ledger.erase(4, "r", "a").unwrap();
    assert_eq!(
        append(&ledger, numbered("p", 0, 10)).unwrap().duplicates,
        10
    );
    drop(ledger);
    fs::remove_file(folder.path().join("snapshot")).unwrap();
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    assert_eq!(
        append(&ledger, numbered("p", 0, 11)).unwrap().duplicates,
        10
    );
}

#[test]
fn what_cannot_be_erased_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    append(&ledger, numbered("p", 0, 3)).unwrap();
    let first = ledger.erase(1, "r", "a").unwrap();
    let again = ledger.erase(1, "another", "b").unwrap();
    assert_eq!((again.marker, again.already), (first.marker, true));
    assert_eq!(ledger.checkpoint().tree_size, 4);

    let refused = ledger.erase(first.marker, "r", "a");
    assert!(
        matches!(refused, Err(ControlError::Refused(_))),
        "{refused:?}"
    );
    let beyond = ledger.erase(4, "r", "a");
    assert!(
        matches!(beyond, Err(ControlError::NotFound(_))),
        "{beyond:?}"
    );
    for (reason, actor) in [("", "a"), ("r", " "), (&*"x".repeat(1_001), "a")] {
        let invalid = ledger.erase(0, reason, actor);
        assert!(
            matches!(invalid, Err(ControlError::Invalid(_))),
            "{invalid:?}"
        );
    }
    assert_eq!(ledger.checkpoint().tree_size, 4);
    ledger.close();
    let closed = ledger.erase(0, "r", "a");
    assert!(
        matches!(closed, Err(ControlError::Unavailable(_))),
        "{closed:?}"
    );
}

#[test]
fn the_newest_reading_is_the_newest_that_is_left() {
    for with_index in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        config.index = with_index;
        let ledger = Ledger::open(config.clone()).unwrap();
        for (sensor, polled_at) in [("s", 10), ("t", 20), ("s", 30), ("s", 25), ("t", 40)] {
            append(&ledger, reading(sensor, polled_at, Some(1.5))).unwrap();
        }
        let newest = |ledger: &Ledger, sensor: &str| {
            let found = ledger.latest(&[sensor.to_owned()]).unwrap();
            found.first().map(|reading| reading.polled_at.micros)
        };
        // The one that came last.
        assert_eq!(newest(&ledger, "s"), Some(25));
        ledger.erase(3, "r", "a").unwrap();
        assert_eq!(newest(&ledger, "s"), Some(30));
        // One that is not the newest.
        ledger.erase(0, "r", "a").unwrap();
        assert_eq!(newest(&ledger, "s"), Some(30));
        if with_index {
            wait_for_index(&ledger);
            let Series::Raw(raw) = ledger.series("s", 0, 100, 10).unwrap() else {
                panic!("a few readings come as they are");
            };
            assert_eq!(raw.len(), 1);
        }
        ledger.erase(2, "r", "a").unwrap();
        assert_eq!(newest(&ledger, "s"), None);
        assert_eq!(newest(&ledger, "t"), Some(40));
        drop(ledger);
        let ledger = Ledger::open(config).unwrap();
        assert_eq!(newest(&ledger, "s"), None);
        assert_eq!(newest(&ledger, "t"), Some(40));
    }
}

/// Where the frame of entry `index` lies in the only segment.
fn place(folder: &Path, index: usize) -> (PathBuf, usize, usize) {
    let segment = folder.join("segments/00000000000000000000.seg");
    let bytes = fs::read(&segment).unwrap();
    let length = |at: usize| {
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        8 + (length & 0x7fff_ffff) as usize
    };
    let mut at = 0;
    for _ in 0..index {
        at += length(at);
    }
    (segment, at, at + length(at))
}

/// A log of six entries of which entry 2 was erased, and the frame it had before.
fn erased_log() -> (tempfile::TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config_without_index(folder.path())).unwrap();
    append(&ledger, numbered("p", 0, 5)).unwrap();
    let (segment, start, end) = place(folder.path(), 2);
    let frame = fs::read(segment).unwrap()[start..end].to_vec();
    ledger.erase(2, "r", "a").unwrap();
    drop(ledger);
    // A crash leaves none that is newer than the erasure.
    fs::remove_file(folder.path().join("snapshot")).unwrap();
    (folder, frame)
}

fn overwrite(folder: &Path, frame: &[u8]) {
    let (segment, start, end) = place(folder, 2);
    assert_eq!(end - start, frame.len());
    let file = fs::OpenOptions::new().write(true).open(segment).unwrap();
    file.write_all_at(frame, start as u64).unwrap();
}

fn assert_erasure_is_finished(folder: &Path) -> String {
    let ledger = Ledger::open(config_without_index(folder)).unwrap();
    let all = assert_all_proved(&ledger);
    let removed: Vec<Option<u64>> = all
        .iter()
        .map(|entry| entry.removed.as_ref().map(|removal| removal.entry))
        .collect();
    assert_eq!(removed, [None, None, Some(5), None, None, None]);
    assert!(!folder.join("erasing").exists());
    assert!(files_with(folder, "event 2 of p").is_empty());
    assert_eq!(append(&ledger, numbered("p", 0, 5)).unwrap().duplicates, 5);
    ledger.status().recovery
}

#[test]
fn an_erasure_that_did_not_begin_is_done_at_the_start() {
    let (folder, frame) = erased_log();
    overwrite(folder.path(), &frame);
    let recovery = assert_erasure_is_finished(folder.path());
    assert!(
        recovery.contains("finished erasing 1 entries"),
        "{recovery}"
    );
    let recovery = assert_erasure_is_finished(folder.path());
    assert!(!recovery.contains("erasing"), "{recovery}");
}

#[test]
fn an_erasure_that_was_torn_is_done_at_the_start() {
    let (folder, old) = erased_log();
    let (segment, start, end) = place(folder.path(), 2);
    let new = fs::read(segment).unwrap()[start..end].to_vec();
    let mut plan = vec![0; 4];
    for number in [2, 0, start as u64] {
        plan.extend_from_slice(&number.to_le_bytes());
    }
    plan.extend_from_slice(&new);
    let checksum = crc32c::crc32c(&plan[4..]).to_le_bytes();
    plan[..4].copy_from_slice(&checksum);
    for cut in 0..=new.len() {
        let torn = [&new[..cut], &old[cut..]].concat();
        overwrite(folder.path(), &torn);
        fs::write(folder.path().join("erasing"), &plan).unwrap();
        let _ = fs::remove_file(folder.path().join("snapshot"));
        assert_erasure_is_finished(folder.path());
    }
}

#[test]
fn a_payload_that_vanished_without_an_entry_is_noticed() {
    let (folder, _) = erased_log();
    let (segment, start, end) = place(folder.path(), 2);
    let erased = fs::read(&segment).unwrap()[start..end].to_vec();
    // The entry's own leaf, but said to be told of by entry 4, which tells of nothing.
    let mut forged = erased;
    forged[8 + 49..8 + 57].copy_from_slice(&4_u64.to_le_bytes());
    let mut covered = 2_u64.to_le_bytes().to_vec();
    covered.extend_from_slice(&forged[..4]);
    covered.extend_from_slice(&forged[8..]);
    let checksum = crc32c::crc32c(&covered).to_le_bytes();
    forged[4..8].copy_from_slice(&checksum);
    overwrite(folder.path(), &forged);
    let error = Ledger::open(config_without_index(folder.path()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("entry 4 does not say why"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..proptest_config() })]

    #[test]
    fn any_history_of_appends_and_erasures_is_kept(
        steps in proptest::collection::vec((0_u8..4, any::<proptest::sample::Index>()), 1..25)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config_without_index(folder.path());
        config.segment_bytes = 1_500;
        let mut ledger = Ledger::open(config.clone()).unwrap();
        // For each entry its message, or none once it is erased; own entries have an empty one.
        let mut model: Vec<Option<String>> = Vec::new();
        let mut next = 0;
        for (step, pick) in steps {
            match step {
                0 | 1 => {
                    append(&ledger, numbered("p", next, next + 3)).unwrap();
                    model.extend((next..next + 3).map(|number| Some(format!("event {number} of p"))));
                    next += 3;
                }
                2 if !model.is_empty() => {
                    let entry = pick.index(model.len());
                    let known = model[entry].clone();
                    let erasure = ledger.erase(entry as u64, "r", "a");
                    match known.as_deref() {
                        Some("") => prop_assert!(matches!(erasure, Err(ControlError::Refused(_)))),
                        None => prop_assert!(erasure.unwrap().already),
                        Some(_) => {
                            prop_assert_eq!(erasure.unwrap().marker, model.len() as u64);
                            model[entry] = None;
                            model.push(Some(String::new()));
                        }
                    }
                }
                _ => {
                    drop(ledger);
                    if pick.index(2) == 0 {
                        let _ = fs::remove_file(folder.path().join("snapshot"));
                    }
                    ledger = Ledger::open(config.clone()).unwrap();
                }
            }
        }
        let all = assert_all_proved(&ledger);
        prop_assert_eq!(all.len(), model.len());
        for (entry, known) in all.iter().zip(&model) {
            prop_assert_eq!(entry.removed.is_none(), known.is_some());
            if let Some(text) = known.as_deref().filter(|text| !text.is_empty()) {
                prop_assert_eq!(message(entry), text);
            }
        }
        prop_assert_eq!(u64::from(append(&ledger, numbered("p", 0, next + 1)).unwrap().duplicates), next);
    }
}
