//! Giving up old payloads: what is freed, what stays, and what a crash leaves.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{
    append, config_without_index, counted, entries, message, numbered, query, verify,
    verify_growth, wait_for_index,
};
use fieldledger_ledger::fsck::{self, Severity};
use fieldledger_ledger::{
    Checkpoint, Clock, Config, ControlError, Done, Entry, Fault, Faults, Ledger, ObjectFolder,
    PowerLoss, RemovalKind, RestoreMode, RetentionPolicy, RetentionScope, Series, backup, restore,
};
use tempfile::TempDir;

const SENSOR: &str = "f3088463-5623-476f-a1b5-ecb49446a443";

/// Microseconds since the Unix epoch at which the tests begin.
const START: u64 = 1_800_000_000_000_000;

const HOUR: u64 = 3_600_000_000;

/// Segments so small that the tests begin several.
fn config(folder: &Path) -> Config {
    let mut config = common::config(&folder.join("log"));
    config.segment_bytes = 4_000;
    config.clock = Clock::new(|| START);
    config
}

/// A clock that tests turn.
fn clock(config: &mut Config) -> Arc<AtomicU64> {
    let now = Arc::new(AtomicU64::new(START));
    let its_now = Arc::clone(&now);
    config.clock = Clock::new(move || its_now.load(Ordering::Relaxed));
    now
}

fn readings(ledger: &Ledger, from: u64, to: u64) {
    for number in from..to {
        append(ledger, counted(SENSOR, "boot", [number])).unwrap();
    }
}

fn wait_until_given_up(ledger: &Ledger) {
    let started = Instant::now();
    while ledger.retention_status().pending {
        let status = ledger.retention_status();
        assert!(started.elapsed() < Duration::from_secs(60), "{status:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn all_proved(ledger: &Ledger) -> Vec<Entry> {
    let size = ledger.checkpoint().tree_size;
    let proved = (0..size).map(|index| {
        let proof = ledger.inclusion(index).unwrap();
        verify(&proof.entry, &proof.checkpoint);
        proof.entry
    });
    proved.collect()
}

fn assert_in_order(config: &Config) {
    let report = fsck::check(config, &mut |_| {}).unwrap();
    let worst = report.worst().unwrap_or(Severity::Note);
    assert!(worst < Severity::Repairable, "{:#?}", report.findings);
}

fn segment_bytes(folder: &Path) -> u64 {
    let files = fs::read_dir(folder.join("log/segments")).unwrap();
    files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum()
}

/// Index, without what was found to be gone.
fn whole(entries: &[Entry]) -> Vec<u64> {
    let whole = entries.iter().filter(|entry| entry.removed.is_none());
    whole.map(|entry| entry.index).collect()
}

#[test]
fn old_readings_are_given_up_and_still_proved() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    let now = clock(&mut config);
    let ledger = Ledger::open(config.clone()).unwrap();
    readings(&ledger, 0, 30);
    append(&ledger, numbered("operator", 0, 3)).unwrap();
    readings(&ledger, 30, 60);
    let before = ledger.checkpoint();
    now.fetch_add(24 * HOUR, Ordering::Relaxed);
    readings(&ledger, 60, 80);
    wait_for_index(&ledger);
    let bytes = segment_bytes(folder.path());

    let scope = RetentionScope::Readings;
    let nothing = ledger.retain(START, scope, "due", "test").unwrap();
    assert_eq!((nothing.marker, nothing.below), (None, 0));
    let retained = ledger
        .retain(START + 12 * HOUR, scope, "a day is enough", "the engineer")
        .unwrap();
    let marker = retained.marker.unwrap();
    assert_eq!(marker, 83);
    // A segment that holds something newer stays.
    assert!((40..=63).contains(&retained.below), "{retained:?}");
    wait_until_given_up(&ledger);
    let status = ledger.retention_status();
    assert_eq!(status.readings_below, retained.below);
    assert_eq!((status.all_below, status.problem.as_str()), (0, ""));
    let freed = bytes - segment_bytes(folder.path());
    assert!(freed > bytes / 3, "{freed} of {bytes}");
    // The entry about it came since.
    assert!(status.freed_bytes >= freed, "{status:?}");

    let check = |ledger: &Ledger| {
        let all = all_proved(ledger);
        for entry in &all {
            let operator = (30..33).contains(&entry.index);
            let is_gone = entry.index < retained.below && !operator;
            assert_eq!(entry.removed.is_some(), is_gone, "{entry:?}");
            let Some(removed) = &entry.removed else {
                continue;
            };
            assert_eq!(
                (removed.kind, removed.entry),
                (RemovalKind::GivenUp, marker)
            );
            assert_eq!(removed.reason, "a day is enough");
            assert_eq!(entry.envelope, "");
        }
        assert!(message(&all[83]).contains("the engineer"));
        verify_growth(ledger, &before, &ledger.checkpoint());
        wait_for_index(ledger);
        let found = ledger.search(&query("SENSOR_READING")).unwrap();
        assert_eq!(found.count, 83 - retained.below);
        assert_eq!(ledger.search(&query("operator")).unwrap().count, 3);
        let Series::Raw(series) = ledger.series(SENSOR, 0, u64::MAX, 1_000).unwrap() else {
            panic!("there are few readings");
        };
        assert_eq!(series.len() as u64, 83 - retained.below);
        assert_eq!(ledger.latest(&[]).unwrap()[0].index, 82);
        let again = append(ledger, counted(SENSOR, "boot", 0..80)).unwrap();
        assert_eq!((again.duplicates, again.appended), (80, 0));
        assert_eq!(ledger.gap_totals().open, 0);
    };
    check(&ledger);
    let again = ledger
        .retain(START + 12 * HOUR, scope, "due", "test")
        .unwrap();
    assert_eq!((again.marker, again.below), (None, retained.below));
    drop(ledger);
    assert_in_order(&config);

    for lost in ["", "snapshot", "index", "tile", "offsets", "retention"] {
        let path = folder.path().join("log").join(lost);
        if !lost.is_empty() {
            fs::remove_file(folder.path().join("log/snapshot")).unwrap();
        }
        if path.is_dir() && !lost.is_empty() {
            fs::remove_dir_all(path).unwrap();
        } else if !lost.is_empty() {
            let _ = fs::remove_file(path);
        }
        let ledger = Ledger::open(config.clone()).unwrap();
        wait_until_given_up(&ledger);
        check(&ledger);
        drop(ledger);
        assert_in_order(&config);
    }
}

#[test]
fn the_logs_own_entries_are_never_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    let now = clock(&mut config);
    let ledger = Ledger::open(config.clone()).unwrap();
    append(&ledger, numbered("operator", 0, 10)).unwrap();
    ledger.erase(4, "asked", "test").unwrap();
    ledger.rotate_key("due", "test").unwrap();
    readings(&ledger, 0, 40);
    now.fetch_add(HOUR, Ordering::Relaxed);
    let retained = ledger
        .retain(START + HOUR, RetentionScope::All, "due", "test")
        .unwrap();
    wait_until_given_up(&ledger);
    let all = all_proved(&ledger);
    let own: Vec<u64> = whole(&all)
        .into_iter()
        .filter(|&index| index < retained.below)
        .collect();
    assert_eq!(own, [10, 11]);
    let erased = all[4].removed.as_ref().unwrap();
    assert_eq!((erased.kind, erased.entry), (RemovalKind::Erased, 10));
    // Whoever gave up all gave up the readings.
    let readings = ledger
        .retain(START, RetentionScope::Readings, "due", "test")
        .unwrap();
    assert_eq!((readings.marker, readings.below), (None, retained.below));
    wait_for_index(&ledger);
    assert_eq!(ledger.search(&query("operator")).unwrap().count, 0);
    assert_eq!(ledger.search(&query("LOG_KEY")).unwrap().count, 1);
    drop(ledger);
    assert_in_order(&config);
}

#[test]
fn what_may_not_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(folder.path())).unwrap();
    append(&ledger, numbered("p", 0, 40)).unwrap();
    let scope = RetentionScope::All;
    for (reason, actor) in [("", "test"), ("due", " ")] {
        let refused = ledger.retain(u64::MAX, scope, reason, actor);
        assert!(
            matches!(refused, Err(ControlError::Invalid(_))),
            "{refused:?}"
        );
    }
    ledger.freeze(None, "done", "test").unwrap();
    let refused = ledger.retain(u64::MAX, scope, "due", "test");
    assert!(
        matches!(refused, Err(ControlError::Ended(_))),
        "{refused:?}"
    );
    assert!(!ledger.retention_status().pending);
    let unknown = "some".parse::<RetentionScope>().unwrap_err().to_string();
    assert!(unknown.contains("readings or all"), "{unknown}");
}

#[test]
fn a_policy_gives_up_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.retention = Some(RetentionPolicy {
        keep_for: Duration::from_secs(3_600),
        scope: RetentionScope::Readings,
    });
    let now = clock(&mut config);
    let ledger = Ledger::open(config).unwrap();
    readings(&ledger, 0, 40);
    assert_eq!(ledger.retention_status().readings_below, 0);
    now.fetch_add(2 * HOUR, Ordering::Relaxed);
    let started = Instant::now();
    while ledger.retention_status().freed_bytes == 0 {
        assert!(started.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(5));
    }
    wait_until_given_up(&ledger);
    let status = ledger.retention_status();
    assert!(status.readings_below >= 20, "{status:?}");
    let marker = message(&ledger.entry(40).unwrap());
    assert!(marker.contains("readings are kept for 1 hours"), "{marker}");
    assert!(marker.contains("retention policy"), "{marker}");
}

#[test]
fn segments_in_the_archive_are_given_up_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    let archive: ObjectFolder = format!("file://{}/archive", folder.path().display())
        .parse()
        .unwrap();
    config.archive = Some(archive);
    config.local_segments = Some(1);
    let ledger = Ledger::open(config.clone()).unwrap();
    readings(&ledger, 0, 60);
    let archived = wait_for_archive(&ledger, &config);
    ledger
        .retain(u64::MAX, RetentionScope::All, "due", "test")
        .unwrap();
    wait_until_given_up(&ledger);
    // What was written anew is archived again.
    readings(&ledger, 60, 61);
    let smaller = wait_for_archive(&ledger, &config);
    assert_eq!(smaller.segments, archived.segments);
    assert!(
        smaller.bytes * 2 < archived.bytes,
        "{smaller:?} {archived:?}"
    );
    all_proved(&ledger);
    drop(ledger);
    assert_in_order(&config);
}

/// Waits until all full segments are in the archive, and all but the newest of them there only.
fn wait_for_archive(ledger: &Ledger, config: &Config) -> fieldledger_ledger::ArchiveStatus {
    let started = Instant::now();
    loop {
        let status = ledger.archive_status().unwrap();
        // The newest full one, and the one that is written to.
        let on_disk = fs::read_dir(config.folder.join("segments")).unwrap();
        let is_settled = status.segments == status.removed + 1 && on_disk.count() == 2;
        if status.segments > 3 && is_settled {
            return status;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{status:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_backup_follows_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let target = folder.path().join("backup");
    let ledger = Ledger::open(config.clone()).unwrap();
    readings(&ledger, 0, 60);
    let first = backup(&config, &target, true, &mut |_, _, _| {}).unwrap();
    ledger
        .retain(u64::MAX, RetentionScope::All, "due", "test")
        .unwrap();
    wait_until_given_up(&ledger);
    let second = backup(&config, &target, true, &mut |_, _, _| {}).unwrap();
    assert_eq!(second.backup.tree_size, first.backup.tree_size + 1);
    let gone = whole(&entries(&ledger));
    drop(ledger);
    let restored = folder.path().join("restored");
    let mut other = config.clone();
    other.folder = restored;
    restore(&target, &other, None, RestoreMode::GoOn, &mut |_, _, _| {}).unwrap();
    let ledger = Ledger::open(other.clone()).unwrap();
    wait_until_given_up(&ledger);
    assert_eq!(whole(&entries(&ledger)), gone);
    all_proved(&ledger);
    drop(ledger);
    assert_in_order(&other);
}

/// Who reads while segments are written anew reads what was there before or after.
#[test]
fn readers_do_not_notice() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(folder.path())).unwrap();
    readings(&ledger, 0, 200);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            for index in (0..200).cycle().take(4_000) {
                let proof = ledger.inclusion(index).unwrap();
                verify(&proof.entry, &proof.checkpoint);
            }
        });
        ledger
            .retain(u64::MAX, RetentionScope::Readings, "due", "test")
            .unwrap();
        wait_until_given_up(&ledger);
        reader.join().unwrap();
    });
    assert!(ledger.retention_status().freed_bytes > 0);
}

/// In memory where there is such a folder: the faults keep their own books of what was synced.
fn fast_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

fn scripted(folder: &Path, faults: Option<&Faults>) -> Config {
    let mut config = config_without_index(&folder.join("log"));
    config.segment_bytes = 3_000;
    config.snapshot_every = 7;
    config.clock = Clock::new(|| START);
    config.faults = faults.cloned();
    config
}

/// What somebody was told.
#[derive(Default)]
struct Known {
    signed: Option<Checkpoint>,
    retained: bool,
}

/// Fills a log, gives up all that is old, and goes on, as far as the disk lets it.
fn live(folder: &Path, faults: &Faults) -> Known {
    let mut known = Known::default();
    let Ok(ledger) = Ledger::open(scripted(folder, Some(faults))) else {
        return known;
    };
    for number in 0..30 {
        let _ = append(&ledger, counted(SENSOR, "boot", [number]));
    }
    let retained = ledger.retain(u64::MAX, RetentionScope::All, "due", "test");
    known.retained = retained.is_ok_and(|retained| retained.marker.is_some());
    let started = Instant::now();
    loop {
        let status = ledger.retention_status();
        if !status.pending || !status.problem.is_empty() {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{status:?}");
        thread::yield_now();
    }
    for number in 30..34 {
        let _ = append(&ledger, counted(SENSOR, "boot", [number]));
    }
    known.signed = Some(ledger.checkpoint());
    known
}

fn check(folder: &Path, known: &Known, what: &str) {
    let config = scripted(folder, None);
    let ledger = Ledger::open(config.clone())
        .unwrap_or_else(|error| panic!("{what}: the ledger does not open: {error:?}"));
    wait_until_given_up(&ledger);
    if let Some(signed) = known.signed.as_ref().filter(|signed| signed.tree_size > 0) {
        verify_growth(&ledger, signed, &ledger.checkpoint());
    }
    let all = all_proved(&ledger);
    let gone = all.iter().filter(|entry| entry.removed.is_some()).count();
    assert!(gone > 0 || !known.retained, "{what}: payloads are back");
    // All is known that was, once.
    append(&ledger, counted(SENSOR, "boot", 0..34)).unwrap();
    let own = all
        .iter()
        .filter(|entry| entry.removed.is_none() && entry.envelope.contains("ledger/retention"));
    let own = own.count() as u64;
    assert_eq!(ledger.checkpoint().tree_size, 34 + own, "{what}");
    drop(ledger);
    assert_in_order_but_derived(&config, what);
    fs::remove_file(folder.join("log/snapshot")).unwrap();
    drop(Ledger::open(config).unwrap_or_else(|error| panic!("{what}: read whole: {error:?}")));
}

fn assert_in_order_but_derived(config: &Config, what: &str) {
    let report = fsck::check(config, &mut |_| {}).unwrap();
    let worst = report.worst().unwrap_or(Severity::Note);
    assert!(
        worst < Severity::Repairable,
        "{what}: {:#?}",
        report.findings
    );
}

fn for_every_operation(each: impl Fn(u64) + Sync) {
    let (folder, faults) = (fast_folder(), Faults::default());
    let known = live(folder.path(), &faults);
    assert!(known.retained);
    check(folder.path(), &known, "without a fault");
    let last = faults.calls();
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
        for fault in [Fault::Error(ErrorKind::StorageFull), Fault::Short] {
            let (folder, faults) = (fast_folder(), Faults::default());
            faults.plan(number, fault);
            let known = live(folder.path(), &faults);
            check(folder.path(), &known, &format!("{fault:?} at {number}"));
        }
    });
}

#[test]
fn the_process_may_die_and_the_power_fail_at_any_operation() {
    for_every_operation(|number| {
        for (done, loss) in [
            (Done::Nothing, None),
            (Done::Half, None),
            (Done::All, None),
            match number % 2 {
                0 => (Done::All, Some(PowerLoss::Everything)),
                _ => (Done::Half, Some(PowerLoss::Some(number))),
            },
        ] {
            let (folder, faults) = (fast_folder(), Faults::default());
            faults.plan(number, Fault::Death(done));
            let known = live(folder.path(), &faults);
            if let Some(loss) = loss {
                faults.lose_power(loss).unwrap();
            }
            let what = format!("death at {number}, {done:?} done, lost {loss:?}");
            check(folder.path(), &known, &what);
        }
    });
}
