//! Full segments are compressed, and the log does not notice.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use common::{
    append, config_without_index, copy_files, counted, entries, flip, message, numbered, query,
    verify, wait_for_index,
};
use fieldledger_chance::seed;
use fieldledger_formats::packed::{Directory, END_LENGTH, header};
use fieldledger_ledger::fsck::{self, FindingKind, Report, Severity};
use fieldledger_ledger::{
    Checkpoint, Config, Done, Entry, Fault, Faults, Ledger, ObjectFolder, PowerLoss, RestoreMode,
    RetentionScope, backup, restore,
};
use tempfile::TempDir;

/// Readings in the log: more than one block in each of some segments.
const SIZE: u64 = 900;

/// Bytes at which a segment is full: about two blocks.
const SEGMENT: u64 = 160_000;

/// In memory where there is such a folder: the faults keep their own books of what was synced.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// The log in `folder/log`, whose segments stay as they are.
fn plain(folder: &Path) -> Config {
    let mut config = config_without_index(&folder.join("log"));
    config.segment_bytes = SEGMENT;
    config.pack_from_bytes = u64::MAX;
    // Nothing is written but by the test, however long it takes.
    config.gap_grace_ms = u64::MAX / 1_000;
    config
}

/// The same, whose full segments are packed.
fn packing(folder: &Path) -> Config {
    let mut config = plain(folder);
    config.pack_from_bytes = 1;
    config
}

/// A log of readings that was closed in order, and its newest tree head.
fn log(config: Config) -> Checkpoint {
    let ledger = Ledger::open(config).unwrap();
    for batch in 0..SIZE / 100 {
        let numbers = batch * 100..(batch + 1) * 100;
        let sensor = format!("3f2158c2-70a9-4bd8-a3fc-4435291d6{:03}", batch % 7);
        append(&ledger, counted(&sensor, "edb807d16c4348a6", numbers)).unwrap();
    }
    let checkpoint = ledger.checkpoint();
    assert_eq!(checkpoint.tree_size, SIZE);
    checkpoint
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let items = fs::read_dir(folder.join("log/segments")).unwrap();
    let mut paths: Vec<PathBuf> = items.map(|item| item.unwrap().path()).collect();
    paths.sort();
    paths
}

fn is_packed(path: &Path) -> bool {
    fs::read(path).unwrap_or_default().starts_with(b"FLPACK")
}

/// Whether all segments but the newest are packed, and nothing else is beside them.
fn all_are_packed(folder: &Path) -> bool {
    let mut segments = segments(folder);
    segments.pop();
    segments.iter().all(|path| is_packed(path))
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(60), "never: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

fn wait_until_packed(folder: &Path) {
    wait_until("all full segments are packed", || all_are_packed(folder));
}

fn bytes_of_segments(folder: &Path) -> u64 {
    let paths = segments(folder).into_iter();
    paths.map(|path| path.metadata().unwrap().len()).sum()
}

fn check(config: &Config) -> Report {
    fsck::check(config, &mut |_| {}).unwrap()
}

fn assert_clean(config: &Config, what: &str) {
    let report = check(config);
    assert!(report.is_clean(), "{what}: {:#?}", report.findings);
}

/// The entries and the tree are what they were.
fn assert_same(ledger: &Ledger, before: &[Entry], checkpoint: &Checkpoint, what: &str) {
    assert_eq!(
        &ledger.checkpoint().root_hash,
        &checkpoint.root_hash,
        "{what}"
    );
    let after = entries(ledger);
    assert_eq!(after.len(), before.len(), "{what}");
    for (one, other) in before.iter().zip(&after) {
        assert_eq!(one.envelope, other.envelope, "{what}: entry {}", one.index);
    }
    for index in (0..SIZE).step_by(397) {
        let proof = ledger.inclusion(index).unwrap();
        verify(&proof.entry, &proof.checkpoint);
    }
}

/// A log with plain segments, and what is in it.
fn plain_log() -> (TempDir, Checkpoint, Vec<Entry>) {
    let folder = folder();
    let checkpoint = log(plain(folder.path()));
    let ledger = Ledger::open(plain(folder.path())).unwrap();
    let before = entries(&ledger);
    drop(ledger);
    (folder, checkpoint, before)
}

fn copy(of: &TempDir) -> TempDir {
    let copy = folder();
    copy_files(of.path(), copy.path());
    copy
}

/// A log with packed segments, closed in order.
fn packed_log() -> (TempDir, Checkpoint, Vec<Entry>) {
    let (folder, checkpoint, before) = plain_log();
    let ledger = Ledger::open(packing(folder.path())).unwrap();
    wait_until_packed(folder.path());
    drop(ledger);
    (folder, checkpoint, before)
}

#[test]
fn an_old_log_is_packed_and_stays_what_it_was() {
    let (folder, checkpoint, before) = plain_log();
    let plain_bytes = bytes_of_segments(folder.path());
    let mut config = packing(folder.path());
    config.index = true;
    let ledger = Ledger::open(config.clone()).unwrap();
    wait_until_packed(folder.path());
    assert_same(&ledger, &before, &checkpoint, "packed");
    wait_for_index(&ledger);
    assert_eq!(ledger.search(&query("TempSensor01")).unwrap().count, SIZE);
    drop(ledger);
    assert!(bytes_of_segments(folder.path()) < plain_bytes / 2);
    assert_clean(&config, "packed");

    // All that is derived is computed again, from packed segments.
    for name in ["offsets", "snapshot"] {
        fs::remove_file(folder.path().join("log").join(name)).unwrap();
    }
    for name in ["tile", "index"] {
        fs::remove_dir_all(folder.path().join("log").join(name)).unwrap();
    }
    let ledger = Ledger::open(config.clone()).unwrap();
    assert_same(&ledger, &before, &checkpoint, "computed again");
    append(&ledger, numbered("p", 0, 3)).unwrap();
    wait_for_index(&ledger);
    assert_eq!(ledger.search(&query("event")).unwrap().count, 3);
    drop(ledger);
    assert_clean(&config, "computed again");
}

#[test]
fn segments_are_packed_while_others_are_written() {
    let folder = folder();
    let config = packing(folder.path());
    let ledger = Ledger::open(config.clone()).unwrap();
    for batch in 0..60 {
        append(&ledger, numbered("p", batch * 100, (batch + 1) * 100)).unwrap();
    }
    wait_until_packed(folder.path());
    assert!(segments(folder.path()).len() > 2);
    for (index, entry) in entries(&ledger).iter().enumerate() {
        assert_eq!(message(entry), format!("event {index} of p"));
    }
    drop(ledger);
    assert_clean(&config, "packed while it was written");
}

/// What a life of a ledger did until all was packed, or its disk was gone: operations.
fn pack_with(folder: &Path, faults: &Faults) {
    let mut config = packing(folder);
    config.faults = Some(faults.clone());
    if let Ok(ledger) = Ledger::open(config) {
        let started = Instant::now();
        while !all_are_packed(folder) && faults.is_alive() {
            assert!(started.elapsed() < Duration::from_secs(60), "never packed");
            thread::sleep(Duration::from_millis(1));
        }
        drop(ledger);
    }
}

/// Operations of a start.
fn operations_of_start(original: &TempDir) -> u64 {
    let (folder, faults) = (copy(original), Faults::default());
    let mut config = plain(folder.path());
    config.faults = Some(faults.clone());
    let ledger = Ledger::open(config).unwrap();
    let operations = faults.calls();
    drop(ledger);
    operations
}

/// Runs `each` for every operation of packing the segments, on both cores.
fn for_every_operation(each: impl Fn(u64, &TempDir, &Checkpoint, &[Entry]) + Sync) {
    let (original, checkpoint, before) = plain_log();
    let faults = Faults::default();
    let folder = copy(&original);
    pack_with(folder.path(), &faults);
    assert!(all_are_packed(folder.path()));
    let last = faults.calls();
    let start = operations_of_start(&original);
    assert!(last > start + 20, "{start} and {last} operations only");
    thread::scope(|scope| {
        for half in 0..2 {
            let (each, original, checkpoint, before) = (&each, &original, &checkpoint, &before);
            scope.spawn(move || {
                for number in (start + half..=last).step_by(2) {
                    each(number, original, checkpoint, before);
                }
            });
        }
    });
}

/// Opens the log on a good disk: nothing is lost, and what was begun is finished.
fn assert_recovers(folder: &TempDir, checkpoint: &Checkpoint, before: &[Entry], what: &str) {
    let config = packing(folder.path());
    let ledger = Ledger::open(config.clone())
        .unwrap_or_else(|error| panic!("{what}: the ledger does not open: {error:?}"));
    assert_same(&ledger, before, checkpoint, what);
    wait_until_packed(folder.path());
    drop(ledger);
    assert_clean(&config, what);
    let others: Vec<_> = segments(folder.path())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension != "seg"))
        .collect();
    assert!(others.is_empty(), "{what}: {others:?}");
}

#[test]
fn the_process_may_die_at_any_step_of_packing() {
    for_every_operation(|number, original, checkpoint, before| {
        // Nothing done is what the operation before leaves when all of it is done.
        for done in [Done::Half, Done::All] {
            let (folder, faults) = (copy(original), Faults::default());
            faults.plan(number, Fault::Death(done));
            pack_with(folder.path(), &faults);
            let what = format!("death at {number}, {done:?} done");
            assert_recovers(&folder, checkpoint, before, &what);
        }
    });
}

#[test]
fn the_power_may_fail_at_any_step_of_packing() {
    let seed = seed().get();
    for_every_operation(|number, original, checkpoint, before| {
        for (done, loss) in [
            (Done::All, PowerLoss::Everything),
            (Done::All, PowerLoss::Some(seed.wrapping_add(number))),
        ] {
            let (folder, faults) = (copy(original), Faults::default());
            faults.plan(number, Fault::Death(done));
            pack_with(folder.path(), &faults);
            faults.lose_power(loss).unwrap();
            let what = format!("power loss at {number}, {done:?} done, lost {loss:?}");
            assert_recovers(&folder, checkpoint, before, &what);
        }
    });
}

/// Bytes of all files below the folder.
fn all_files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for item in fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            files.extend(all_files(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            files.push((path, bytes));
        }
    }
    files
}

/// The frames of a packed segment, block by block.
fn unpacked(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let first = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let end: [u8; END_LENGTH] = *bytes.last_chunk().unwrap();
    let encoded = usize::try_from(Directory::encoded_length(end)).unwrap();
    let encoded = &bytes[bytes.len() - encoded..];
    let beginning = *bytes.first_chunk().unwrap();
    let directory = Directory::decode(first, beginning, encoded, bytes.len() as u64).unwrap();
    let mut frames = Vec::new();
    for block in directory.blocks() {
        let stored = block.stored.start as usize..block.stored.end as usize;
        frames.extend(block.unpack(&bytes[stored]).unwrap());
    }
    frames
}

fn holds(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// What only this entry says.
fn salt_of(entry: &Entry) -> Vec<u8> {
    let envelope: serde_json::Value = serde_json::from_str(&entry.envelope).unwrap();
    envelope["salt"].as_str().unwrap().as_bytes().to_vec()
}

/// That salt is in no file, packed or not.
fn assert_nowhere(folder: &Path, salt: &[u8], what: &str) {
    for (path, bytes) in all_files(folder) {
        assert!(!holds(&bytes, salt), "{what}: {}", path.display());
        if bytes.starts_with(b"FLPACK") {
            assert!(!holds(&unpacked(&path), salt), "{what}: {}", path.display());
        }
    }
}

#[test]
fn what_is_erased_in_a_packed_segment_is_nowhere() {
    let (folder, _, before) = packed_log();
    let config = packing(folder.path());
    let erased = 333;
    let salt = salt_of(&before[erased as usize]);
    let held = segments(folder.path())
        .iter()
        .filter(|path| is_packed(path) && holds(&unpacked(path), &salt))
        .count();
    assert_eq!(held, 1);
    let ledger = Ledger::open(config.clone()).unwrap();
    ledger.erase(erased, "asked", "test").unwrap();
    assert_nowhere(folder.path(), &salt, "erased");
    let proof = ledger.inclusion(erased).unwrap();
    verify(&proof.entry, &proof.checkpoint);
    assert!(proof.entry.removed.is_some());
    for (one, other) in before.iter().zip(entries(&ledger)) {
        assert!(one.index == erased || one.envelope == other.envelope);
    }
    drop(ledger);
    assert_clean(&config, "erased");
    assert!(all_are_packed(folder.path()));
}

#[test]
fn the_process_may_die_while_a_packed_entry_is_erased() {
    let (original, _, before) = packed_log();
    let erased = 333;
    let salt = salt_of(&before[erased as usize]);
    let erase = |folder: &Path, faults: &Faults| {
        let mut config = packing(folder);
        config.faults = Some(faults.clone());
        Ledger::open(config).is_ok_and(|ledger| ledger.erase(erased, "asked", "test").is_ok())
    };
    let faults = Faults::default();
    assert!(erase(copy(&original).path(), &faults));
    let last = faults.calls();
    let start = operations_of_start(&original);
    thread::scope(|scope| {
        for half in 0..2 {
            let (original, salt, erase) = (&original, &salt, &erase);
            scope.spawn(move || {
                for number in (start + half..=last).step_by(2) {
                    for (done, loses_power) in [
                        (Done::Nothing, false),
                        (Done::Half, true),
                        (Done::All, true),
                    ] {
                        let (folder, faults) = (copy(original), Faults::default());
                        faults.plan(number, Fault::Death(done));
                        let was_erased = erase(folder.path(), &faults);
                        if loses_power {
                            faults.lose_power(PowerLoss::Everything).unwrap();
                        }
                        let what = format!("death at {number}, {done:?} done");
                        let config = packing(folder.path());
                        let ledger = Ledger::open(config.clone())
                            .unwrap_or_else(|error| panic!("{what}: {error:?}"));
                        let proof = ledger.inclusion(erased).unwrap();
                        verify(&proof.entry, &proof.checkpoint);
                        let is_erased = proof.entry.removed.is_some();
                        assert!(is_erased || !was_erased, "{what}: it is back");
                        drop(ledger);
                        if is_erased {
                            assert_nowhere(folder.path(), salt, &what);
                        }
                        assert_clean(&config, &what);
                    }
                }
            });
        }
    });
}

#[test]
fn what_is_given_up_in_packed_segments_is_nowhere() {
    let (folder, _, before) = packed_log();
    let config = packing(folder.path());
    let ledger = Ledger::open(config.clone()).unwrap();
    let retained = ledger
        .retain(u64::MAX / 2, RetentionScope::All, "old", "test")
        .unwrap();
    assert!(retained.below >= 400, "{retained:?}");
    wait_until("all is given up", || !ledger.retention_status().pending);
    for index in [0, 333, retained.below - 1] {
        let proof = ledger.inclusion(index).unwrap();
        verify(&proof.entry, &proof.checkpoint);
        assert!(proof.entry.removed.is_some());
        assert_nowhere(folder.path(), &salt_of(&before[index as usize]), "given up");
    }
    drop(ledger);
    assert!(all_are_packed(folder.path()));
    assert_clean(&config, "given up");
}

#[test]
fn a_flipped_bit_in_a_packed_segment_is_found() {
    let (original, _, _) = packed_log();
    // The hashes of its entries are in full tiles.
    let path = segments(original.path())[0].clone();
    let first: u64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let name = path.strip_prefix(original.path()).unwrap();
    let length = path.metadata().unwrap().len();
    for step in 0..20 {
        let folder = copy(&original);
        let offset = step * (length - 1) / 19;
        let path = folder.path().join(name);
        flip(&path, offset, 1);
        let report = check(&packing(folder.path()));
        assert_eq!(report.worst(), Some(Severity::Damage), "byte {offset}");
        let finding = report
            .findings
            .iter()
            .find(|finding| finding.kind == FindingKind::Frame)
            .unwrap_or_else(|| panic!("byte {offset}: {:#?}", report.findings));
        assert_eq!(finding.file, path, "byte {offset}");
        assert!(finding.offset.is_some(), "byte {offset}");
        assert!(finding.entry.unwrap() >= first, "byte {offset}");
        // What else is in the log is found to be in order.
        assert_eq!(report.entries, SIZE, "byte {offset}");
        let others = report.findings.iter();
        let others: Vec<_> = others
            .filter(|other| other.severity != Severity::Note && other.file != path)
            .collect();
        assert!(others.is_empty(), "byte {offset}: {others:#?}");
    }
}

#[test]
fn a_damaged_segment_is_not_packed() {
    let (folder, _, _) = plain_log();
    let damaged = segments(folder.path())[0].clone();
    flip(&damaged, 1_000, 1);
    let ledger = Ledger::open(packing(folder.path())).unwrap();
    wait_until("the others are packed", || {
        let segments = segments(folder.path());
        segments[1..segments.len() - 1]
            .iter()
            .all(|path| is_packed(path))
    });
    drop(ledger);
    assert!(!is_packed(&damaged));
}

#[test]
fn packed_segments_are_backed_up_and_restored() {
    let (folder, checkpoint, before) = plain_log();
    let target = folder.path().join("backup");
    let config = packing(folder.path());
    // An old backup, of plain segments; it is made again as the log is packed.
    let old = backup(&config, &target, true, &mut |_, _, _| ()).unwrap();
    let ledger = Ledger::open(config.clone()).unwrap();
    wait_until_packed(folder.path());
    let report = backup(&config, &target, true, &mut |_, _, _| ()).unwrap();
    assert!(report.bytes_copied < old.bytes_copied / 2);
    let nothing = backup(&config, &target, true, &mut |_, _, _| ()).unwrap();
    assert_eq!(nothing.bytes_copied, 0);
    ledger.erase(333, "asked", "test").unwrap();
    let erased = backup(&config, &target, true, &mut |_, _, _| ()).unwrap();
    assert_eq!(erased.erased, 1);
    drop(ledger);
    assert_nowhere(&target, &salt_of(&before[333]), "in the backup");

    // A bit that flipped in the backup.
    let segment = target
        .join("segments")
        .join(segments(folder.path())[0].file_name().unwrap());
    flip(&segment, 5_000, 1);
    let mended = backup(&config, &target, true, &mut |_, _, _| ()).unwrap();
    assert!(mended.bytes_copied > 0);

    let mut restored = plain(&folder.path().join("restored"));
    restored.anchor = config.anchor.clone();
    restore(
        &target,
        &restored,
        None,
        RestoreMode::GoOn,
        &mut |_, _, _| (),
    )
    .unwrap();
    let ledger = Ledger::open(restored.clone()).unwrap();
    assert_eq!(ledger.checkpoint().tree_size, checkpoint.tree_size + 1);
    append(&ledger, numbered("p", 0, 3)).unwrap();
    for (one, other) in before.iter().zip(entries(&ledger)) {
        assert!(one.index == 333 || one.envelope == other.envelope);
    }
    drop(ledger);
    assert_clean(&restored, "restored");
}

/// As in a backup that was made when this segment had just become full.
#[test]
fn a_packed_segment_can_be_the_last_of_a_log() {
    let (folder, checkpoint, before) = plain_log();
    let newest = segments(folder.path()).pop().unwrap();
    let first: u64 = newest
        .file_stem()
        .unwrap()
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    let frames = fs::read(&newest).unwrap();
    let mut directory = Directory::new(first);
    let block = directory.pack(&frames).unwrap();
    let end = directory.encode().unwrap();
    fs::write(&newest, [header(first).as_slice(), &block, &end].concat()).unwrap();

    let config = packing(folder.path());
    let ledger = Ledger::open(config.clone()).unwrap();
    assert_same(&ledger, &before, &checkpoint, "packed to the end");
    append(&ledger, numbered("p", 0, 3)).unwrap();
    assert_eq!(ledger.checkpoint().tree_size, SIZE + 3);
    drop(ledger);
    let next = folder.path().join(format!("log/segments/{SIZE:020}.seg"));
    assert_eq!(segments(folder.path()).pop(), Some(next));
    assert_clean(&config, "with a new segment");
}

#[test]
fn packed_segments_are_archived() {
    let (folder, checkpoint, before) = plain_log();
    let archive = ObjectFolder::in_memory("archive").unwrap();
    let mut config = packing(folder.path());
    config.archive = Some(archive);
    config.local_segments = Some(0);
    let plain_bytes = bytes_of_segments(folder.path());
    let ledger = Ledger::open(config.clone()).unwrap();
    wait_until("all is archived", || segments(folder.path()).len() == 1);
    assert!(ledger.archive_status().unwrap().bytes < plain_bytes / 2);
    assert_same(&ledger, &before, &checkpoint, "archived");
    ledger.erase(333, "asked", "test").unwrap();
    wait_until("it is archived again", || {
        segments(folder.path()).len() == 1
    });
    let proof = ledger.inclusion(333).unwrap();
    verify(&proof.entry, &proof.checkpoint);
    assert!(proof.entry.removed.is_some());
    drop(ledger);
    assert_clean(&config, "archived");
}
