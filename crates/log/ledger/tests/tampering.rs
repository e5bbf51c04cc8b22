//! Every way to tamper with a log is noticed, and the report says what and where.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use common::{append, copy_files, entries, flip, numbered, verify, wait_for_index};
use fieldledger_ledger::fsck::{self, Finding, FindingKind, Report, Severity};
use fieldledger_ledger::{AnchorPlace, Config, Ledger, OpenError};
use tempfile::TempDir;

/// Entries in the log: two full tiles and part of a third.
const SIZE: u64 = 700;

/// The log in `folder/log`, anchored in `folder/anchor`.
fn config(folder: &Path) -> Config {
    let mut config = Config::new(folder.join("log"));
    config.anchor = AnchorPlace::Folder(folder.join("anchor"));
    config.segment_bytes = 12_000;
    config.index_interval_ms = 1;
    config.lock_wait_ms = 0;
    config
}

/// A log that was closed in order.
fn log() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(folder.path())).unwrap();
    for batch in 0..SIZE / 20 {
        append(&ledger, numbered("p", batch * 20, (batch + 1) * 20)).unwrap();
    }
    wait_for_index(&ledger);
    drop(ledger);
    folder
}

/// A copy of it, to be tampered with.
fn copy(of: &TempDir) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_files(of.path(), folder.path());
    folder
}

fn check(folder: &TempDir) -> Report {
    fsck::check(&config(folder.path()), &mut |_| {}).unwrap()
}

/// The findings of a kind.
fn of_kind(report: &Report, kind: FindingKind) -> Vec<&Finding> {
    let findings = report.findings.iter();
    findings.filter(|finding| finding.kind == kind).collect()
}

/// The first finding of a kind.
fn found(report: &Report, kind: FindingKind) -> &Finding {
    let found = of_kind(report, kind);
    found
        .first()
        .unwrap_or_else(|| panic!("no {kind:?} in {:#?}", report.findings))
}

fn segments(folder: &TempDir) -> Vec<PathBuf> {
    let items = fs::read_dir(folder.path().join("log/segments")).unwrap();
    let mut paths: Vec<PathBuf> = items.map(|item| item.unwrap().path()).collect();
    paths.sort();
    paths
}

fn first_of(segment: &Path) -> u64 {
    segment
        .file_stem()
        .unwrap()
        .to_str()
        .unwrap()
        .parse()
        .unwrap()
}

/// Positions at the start, in the middle and at the end of a file, and some between.
fn positions(path: &Path) -> Vec<u64> {
    let length = fs::metadata(path).unwrap().len();
    (0..7).map(|seventh| seventh * (length - 1) / 6).collect()
}

/// The envelopes in a segment.
fn envelopes(segment: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(segment).unwrap();
    let mut rest = bytes.as_slice();
    let mut envelopes = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        envelopes.push(after[4..4 + length].to_vec());
        rest = &after[4 + length..];
    }
    envelopes
}

/// Writes a segment as someone would who knows its format: every checksum is right.
fn forge(segment: &Path, envelopes: &[Vec<u8>]) {
    let mut bytes = Vec::new();
    for (index, envelope) in (first_of(segment)..).zip(envelopes) {
        let length = u32::try_from(envelope.len()).unwrap().to_le_bytes();
        let head = [index.to_le_bytes().as_slice(), &length].concat();
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&head), envelope);
        bytes.extend_from_slice(&length);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes.extend_from_slice(envelope);
    }
    fs::write(segment, bytes).unwrap();
}

/// Entry of the log at `position` of the segment, and where it begins.
fn place(segment: &Path, position: usize) -> (u64, u64) {
    let before = &envelopes(segment)[..position];
    let offset = before
        .iter()
        .map(|envelope| 8 + envelope.len() as u64)
        .sum();
    (first_of(segment) + position as u64, offset)
}

/// Without the snapshot a start reads everything.
fn opens_without_snapshot(folder: &TempDir) -> Result<Ledger, OpenError> {
    fs::remove_file(folder.path().join("log/snapshot")).unwrap();
    Ledger::open(config(folder.path()))
}

fn assert_damaged(report: &Report) {
    assert_eq!(
        report.worst(),
        Some(Severity::Damage),
        "{:#?}",
        report.findings
    );
    for finding in &report.findings {
        assert!(!finding.problem.is_empty() && !finding.advice.is_empty());
    }
}

#[test]
fn a_log_in_order_has_no_findings() {
    let folder = log();
    let mut told = Vec::new();
    let report = fsck::check(&config(folder.path()), &mut |progress| told.push(progress)).unwrap();
    assert_eq!(report.findings, []);
    assert_eq!((report.entries, report.signed_size), (SIZE, Some(SIZE)));
    assert!(!report.in_use && report.segments > 5);
    let last = told.last().unwrap();
    assert_eq!((last.entries, last.of), (SIZE, SIZE));
}

#[test]
fn a_log_in_use_is_checked_as_far_as_it_is_signed() {
    let folder = log();
    let ledger = Ledger::open(config(folder.path())).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..200 {
                append(&ledger, numbered("q", number, number + 1)).unwrap();
            }
        });
        for _ in 0..5 {
            let report = check(&folder);
            assert!(report.in_use);
            assert!(report.is_clean(), "{:#?}", report.findings);
            assert_eq!(Some(report.entries), report.signed_size);
        }
        writer.join().unwrap();
    });
    assert_eq!(ledger.checkpoint().tree_size, SIZE + 200);
}

#[test]
fn a_flipped_byte_in_a_segment_is_named_with_its_entry() {
    let good = log();
    for number in [0, 2, segments(&good).len() - 1] {
        let count = envelopes(&segments(&good)[number]).len();
        for position in [0, count / 2, count - 1] {
            for within in [0, 3, 5, 8, 60] {
                let folder = copy(&good);
                let segment = &segments(&folder)[number];
                let (entry, offset) = place(segment, position);
                flip(segment, offset + within, 1);
                let report = check(&folder);
                assert_damaged(&report);
                let finding = found(&report, FindingKind::Frame);
                assert_eq!(
                    (&finding.file, finding.offset, finding.entry),
                    (segment, Some(offset), Some(entry))
                );
                assert_eq!(
                    of_kind(&report, FindingKind::Frame).len(),
                    1,
                    "{:#?}",
                    report.findings
                );
                let error = opens_without_snapshot(&folder).unwrap_err();
                assert!(
                    error.to_string().contains(segment.to_str().unwrap()),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn a_flipped_byte_in_the_key_is_noticed() {
    let good = log();
    // The line's end after the key means nothing.
    for position in positions(&good.path().join("log/key")).into_iter().take(6) {
        let folder = copy(&good);
        let path = folder.path().join("log/key");
        flip(&path, position, 1);
        let report = check(&folder);
        assert_damaged(&report);
        // A key with another bit is another key, which has not signed the checkpoint.
        let finding = report
            .findings
            .iter()
            .find(|finding| matches!(finding.kind, FindingKind::Key | FindingKind::Checkpoint));
        let file = &finding.unwrap().file;
        assert!([folder.path().join("anchor/checkpoint"), path].contains(file));
        assert!(Ledger::open(config(folder.path())).is_err(), "{position}");
    }
}

/// The anchor holds two notes, as a loss of power can tear one. Closed in order, both are the newest.
#[test]
fn a_flipped_byte_in_the_checkpoint_is_noticed() {
    let good = log();
    for position in positions(&good.path().join("anchor/checkpoint")) {
        let folder = copy(&good);
        flip(&folder.path().join("anchor/checkpoint"), position, 1);
        let report = check(&folder);
        assert_eq!(report.worst(), Some(Severity::Repairable), "{position}");
        let finding = found(&report, FindingKind::Checkpoint);
        assert_eq!(finding.file, folder.path().join("anchor/checkpoint"));
        assert!(finding.problem.contains("of 700 entries"), "{finding:?}");

        // What is left protects the log as before.
        let cut = copy(&folder);
        fs::remove_file(segments(&cut).pop().unwrap()).unwrap();
        assert!(Ledger::open(config(cut.path())).is_err());
        drop(Ledger::open(config(folder.path())).unwrap());
        assert_eq!(check(&folder).findings, []);

        let folder = copy(&good);
        for name in ["anchor/checkpoint", "anchor/checkpoint.old"] {
            flip(&folder.path().join(name), position, 1);
        }
        let report = check(&folder);
        assert_damaged(&report);
        found(&report, FindingKind::Checkpoint);
        let error = Ledger::open(config(folder.path())).unwrap_err();
        assert!(matches!(error, OpenError::Forked { .. }), "{error}");
    }
}

#[test]
fn flipped_bytes_in_derived_files_are_noticed_and_repaired() {
    let good = log();
    let index = fs::read_dir(good.path().join("log/index")).unwrap();
    let mut index: Vec<String> = index
        .map(|item| item.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "store")
        })
        .map(|path| {
            path.strip_prefix(good.path())
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    index.sort_by_key(|name| fs::metadata(good.path().join(name)).unwrap().len());
    let index = index.last().unwrap().as_str();
    for (name, kind) in [
        ("log/tile/level-0", FindingKind::Tile),
        ("log/offsets", FindingKind::Offsets),
        ("log/snapshot", FindingKind::Snapshot),
        (index, FindingKind::Index),
    ] {
        for position in positions(&good.path().join(name)) {
            let folder = copy(&good);
            let path = folder.path().join(name);
            flip(&path, position, 1);
            let report = check(&folder);
            assert_eq!(
                report.worst(),
                Some(Severity::Repairable),
                "{name} {position}"
            );
            assert_eq!(report.findings.len(), 1, "{:#?}", report.findings);
            let finding = found(&report, kind);
            assert!(path.starts_with(&finding.file), "{finding:?}");

            let removed = fsck::repair(&config(folder.path()), &report).unwrap();
            assert!(removed.contains(&finding.file), "{removed:?}");
            let ledger = Ledger::open(config(folder.path())).unwrap();
            assert_eq!(entries(&ledger).len() as u64, SIZE);
            for index in (0..SIZE).step_by(50) {
                let proof = ledger.inclusion(index).unwrap();
                verify(&proof.entry, &proof.checkpoint);
            }
            wait_for_index(&ledger);
            drop(ledger);
            let report = check(&folder);
            assert!(
                report.is_clean(),
                "{name} {position}: {:#?}",
                report.findings
            );
        }
    }
}

#[test]
fn nothing_is_repaired_in_a_log_that_is_open() {
    let folder = log();
    flip(&folder.path().join("log/snapshot"), 30, 1);
    let report = check(&folder);
    let _ledger = Ledger::open(config(folder.path())).unwrap();
    let error = fsck::repair(&config(folder.path()), &report).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
}

/// Changes the entries of a segment, checksums and all, and returns the report.
fn forged(good: &TempDir, number: usize, change: impl Fn(&mut Vec<Vec<u8>>)) -> (TempDir, Report) {
    let folder = copy(good);
    let segment = &segments(&folder)[number];
    let mut changed = envelopes(segment);
    change(&mut changed);
    forge(segment, &changed);
    let report = check(&folder);
    assert_damaged(&report);
    (folder, report)
}

/// The first entry that is said to be another than was signed.
fn first_altered(report: &Report) -> u64 {
    found(report, FindingKind::Altered).entry.unwrap()
}

#[test]
fn a_dropped_entry_is_noticed() {
    let good = log();
    let first = first_of(&segments(&good)[1]);
    let (folder, report) = forged(&good, 1, |envelopes| {
        envelopes.remove(4);
    });
    assert_eq!(first_altered(&report), first + 4);
    let missing = found(&report, FindingKind::EntriesMissing);
    assert_eq!(missing.file, segments(&folder)[1]);
    assert!(opens_without_snapshot(&folder).is_err());
}

#[test]
fn an_inserted_entry_is_noticed() {
    let good = log();
    let first = first_of(&segments(&good)[1]);
    let (folder, report) = forged(&good, 1, |envelopes| {
        let made_up = String::from_utf8(envelopes[4].clone()).unwrap();
        envelopes.insert(5, made_up.replace("\"event ", "\"evenT ").into_bytes());
    });
    assert_eq!(first_altered(&report), first + 5);
    let twice = found(&report, FindingKind::Duplicate);
    assert_eq!(twice.entry, Some(first + 5));
    assert!(opens_without_snapshot(&folder).is_err());
}

#[test]
fn reordered_entries_are_noticed() {
    let good = log();
    let first = first_of(&segments(&good)[1]);
    let (folder, report) = forged(&good, 1, |envelopes| envelopes.swap(3, 9));
    assert_eq!(first_altered(&report), first + 3);
    found(&report, FindingKind::Tree);
    assert!(opens_without_snapshot(&folder).is_err());
}

#[test]
fn swapped_payloads_are_noticed() {
    let good = log();
    let event = |envelope: &[u8]| {
        let text = String::from_utf8(envelope.to_vec()).unwrap();
        let end = text.find(",\"producer\"").unwrap();
        (text[..end].to_owned(), text[end..].to_owned())
    };
    let (folder, report) = forged(&good, 0, |envelopes| {
        let (one, other) = (event(&envelopes[2]), event(&envelopes[6]));
        envelopes[2] = format!("{}{}", other.0, one.1).into_bytes();
        envelopes[6] = format!("{}{}", one.0, other.1).into_bytes();
    });
    assert_eq!(first_altered(&report), 2);
    found(&report, FindingKind::Tree);
    assert!(opens_without_snapshot(&folder).is_err());
}

/// Where no tile is full yet, the snapshot still knows the leaves.
#[test]
fn a_changed_entry_at_the_end_is_named() {
    let good = log();
    let number = segments(&good).len() - 1;
    let last = envelopes(&segments(&good)[number]).len() - 1;
    let (_, report) = forged(&good, number, |envelopes| {
        let text = String::from_utf8(envelopes[last].clone()).unwrap();
        envelopes[last] = text.replace("\"event ", "\"evenT ").into_bytes();
    });
    assert_eq!(first_altered(&report), SIZE - 1);
}

#[test]
fn an_envelope_in_another_form_is_noticed() {
    let good = log();
    let (_, report) = forged(&good, 0, |envelopes| {
        let text = String::from_utf8(envelopes[5].clone()).unwrap();
        envelopes[5] = text.replacen(':', ": ", 1).into_bytes();
    });
    assert_eq!(found(&report, FindingKind::Envelope).entry, Some(5));
    assert_eq!(first_altered(&report), 5);
}

#[test]
fn a_truncated_tail_is_noticed() {
    let good = log();
    let last = segments(&good).pop().unwrap();
    let length = fs::metadata(&last).unwrap().len();
    for keep in [0, 1, length / 2, length - 1] {
        let folder = copy(&good);
        let segment = segments(&folder).pop().unwrap();
        OpenOptions::new()
            .write(true)
            .open(&segment)
            .unwrap()
            .set_len(keep)
            .unwrap();
        let report = check(&folder);
        assert_damaged(&report);
        let named = report.findings.iter().filter(|finding| {
            matches!(
                finding.kind,
                FindingKind::EntriesMissing | FindingKind::Frame
            )
        });
        assert!(named.clone().count() > 0, "{:#?}", report.findings);
        assert!(named.into_iter().all(|finding| finding.file == segment));
        assert!(opens_without_snapshot(&folder).is_err());
    }
    // A whole segment less.
    let folder = copy(&good);
    fs::remove_file(segments(&folder).pop().unwrap()).unwrap();
    let report = check(&folder);
    let missing = found(&report, FindingKind::EntriesMissing);
    assert_eq!(missing.entry, Some(first_of(&last)));
    assert!(Ledger::open(config(folder.path())).is_err());
}

#[test]
fn a_missing_segment_is_named() {
    let good = log();
    let folder = copy(&good);
    let segment = segments(&folder).remove(2);
    fs::remove_file(&segment).unwrap();
    let report = check(&folder);
    let missing = found(&report, FindingKind::SegmentMissing);
    assert_eq!(
        (&missing.file, missing.entry),
        (&segment, Some(first_of(&segment)))
    );
}

#[test]
fn another_history_is_noticed() {
    let good = log();
    // Two histories from the same start, with the same key.
    let (one, other) = (copy(&good), copy(&good));
    for (folder, producer) in [(&one, "one"), (&other, "other")] {
        let ledger = Ledger::open(config(folder.path())).unwrap();
        append(&ledger, numbered(producer, 0, 20)).unwrap();
    }
    // The log of the one under the anchor of the other.
    fs::remove_dir_all(one.path().join("anchor")).unwrap();
    copy_files(&other.path().join("anchor"), &one.path().join("anchor"));
    let report = check(&one);
    assert_damaged(&report);
    let tree = found(&report, FindingKind::Tree);
    assert!(tree.problem.contains("another history"), "{tree:?}");
    let error = Ledger::open(config(one.path())).unwrap_err();
    assert!(matches!(error, OpenError::Forked { .. }), "{error}");
}

#[test]
fn a_folder_that_was_rolled_back_is_noticed() {
    let good = log();
    let later = copy(&good);
    let ledger = Ledger::open(config(later.path())).unwrap();
    append(&ledger, numbered("q", 0, 30)).unwrap();
    drop(ledger);
    fs::remove_dir_all(later.path().join("log")).unwrap();
    copy_files(&good.path().join("log"), &later.path().join("log"));
    let report = check(&later);
    assert_damaged(&report);
    let missing = found(&report, FindingKind::EntriesMissing);
    assert!(
        missing
            .problem
            .contains("730 entries were signed, but only 700"),
        "{missing:?}"
    );
    let error = Ledger::open(config(later.path())).unwrap_err();
    assert!(matches!(error, OpenError::Forked { .. }), "{error}");
}

#[test]
fn a_checkpoint_signed_by_another_key_is_noticed() {
    let good = log();
    let stranger = log();
    for names in [
        &["anchor/checkpoint", "anchor/checkpoint.old"][..],
        &["log/key"],
    ] {
        let folder = copy(&good);
        for name in names {
            fs::copy(stranger.path().join(name), folder.path().join(name)).unwrap();
        }
        let report = check(&folder);
        assert_damaged(&report);
        let checkpoint = found(&report, FindingKind::Checkpoint);
        assert!(checkpoint.problem.contains("not signed"), "{checkpoint:?}");
        assert!(Ledger::open(config(folder.path())).is_err());
    }
    // Key and checkpoint together: then the log is not the one that they signed.
    let folder = copy(&good);
    for name in ["anchor/checkpoint", "log/key"] {
        fs::copy(stranger.path().join(name), folder.path().join(name)).unwrap();
    }
    let report = check(&folder);
    assert_damaged(&report);
    found(&report, FindingKind::Tree);
    assert_ne!(report.verifier_keys, check(&good).verifier_keys);
    assert!(opens_without_snapshot(&folder).is_err());
}

#[test]
fn an_old_checkpoint_that_is_put_back_is_noticed() {
    let folder = log();
    let checkpoint = folder.path().join("anchor/checkpoint");
    let old = fs::read(&checkpoint).unwrap();
    let ledger = Ledger::open(config(folder.path())).unwrap();
    append(&ledger, numbered("q", 0, 30)).unwrap();
    drop(ledger);
    fs::write(&checkpoint, old).unwrap();
    let report = check(&folder);
    assert_damaged(&report);
    let replayed = found(&report, FindingKind::Checkpoint);
    assert!(replayed.problem.contains("a tree of 730"), "{replayed:?}");
    assert_eq!(replayed.entry, Some(700));
    // The log itself goes on from its own end; nothing is signed twice.
    let ledger = Ledger::open(config(folder.path())).unwrap();
    assert_eq!(ledger.checkpoint().tree_size, 730);
}
