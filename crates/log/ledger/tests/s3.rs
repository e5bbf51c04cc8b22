//! Anchor and archive in a server that speaks S3.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{append, config_without_index, copy_files, entries, numbered, verify};
use fieldledger_ledger::{AnchorPlace, AppendError, Config, Ledger, ObjectFolder, OpenError, fsck};
use fieldledger_site::find_moto_server;
use futures::executor::block_on;

/// Moto's server, killed when dropped.
struct Moto {
    child: Child,
    address: SocketAddr,
}

impl Moto {
    fn start() -> Self {
        // It cannot be told to choose a port itself; who else takes this one makes it end at once.
        loop {
            let address = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap();
            let mut child = Command::new(find_moto_server().unwrap())
                .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let started = Instant::now();
            while child.try_wait().unwrap().is_none() {
                if TcpStream::connect(address).is_ok() {
                    return Self { child, address };
                }
                assert!(
                    started.elapsed() < Duration::from_secs(120),
                    "moto does not start"
                );
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Makes a bucket; the server asks for no signature.
    fn bucket(&self, name: &str) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let request = format!(
            "PUT /{name} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    fn folder(&self, url: &str) -> ObjectFolder {
        let endpoint = format!("http://{}", self.address);
        let settings = [
            ("aws_endpoint", endpoint.as_str()),
            ("aws_allow_http", "true"),
            ("aws_region", "us-east-1"),
            ("aws_access_key_id", "test"),
            ("aws_secret_access_key", "test"),
        ];
        ObjectFolder::open(url, settings).unwrap()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn config(folder: &Path, moto: &Moto) -> Config {
    let mut config = config_without_index(folder);
    config.anchor = AnchorPlace::Objects(moto.folder("s3://anchors/plant"));
    config.archive = Some(moto.folder("s3://archive/plant/log"));
    config.local_segments = Some(1);
    config.segment_bytes = 10_000;
    config
}

#[test]
fn a_log_is_anchored_and_archived_in_s3() {
    let moto = Moto::start();
    moto.bucket("anchors");
    moto.bucket("archive");
    let folder = tempfile::tempdir().unwrap();
    let (log, copy) = (folder.path().join("log"), folder.path().join("copy"));
    let ledger = Ledger::open(config(&log, &moto)).unwrap();
    for batch in 0..30 {
        append(&ledger, numbered("p", batch * 20, (batch + 1) * 20)).unwrap();
    }
    let started = Instant::now();
    loop {
        let status = ledger.archive_status().unwrap();
        let local = fs::read_dir(log.join("segments")).unwrap().count();
        // One that is full and one that is written to; another full one may wait for its turn.
        if status.removed > 4 && status.segments == status.removed + 1 && local == 2 {
            break;
        }
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "{status:?}, {local} segments on the disk"
        );
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(entries(&ledger).len(), 600);
    for index in (0..600).step_by(40) {
        let proof = ledger.inclusion(index).unwrap();
        verify(&proof.entry, &proof.checkpoint);
    }
    drop(ledger);
    let report = fsck::check(&config(&log, &moto), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:#?}", report.findings);
    assert_eq!(report.signed_size, Some(600));
    assert_eq!(report.anchor, "s3://anchors/plant/checkpoint");

    // A copy on another machine shares the anchor, but no lock: one of the two goes on.
    copy_files(&log, &copy);
    let ledger = Ledger::open(config(&log, &moto)).unwrap();
    let mut of_copy = config(&copy, &moto);
    of_copy.archive = Some(moto.folder("s3://archive/plant/log"));
    let other = Ledger::open(of_copy.clone()).unwrap();
    append(&other, numbered("other", 0, 3)).unwrap();
    for _ in 0..2 {
        let Err(AppendError::Unavailable(reason)) = append(&ledger, numbered("late", 0, 2)) else {
            panic!("two histories of one log");
        };
        assert!(reason.contains("a tree of 603 entries"), "{reason}");
        assert!(reason.contains("s3://anchors/plant/checkpoint"), "{reason}");
    }
    append(&other, numbered("other", 3, 5)).unwrap();
    drop((ledger, other));
    let error = Ledger::open(config(&log, &moto)).unwrap_err();
    assert!(matches!(error, OpenError::Forked { .. }), "{error}");
    let other = Ledger::open(of_copy).unwrap();
    assert_eq!(other.checkpoint().tree_size, 605);
    assert_eq!(entries(&other).len(), 605);
}

/// While the server does not answer, callers wait, and nothing is signed; when it does, all goes on.
#[test]
fn a_commit_waits_for_its_anchor() {
    let moto = Moto::start();
    moto.bucket("anchors");
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&folder.path().join("log"), &moto);
    config.archive = None;
    let ledger = Ledger::open(config).unwrap();
    append(&ledger, numbered("p", 0, 10)).unwrap();
    moto.signal("-STOP");
    let waiting = ledger.append(numbered("p", 10, 20));
    // Time enough for a ledger that does not wait.
    thread::sleep(Duration::from_millis(300));
    assert_eq!(ledger.checkpoint().tree_size, 10);
    moto.signal("-CONT");
    assert_eq!(block_on(waiting).unwrap().tree_size, 20);
    assert_eq!(
        append(&ledger, numbered("p", 0, 20)).unwrap().duplicates,
        20
    );
}

/// A ledger can be closed though its anchor cannot be reached; who waited was told nothing.
#[test]
fn a_ledger_closes_without_its_anchor() {
    let mut moto = Moto::start();
    moto.bucket("anchors");
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&folder.path().join("log"), &moto);
    config.archive = None;
    let ledger = Ledger::open(config).unwrap();
    append(&ledger, numbered("p", 0, 10)).unwrap();
    moto.child.kill().unwrap();
    moto.child.wait().unwrap();
    let waiting = ledger.append(numbered("p", 10, 20));
    ledger.close();
    let error = block_on(waiting).unwrap_err();
    assert!(matches!(&error, AppendError::Unavailable(_)), "{error}");
    assert_eq!(ledger.checkpoint().tree_size, 10);
}
