//! `fieldledger fsck` on a log in order, one that was changed, and one that is open.
#![allow(clippy::unwrap_used)]

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Output};

use fieldledger_ledger::{Config, EventColumns, Ledger};
use serde_json::Value;

fn fsck(folder: &Path, arguments: &[&str]) -> (Option<i32>, Output) {
    let output = Command::new(env!("CARGO_BIN_EXE_fieldledger"))
        .arg("fsck")
        .arg(folder)
        .args(arguments)
        .output()
        .unwrap();
    (output.status.code(), output)
}

fn json(folder: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let (code, output) = fsck(folder, &[arguments, &["--json"]].concat());
    (code, serde_json::from_slice(&output.stdout).unwrap())
}

fn config(folder: &Path) -> Config {
    let mut config = Config::new(folder);
    config.index = false;
    config
}

fn flip(path: &Path, offset: u64) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

#[test]
fn a_log_is_checked_and_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let ledger = Ledger::open(config(&log)).unwrap();
    let events = EventColumns {
        message: (0..300).map(|number| format!("event {number}")).collect(),
        ..EventColumns::default()
    };
    futures::executor::block_on(ledger.append(events)).unwrap();
    let (code, report) = json(&log, &[]);
    assert_eq!(
        (code, &report["in_use"]),
        (Some(0), &Value::Bool(true)),
        "{report}"
    );
    drop(ledger);

    let (code, report) = json(&log, &[]);
    assert_eq!(
        (code, &report["clean"]),
        (Some(0), &Value::Bool(true)),
        "{report}"
    );
    assert_eq!(
        (&report["entries"], &report["signed_size"]),
        (&300.into(), &300.into())
    );

    flip(&log.join("tile/level-0"), 40);
    let (code, report) = json(&log, &[]);
    assert_eq!(code, Some(1));
    let finding = &report["findings"][0];
    assert_eq!(
        (&finding["kind"], &finding["entry"]),
        (&"tile".into(), &1.into()),
        "{report}"
    );
    let (code, report) = json(&log, &["--repair"]);
    assert_eq!(code, Some(0));
    assert_eq!(report["repaired"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(json(&log, &[]).0, Some(0));

    let segment = log.join("segments/00000000000000000000.seg");
    flip(&segment, 2_000);
    let (code, output) = fsck(&log, &[]);
    assert_eq!(code, Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    for part in [
        segment.to_str().unwrap(),
        "damage",
        "entry",
        "restore",
        "damaged",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    // Damage is nothing that could be repaired.
    assert_eq!(json(&log, &["--repair"]).0, Some(1));
}

#[test]
fn what_is_no_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (code, output) = fsck(folder.path(), &[]);
    assert_eq!(code, Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no log"));
    assert_eq!(fsck(folder.path(), &["--archive", "nowhere"]).0, Some(2));
}
