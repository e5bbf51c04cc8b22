//! What several tests of the ledger need.
#![allow(clippy::unwrap_used, dead_code)]

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fieldledger_ledger::{
    AnchorPlace, AppendError, Checkpoint, Config, Entry, EventColumns, Ledger, Order, SearchQuery,
    Written,
};
use fieldledger_verifier::entry::{EntryProof, hash_of};
use fieldledger_verifier::note::LogKey;
use fieldledger_verifier::tree::verify_consistency;
use futures::executor::block_on;
use sha2::{Digest, Sha256};

/// Settings under which little happens by itself.
pub(crate) fn config(folder: &Path) -> Config {
    let mut config = Config::new(folder);
    // Within the folder, so that a test which copies it copies the whole ledger.
    config.anchor = AnchorPlace::Folder(folder.join("anchor"));
    config.index_interval_ms = 5;
    config.lock_wait_ms = 2_000;
    config.publication = None;
    config
}

pub(crate) fn config_without_index(folder: &Path) -> Config {
    let mut config = config(folder);
    config.index = false;
    config
}

/// Flips these bits of one byte of a file.
pub(crate) fn flip(path: &Path, offset: u64, bits: u8) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ bits], offset).unwrap();
}

/// Events of producer `producer` with the sequences `from..to`.
pub(crate) fn numbered(producer: &str, from: u64, to: u64) -> EventColumns {
    EventColumns {
        producer: (from..to).map(|_| producer.to_owned()).collect(),
        sequence: (from..to).collect(),
        message: (from..to)
            .map(|number| format!("event {number} of {producer}"))
            .collect(),
        ..EventColumns::default()
    }
}

/// A reading as the sensor reader would log it.
pub(crate) fn reading(sensor: &str, polled_at: u64, value: Option<f64>) -> EventColumns {
    let (quality, status) = match value {
        Some(_) => ("Good", "SUCCESS"),
        None => ("BadNoCommunication", "COMM_ERROR"),
    };
    let value = value.map_or(String::new(), |value| format!(r#","value":"{value}""#));
    let message = format!(
        r#"{{"poll":"e/{polled_at}","polled_at":{polled_at},"quality":"{quality}","received_at":{polled_at},"unit":"Cel"{value}}}"#
    );
    EventColumns {
        message: vec![message],
        action: vec!["SENSOR_READING".to_owned()],
        actor: vec!["TempSensor01".to_owned()],
        source: vec![sensor.to_owned()],
        status: vec![status.to_owned()],
        target: vec!["Hall 3".to_owned()],
        ..EventColumns::default()
    }
}

/// Readings with the device's own numbers, polled a second apart.
pub(crate) fn counted(
    sensor: &str,
    boot: &str,
    numbers: impl IntoIterator<Item = u64>,
) -> EventColumns {
    let mut events = EventColumns::default();
    for number in numbers {
        let polled_at = 1_767_323_045_000_000 + number % 1_000_000 * 1_000_000;
        events.message.push(format!(
            r#"{{"boot":"{boot}","device_at":{},"poll":"e/{number}","polled_at":{polled_at},"quality":"Good","received_at":{polled_at},"seq":{number},"unit":"Cel","value":"1"}}"#,
            polled_at + 7,
        ));
        events.producer.push(format!("reading/{sensor}/{boot}"));
        events.sequence.push(number);
        events.action.push("SENSOR_READING".to_owned());
        events.source.push(sensor.to_owned());
        events.status.push("SUCCESS".to_owned());
    }
    events.actor = vec!["TempSensor01".to_owned(); events.message.len()];
    events
}

pub(crate) fn append(ledger: &Ledger, events: EventColumns) -> Result<Written, AppendError> {
    block_on(ledger.append(events))
}

pub(crate) fn all() -> SearchQuery {
    SearchQuery {
        query: String::new(),
        start: None,
        end: None,
        order: Order::Ascending,
        order_by: None,
        limit: 1_000,
        max_results: 10_000,
        restriction: Vec::new(),
        verbose: false,
    }
}

pub(crate) fn query(text: &str) -> SearchQuery {
    SearchQuery {
        query: text.to_owned(),
        ..all()
    }
}

/// Every entry of the log, read page by page.
pub(crate) fn entries(ledger: &Ledger) -> Vec<Entry> {
    let mut page = ledger.search(&all()).unwrap();
    let mut entries = std::mem::take(&mut page.entries);
    while (entries.len() as u64) < page.count {
        let offset = u32::try_from(entries.len()).unwrap();
        entries.extend(ledger.page(&page.id, offset, 1_000).unwrap().entries);
    }
    entries
}

pub(crate) fn indices(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.index).collect()
}

/// Waits until the index has seen the whole log.
pub(crate) fn wait_for_index(ledger: &Ledger) {
    let started = Instant::now();
    loop {
        let status = ledger.status();
        if status.indexed_size == status.tree_size {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{status:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Checks an entry with its proof, from the envelope up to the signature, with code that the ledger
/// does not share.
pub(crate) fn verify(entry: &Entry, checkpoint: &Checkpoint) {
    let proof = EntryProof {
        index: entry.index,
        envelope: entry.removed.is_none().then(|| entry.envelope.clone()),
        leaf: entry.leaf.clone(),
        inclusion_proof: entry.proof.clone(),
        checkpoint: checkpoint.note.clone(),
    };
    let key = LogKey::parse(&checkpoint.verifier_key).unwrap();
    let verified = proof.verify(&key).unwrap();
    assert_eq!(verified.head.size, checkpoint.tree_size);
    let root = BASE64_STANDARD.encode(verified.head.root);
    assert_eq!(root, checkpoint.root_hash);
    assert_eq!(verified.envelope_checked, entry.removed.is_none());
    if entry.removed.is_none() {
        let envelope_hash = BASE64_STANDARD.encode(Sha256::digest(&entry.envelope));
        assert_eq!(entry.envelope_hash, envelope_hash);
    }
}

/// Checks that the tree of `new` begins with that of `old`, with code that the ledger does not share.
pub(crate) fn verify_growth(ledger: &Ledger, old: &Checkpoint, new: &Checkpoint) {
    let proof = ledger.consistency(old.tree_size, new.tree_size).unwrap();
    let hash = |text: &String| hash_of("consistency", text).unwrap();
    let proof: Vec<fieldledger_verifier::Hash> = proof.iter().map(hash).collect();
    let (old_root, new_root) = (hash(&old.root_hash), hash(&new.root_hash));
    verify_consistency(old.tree_size, &old_root, new.tree_size, &new_root, &proof).unwrap();
}

/// The message of the event in an entry.
pub(crate) fn message(entry: &Entry) -> String {
    let envelope: serde_json::Value = serde_json::from_str(&entry.envelope).unwrap();
    envelope["event"]["message"].as_str().unwrap().to_owned()
}

/// Copies what is in a folder into another, which is created if it is missing.
pub(crate) fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let source = item.unwrap().path();
        let target = to.join(source.file_name().unwrap());
        if source.is_dir() {
            copy_files(&source, &target);
        } else {
            fs::copy(&source, &target).unwrap();
        }
    }
}
