//! Sealed segments move to an object store, and the log does not notice.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{
    append, config_without_index, entries, numbered, query, verify, verify_growth, wait_for_index,
};
use fieldledger_ledger::fsck::{self, FindingKind, Severity};
use fieldledger_ledger::{
    AnchorPlace, ArchiveStatus, Config, Done, Fault, Faults, Ledger, ObjectFolder, RestoreMode,
    backup, restore,
};

/// A ledger in `folder/log` that keeps two sealed segments on its disk.
fn config(folder: &Path, archive: &ObjectFolder) -> Config {
    let mut config = config_without_index(&folder.join("log"));
    config.segment_bytes = 10_000;
    config.archive = Some(archive.clone());
    config.local_segments = Some(2);
    config
}

fn local_folder(folder: &Path) -> ObjectFolder {
    let url = format!("file://{}/archive", folder.display());
    url.parse().unwrap()
}

fn segments(folder: &Path) -> usize {
    fs::read_dir(folder.join("log/segments")).unwrap().count()
}

/// Waits until all but the newest two sealed segments are in the archive only.
fn wait_for_archive(ledger: &Ledger, folder: &Path) -> ArchiveStatus {
    let started = Instant::now();
    loop {
        let status = ledger.archive_status().unwrap();
        if segments(folder) == 3 && status.segments == status.removed + 2 {
            return status;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{status:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn filled(config: &Config) -> Ledger {
    let ledger = Ledger::open(config.clone()).unwrap();
    for batch in 0..35 {
        append(&ledger, numbered("p", batch * 20, (batch + 1) * 20)).unwrap();
    }
    ledger
}

fn assert_whole(ledger: &Ledger) {
    let found = entries(ledger);
    assert_eq!(found.len(), 700);
    for (index, entry) in found.iter().enumerate() {
        assert_eq!(common::message(entry), format!("event {index} of p"));
    }
    for index in (0..700).step_by(23) {
        let proof = ledger.inclusion(index).unwrap();
        verify(&proof.entry, &proof.checkpoint);
    }
    assert_eq!(
        append(ledger, numbered("p", 0, 700)).unwrap().duplicates,
        700
    );
}

#[test]
fn what_is_archived_is_still_read_proven_and_searched() {
    for kind in ["memory", "folder"] {
        let folder = tempfile::tempdir().unwrap();
        let archive = match kind {
            "memory" => ObjectFolder::in_memory("archive").unwrap(),
            _ => local_folder(folder.path()),
        };
        let mut config = config(folder.path(), &archive);
        config.index = true;
        let ledger = filled(&config);
        let early = ledger.checkpoint();
        let status = wait_for_archive(&ledger, folder.path());
        assert!(
            status.removed > 5 && status.problem.is_empty(),
            "{status:?}"
        );
        assert!(status.entries > 500 && status.bytes > 50_000, "{status:?}");
        assert_whole(&ledger);
        // What was full and is archived is no longer on the disk.
        let tiles = fs::read(folder.path().join("log/tile/level-0")).unwrap();
        assert!(tiles[..8_192].iter().all(|byte| *byte == 0));
        wait_for_index(&ledger);
        assert_eq!(ledger.search(&query("event")).unwrap().count, 700);
        drop(ledger);

        // Everything that is derived goes: recovery and the index read the archive.
        for name in ["snapshot", "offsets", "archived"] {
            fs::remove_file(folder.path().join("log").join(name)).unwrap();
        }
        for name in ["index", "tile"] {
            fs::remove_dir_all(folder.path().join("log").join(name)).unwrap();
        }
        let ledger = Ledger::open(config.clone()).unwrap();
        let recovery = ledger.status().recovery;
        assert!(
            recovery.contains("read the last 700 of them again"),
            "{recovery}"
        );
        assert_whole(&ledger);
        verify_growth(&ledger, &early, &ledger.checkpoint());
        wait_for_index(&ledger);
        assert_eq!(ledger.search(&query("event")).unwrap().count, 700);
        drop(ledger);

        let report = fsck::check(&config, &mut |_| {}).unwrap();
        assert!(report.is_clean(), "{:#?}", report.findings);
        assert_eq!(report.entries, 700);
    }
}

/// A site that lost its disk, but not key, anchor, archive and newest segments.
#[test]
fn a_lost_disk_is_made_up_for_by_the_archive() {
    let folder = tempfile::tempdir().unwrap();
    let archive = ObjectFolder::in_memory("archive").unwrap();
    let mut config = config(folder.path(), &archive);
    config.anchor = AnchorPlace::Objects(ObjectFolder::in_memory("anchor").unwrap());
    let ledger = filled(&config);
    wait_for_archive(&ledger, folder.path());
    drop(ledger);
    let new = tempfile::tempdir().unwrap();
    fs::create_dir_all(new.path().join("log/segments")).unwrap();
    fs::copy(folder.path().join("log/key"), new.path().join("log/key")).unwrap();
    let last = fs::read_dir(folder.path().join("log/segments")).unwrap();
    let last = last.map(|item| item.unwrap().file_name()).max().unwrap();
    let name = Path::new("log/segments").join(&last);
    fs::copy(folder.path().join(&name), new.path().join(&name)).unwrap();
    config.folder = new.path().join("log");
    let ledger = Ledger::open(config).unwrap();
    assert_whole(&ledger);
}

#[test]
fn a_changed_object_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let archive = local_folder(folder.path());
    let config = config(folder.path(), &archive);
    let ledger = filled(&config);
    wait_for_archive(&ledger, folder.path());
    drop(ledger);
    let object = folder
        .path()
        .join("archive/segments/00000000000000000000.seg");
    let mut bytes = fs::read(&object).unwrap();
    bytes[100] ^= 1;
    fs::write(&object, bytes).unwrap();
    let report = fsck::check(&config, &mut |_| {}).unwrap();
    assert_eq!(report.worst(), Some(Severity::Damage));
    let kinds: Vec<FindingKind> = report.findings.iter().map(|finding| finding.kind).collect();
    assert!(
        kinds.contains(&FindingKind::Frame) && kinds.contains(&FindingKind::Archive),
        "{kinds:?}"
    );
    let elsewhere = report.findings.iter().find(|finding| {
        let file = finding.file.to_string_lossy();
        !file.ends_with("archive/segments/00000000000000000000.seg")
    });
    assert_eq!(elsewhere, None);
    let ledger = Ledger::open(config.clone()).unwrap();
    let error = ledger.inclusion(0).unwrap_err();
    assert!(error.to_string().contains("archive/segments"), "{error}");
    assert!(ledger.inclusion(600).is_ok());
    drop(ledger);

    fs::remove_file(&object).unwrap();
    let report = fsck::check(&config, &mut |_| {}).unwrap();
    let missing = &report.findings[0];
    assert_eq!((missing.kind, missing.entry), (FindingKind::Frame, Some(0)));
    assert!(missing.problem.contains("missing"), "{missing:?}");
}

/// Wherever the process dies, a segment is on the disk or in the archive, and found again.
#[test]
fn the_process_may_die_while_it_archives() {
    let operations = {
        let (folder, faults) = (tempfile::tempdir().unwrap(), Faults::default());
        let archive = ObjectFolder::in_memory("archive").unwrap();
        let mut config = config(folder.path(), &archive);
        config.faults = Some(faults.clone());
        let ledger = filled(&config);
        wait_for_archive(&ledger, folder.path());
        drop(ledger);
        faults.calls()
    };
    for number in (1..operations).step_by(7) {
        let folder = tempfile::tempdir().unwrap();
        let archive = ObjectFolder::in_memory("archive").unwrap();
        let ledger = filled(&config(folder.path(), &archive));
        let faults = Faults::default();
        drop(ledger);
        let mut dying = config(folder.path(), &archive);
        dying.faults = Some(faults.clone());
        faults.plan(
            number,
            Fault::Death([Done::Nothing, Done::Half, Done::All][number as usize % 3]),
        );
        if let Ok(ledger) = Ledger::open(dying) {
            let started = Instant::now();
            while ledger.archive_status().unwrap().problem.is_empty()
                && segments(folder.path()) > 3
                && started.elapsed() < Duration::from_secs(20)
            {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let ledger = Ledger::open(config(folder.path(), &archive)).unwrap();
        assert_whole(&ledger);
        wait_for_archive(&ledger, folder.path());
        assert_whole(&ledger);
    }
}

/// What is erased is gone from the archive as well, and its segment is archived anew.
#[test]
fn an_archived_entry_can_be_erased() {
    let folder = tempfile::tempdir().unwrap();
    let archive = local_folder(folder.path());
    let config = config(folder.path(), &archive);
    let ledger = filled(&config);
    wait_for_archive(&ledger, folder.path());
    let object = folder
        .path()
        .join("archive/segments/00000000000000000000.seg");
    let local = folder.path().join("log/segments/00000000000000000000.seg");
    let has_payload = |path: &Path| {
        let bytes = fs::read(path).unwrap_or_default();
        bytes.windows(14).any(|window| window == b"event 3 of p\"}")
    };
    assert!(has_payload(&object) && !local.exists());
    ledger.erase(3, "asked", "test").unwrap();
    assert!(!has_payload(&object) && !has_payload(&local));
    wait_for_archive(&ledger, folder.path());
    assert!(object.is_file() && !has_payload(&object) && !local.exists());
    assert!(ledger.inclusion(3).unwrap().entry.removed.is_some());
    let neighbour = ledger.inclusion(4).unwrap();
    verify(&neighbour.entry, &neighbour.checkpoint);
    drop(ledger);
    fs::remove_file(folder.path().join("log/snapshot")).unwrap();
    let ledger = Ledger::open(config.clone()).unwrap();
    assert!(ledger.inclusion(3).unwrap().entry.removed.is_some());
    drop(ledger);
    let report = fsck::check(&config, &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:#?}", report.findings);
}

#[test]
fn a_backup_has_what_is_archived_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &local_folder(folder.path()));
    let ledger = filled(&config);
    wait_for_archive(&ledger, folder.path());
    ledger.erase(5, "r", "a").unwrap();
    let target = folder.path().join("backup");
    let report = backup(&config, &target, false, &mut |_, _, _| ()).unwrap();
    assert_eq!((report.backup.tree_size, report.erased), (701, 0));
    let mut copy = config_without_index(&folder.path().join("copy"));
    copy.anchor = config.anchor.clone();
    restore(
        &target,
        &copy,
        None,
        RestoreMode::ReadOnly,
        &mut |_, _, _| (),
    )
    .unwrap();
    let copy = Ledger::open(copy).unwrap();
    for index in (0..701).step_by(23).chain([5]) {
        let proof = copy.inclusion(index).unwrap();
        verify(&proof.entry, &proof.checkpoint);
        assert_eq!(proof.entry.removed.is_some(), index == 5);
    }
}
