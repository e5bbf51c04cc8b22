//! A witness, and what it remembers.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use common::{append, fork_of, ledger, request, watching};
use fieldledger_chance::Numbers;
use fieldledger_cosigning::{Witness, WitnessError};
use fieldledger_ledger::Ledger;
use fieldledger_witness::{SignedCheckpoint, WatchedLogs, WitnessKey};
use rand::Rng as _;

const FOLDER: &str = "FIELDLEDGER_TEST_FOLDER";
const ABORT: &str = "FIELDLEDGER_TEST_ABORT";

fn open(folder: &Path, ledger: &Ledger) -> Witness {
    Witness::open(folder, "one.example/w", watching(ledger)).unwrap()
}

fn ask(witness: &Witness, ledger: &Ledger, old_size: u64) -> (u16, String) {
    let reply = witness.add_checkpoint(request(ledger, old_size).as_bytes());
    (reply.status, reply.body)
}

/// The one file below `logs`.
fn memory(folder: &Path) -> PathBuf {
    let mut files = fs::read_dir(folder.join("logs")).unwrap();
    let file = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    file
}

#[test]
fn what_is_cosigned_is_remembered_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let log = ledger(&folder.path().join("log"));
    let home = folder.path().join("witness");
    append(&log, &["a", "b"]);
    let witness = open(&home, &log);
    assert_eq!(witness.status().logs[0].size, 0);
    let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let (status, line) = ask(&witness, &log, 0);
    assert_eq!(status, 200, "{line}");
    let hash = name(memory(&home));
    let shown = witness.checkpoint(&hash).unwrap();
    assert_eq!(shown, format!("{}{line}", log.checkpoint().note));
    assert_eq!(witness.checkpoint(&hash.to_uppercase()), None);
    append(&log, &["c"]);
    assert_eq!(ask(&witness, &log, 1), (409, "2\n".to_owned()));
    drop(witness);

    let witness = open(&home, &log);
    assert_eq!(witness.checkpoint(&hash).unwrap(), shown);
    assert_eq!(ask(&witness, &log, 0), (409, "2\n".to_owned()));
    assert_eq!(ask(&witness, &log, 2).0, 200);
    let mode = fs::metadata(home.join("key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_fork_is_refused_and_the_proof_of_it_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log = ledger(&folder.path().join("log"));
    let fork = fork_of(&folder.path().join("log"), &folder.path().join("fork"));
    let home = folder.path().join("witness");
    append(&log, &["a", "b"]);
    append(&fork, &["x", "y"]);
    let witness = open(&home, &log);
    assert_eq!(ask(&witness, &log, 0).0, 200);
    assert_eq!(ask(&witness, &fork, 2).0, 422);
    append(&fork, &["z"]);
    assert_eq!(ask(&witness, &fork, 2).0, 422);
    let status = witness.status();
    assert_eq!((status.logs[0].size, status.logs[0].refused), (2, 2));
    assert!(!status.logs[0].problem.is_empty());
    // Both checkpoints are in the file: same size, other root, both signed.
    let proof = fs::read_dir(home.join("forks")).unwrap().next().unwrap();
    let proof = fs::read_to_string(proof.unwrap().path()).unwrap();
    let (first, second) = proof.split_once("\n\n\u{2014}").unwrap();
    assert!(first.contains("\n2\n"));
    let second = &second[second.find(&log.checkpoint().origin).unwrap()..];
    assert!(second.contains("\n2\n"), "{proof}");
    append(&log, &["c"]);
    assert_eq!(ask(&witness, &log, 2).0, 200, "the honest log goes on");
    assert!(witness.status().logs[0].problem.is_empty());
}

#[test]
fn requests_at_a_time_never_roll_back() {
    let folder = tempfile::tempdir().unwrap();
    let log = ledger(&folder.path().join("log"));
    let witness = open(&folder.path().join("witness"), &log);
    append(&log, &["a"]);
    let mut requests = vec![request(&log, 0)];
    for old_size in 1..60 {
        append(&log, &["more"]);
        requests.push(request(&log, old_size));
    }
    // Every thread pushes the whole history through; each step is cosigned once at least.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for request in &requests {
                    let before = witness.status().logs[0].size;
                    let reply = witness.add_checkpoint(request.as_bytes());
                    assert!(matches!(reply.status, 200 | 409), "{}", reply.body);
                    assert!(witness.status().logs[0].size >= before);
                }
            });
        }
    });
    assert_eq!(witness.status().logs[0].size, 60);
}

#[test]
fn a_memory_that_cannot_be_read_refuses_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = ledger(&folder.path().join("log"));
    let home = folder.path().join("witness");
    append(&log, &["a"]);
    let witness = open(&home, &log);
    assert_eq!(ask(&witness, &log, 0).0, 200);
    drop(witness);
    let path = memory(&home);
    let good = fs::read_to_string(&path).unwrap();
    let foreign = {
        let other = open(&folder.path().join("other"), &log);
        assert_eq!(ask(&other, &log, 0).0, 200);
        fs::read_to_string(memory(&folder.path().join("other"))).unwrap()
    };
    for bad in [
        "",
        "nonsense",
        &log.checkpoint().note,
        &foreign,
        &good[..good.len() - 20],
    ] {
        fs::write(&path, bad).unwrap();
        let witness = open(&home, &log);
        assert_eq!(ask(&witness, &log, 0).0, 500, "{bad:?}");
        assert!(witness.status().logs[0].problem.contains("restore it"));
        fs::write(&path, &good).unwrap();
        assert_eq!(ask(&witness, &log, 1).0, 200, "restored, without a restart");
    }
}

#[test]
fn nothing_is_cosigned_that_cannot_be_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let log = ledger(&folder.path().join("log"));
    let home = folder.path().join("witness");
    append(&log, &["a"]);
    let witness = open(&home, &log);
    assert_eq!(ask(&witness, &log, 0).0, 200);
    append(&log, &["b"]);
    // A folder where the next file is to be written.
    let obstacle = memory(&home).with_added_extension("tmp");
    fs::create_dir(&obstacle).unwrap();
    assert_eq!(ask(&witness, &log, 1).0, 500);
    assert!(!witness.status().logs[0].problem.is_empty());
    fs::remove_dir(&obstacle).unwrap();
    assert_eq!(ask(&witness, &log, 1).0, 200);
    assert_eq!(witness.status().logs[0].size, 2);
}

#[test]
fn a_witness_that_lost_its_memory_or_is_already_running_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let log = ledger(&folder.path().join("log"));
    let home = folder.path().join("witness");
    let witness = open(&home, &log);
    let open = |name: &str| Witness::open(&home, name, WatchedLogs::default()).map(drop);
    assert!(matches!(open("w"), Err(WitnessError::Locked(_))));
    drop(witness);
    for name in ["", "two words", "a+b"] {
        assert!(matches!(open(name), Err(WitnessError::Name(_))));
    }
    fs::remove_dir_all(home.join("logs")).unwrap();
    assert!(matches!(open("w"), Err(WitnessError::Forgotten(_))));
    fs::create_dir(home.join("logs")).unwrap();
    fs::write(home.join("key"), "short").unwrap();
    assert!(matches!(open("w"), Err(WitnessError::File(_))));
}

fn child(folder: &Path, abort: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "child_cosigns_until_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .stdout(Stdio::piped());
    if abort {
        command.env(ABORT, "1");
    }
    command.spawn().unwrap()
}

/// Grows a log and has it cosigned, and prints the size of each tree that was. Or dies after the
/// first, when the witness has written it down and nobody knows yet.
#[test]
#[ignore = "run by the tests below"]
fn child_cosigns_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let log = ledger(&folder.join("log"));
    let witness = open(&folder.join("witness"), &log);
    loop {
        append(&log, &["more"]);
        let old_size = witness.status().logs[0].size;
        let (status, body) = ask(&witness, &log, old_size);
        assert_eq!(status, 200, "{body}");
        if std::env::var_os(ABORT).is_some() {
            std::process::abort();
        }
        println!("cosigned {}", log.checkpoint().tree_size);
    }
}

#[test]
fn a_witness_killed_before_it_replies_has_cosigned() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = child(folder.path(), true);
    assert!(!child.wait().unwrap().success());
    let log = ledger(&folder.path().join("log"));
    let witness = open(&folder.path().join("witness"), &log);
    assert_eq!(witness.status().logs[0].size, 1);
    // The log never got its answer: the conflict tells it where to go on.
    assert_eq!(ask(&witness, &log, 0), (409, "1\n".to_owned()));
    assert_eq!(ask(&witness, &log, 1).0, 200);
    let fork = fork_of(&folder.path().join("log"), &folder.path().join("fork"));
    append(&fork, &["x"]);
    assert_eq!(ask(&witness, &fork, 1).0, 422);
}

#[test]
fn a_killed_witness_remembers_all_that_it_cosigned() {
    for seed in fieldledger_chance::each(&[1, 2]) {
        remembers_all_that_it_cosigned(seed.numbers());
    }
}

fn remembers_all_that_it_cosigned(mut moments: Numbers) {
    let folder = tempfile::tempdir().unwrap();
    let mut cosigned = 0;
    for _ in 0..3 {
        let mut child = child(folder.path(), false);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (enough, longer) = (moments.random_range(1..25), moments.random_range(0..5_000));
        let mut seen = 0;
        while seen < enough {
            let line = lines.next().expect("the child goes on").unwrap();
            if let Some((_, size)) = line.split_once("cosigned ") {
                cosigned = size.trim().parse().unwrap();
                seen += 1;
            }
        }
        // It may be anywhere in what it does for the next one.
        thread::sleep(Duration::from_micros(longer));
        child.kill().unwrap();
        for line in lines.map_while(Result::ok) {
            if let Some((_, size)) = line.split_once("cosigned ") {
                cosigned = size.trim().parse().unwrap_or(cosigned);
            }
        }
        child.wait().unwrap();
        let log = ledger(&folder.path().join("log"));
        let home = folder.path().join("witness");
        let witness = open(&home, &log);
        let remembered = witness.status().logs[0].size;
        assert!(remembered >= cosigned, "{remembered} < {cosigned}");
        let note = fs::read(memory_without_temporary(&home)).unwrap();
        let signed = SignedCheckpoint::parse(&note).unwrap();
        let key = WitnessKey::parse(&witness.status().key).unwrap();
        assert!(key.cosignature_on(&signed).is_ok());
        append(&log, &["after the crash"]);
        assert_eq!(ask(&witness, &log, remembered).0, 200);
    }
}

/// As [`memory`], beside what an interrupted write left.
fn memory_without_temporary(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder.join("logs")).unwrap();
    let mut files = files.map(|file| file.unwrap().path());
    files.find(|path| path.extension().is_none()).unwrap()
}
