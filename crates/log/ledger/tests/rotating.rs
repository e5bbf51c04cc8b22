//! Keys that take over from one another.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{append, config_without_index, message, numbered, verify, verify_growth};
use fieldledger_ledger::{ControlError, Ledger, OpenError};
use fieldledger_verifier::entry::{EntryProof, hash_of};
use fieldledger_verifier::keys::{KeyError, successor};
use fieldledger_verifier::note::{LogKey, open};

fn open_ledger(folder: &Path) -> Ledger {
    Ledger::open(config_without_index(folder)).unwrap()
}

fn key(text: &str) -> LogKey {
    LogKey::parse(text).unwrap()
}

fn verifies(ledger: &Ledger, verifier_key: &str) -> bool {
    let checkpoint = ledger.checkpoint();
    let opened = open(&checkpoint.note, &key(verifier_key));
    opened.is_ok_and(|head| head.size == checkpoint.tree_size)
}

fn proof(ledger: &Ledger, index: u64) -> EntryProof {
    let proof = ledger.inclusion(index).unwrap();
    EntryProof {
        index,
        envelope: Some(proof.entry.envelope),
        leaf: proof.entry.leaf,
        inclusion_proof: proof.entry.proof,
        checkpoint: proof.checkpoint.note,
    }
}

/// The value of a name in the message of an entry.
fn told(ledger: &Ledger, entry: u64, name: &str) -> String {
    let message = message(&ledger.inclusion(entry).unwrap().entry);
    let details: serde_json::Value = serde_json::from_str(&message).unwrap();
    details[name].as_str().unwrap().to_owned()
}

#[test]
fn during_the_overlap_either_key_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open_ledger(folder.path());
    append(&ledger, numbered("p", 0, 3)).unwrap();
    let before = ledger.checkpoint();
    let old = before.verifier_key.clone();
    assert_eq!(before.verifier_keys, std::slice::from_ref(&old));

    let change = ledger.rotate_key("yearly", "the operator").unwrap();
    let new = change.new.clone();
    assert_eq!((change.entry, &change.old), (3, &old));
    let both = [old.clone(), new.clone()];
    assert_eq!(change.verifier_keys, both);
    append(&ledger, numbered("p", 3, 4)).unwrap();
    let during = ledger.checkpoint();
    assert_eq!(
        (&during.verifier_keys[..], &during.verifier_key),
        (&both[..], &new)
    );
    let signatures: Vec<&str> = during
        .note
        .lines()
        .filter(|line| line.starts_with('—'))
        .collect();
    assert_eq!(signatures.len(), 2, "{}", during.note);
    assert!(verifies(&ledger, &old) && verifies(&ledger, &new));
    verify_growth(&ledger, &before, &during);
    let refused = ledger.rotate_key("r", "a");
    assert!(
        matches!(refused, Err(ControlError::Refused(_))),
        "{refused:?}"
    );
    drop(ledger);

    let ledger = open_ledger(folder.path());
    assert!(verifies(&ledger, &old) && verifies(&ledger, &new));
    let change = ledger
        .retire_key("overlap is over", "the operator")
        .unwrap();
    assert_eq!((change.old, change.new), (old.clone(), new.clone()));
    for _ in 0..2 {
        assert_eq!(
            ledger.checkpoint().verifier_keys,
            std::slice::from_ref(&new)
        );
        assert!(!verifies(&ledger, &old) && verifies(&ledger, &new));
        append(&ledger, numbered("p", 4, 5)).unwrap();
    }
    for index in 0..ledger.checkpoint().tree_size {
        let proof = ledger.inclusion(index).unwrap();
        verify(&proof.entry, &proof.checkpoint);
    }
    let refused = ledger.retire_key("r", "a");
    assert!(
        matches!(refused, Err(ControlError::Refused(_))),
        "{refused:?}"
    );
    let mode = fs::metadata(folder.path().join("key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn trust_passes_along_the_entries_from_the_first_key_to_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open_ledger(folder.path());
    append(&ledger, numbered("p", 0, 3)).unwrap();
    let mut trusted = key(&ledger.checkpoint().verifier_key);
    let mut changes = Vec::new();
    for round in 0..3 {
        let added = ledger.rotate_key("r", "a").unwrap().entry;
        append(&ledger, numbered("q", round, round + 1)).unwrap();
        let retired = ledger.retire_key("r", "a").unwrap().entry;
        changes.push((added, retired));
    }
    drop(ledger);
    let ledger = open_ledger(folder.path());
    let newest = ledger.checkpoint().verifier_key;
    let stranger = {
        let folder = tempfile::tempdir().unwrap();
        key(&open_ledger(folder.path()).checkpoint().verifier_key)
    };
    let signer = key(&newest);
    for (added, retired) in changes {
        let bridge = told(&ledger, retired, "checkpoint");
        let signed = open(&bridge, &trusted).unwrap();
        let size = ledger.checkpoint().tree_size;
        let consistency = ledger.consistency(signed.size, size).unwrap();
        let hash = |text: &String| hash_of("consistency", text).unwrap();
        let consistency: Vec<_> = consistency.iter().map(hash).collect();
        let change = proof(&ledger, added);
        let next = successor(&trusted, &bridge, &change, &signer, &consistency).unwrap();

        let lies = successor(&stranger, &bridge, &change, &signer, &consistency);
        assert!(matches!(lies, Err(KeyError::Note(_))));
        let lies = successor(&trusted, &bridge, &proof(&ledger, 0), &signer, &consistency);
        assert!(matches!(lies, Err(KeyError::Entry { index: 0, .. })));
        let lies = successor(&trusted, &bridge, &change, &signer, &consistency[1..]);
        assert!(matches!(lies, Err(KeyError::Tree(_))));
        let mut other = change.clone();
        other.envelope = other.envelope.map(|text| text.replace("added", "edded"));
        let lies = successor(&trusted, &bridge, &other, &signer, &consistency);
        assert!(matches!(lies, Err(KeyError::Proof(_))));
        // An entry that the old key never saw.
        let late = successor(
            &trusted,
            &bridge,
            &proof(&ledger, retired),
            &signer,
            &consistency,
        );
        assert!(matches!(late, Err(KeyError::Entry { .. })));
        trusted = next;
    }
    assert!(open(&ledger.checkpoint().note, &trusted).is_ok());
}

/// What a crash leaves at each point of a rotation, with and without a snapshot.
#[test]
fn a_start_finishes_what_a_crash_left() {
    for with_snapshot in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("key");
        let crash = || {
            if !with_snapshot {
                fs::remove_file(folder.path().join("snapshot")).unwrap();
            }
        };
        let ledger = open_ledger(folder.path());
        append(&ledger, numbered("p", 0, 3)).unwrap();
        let old = ledger.checkpoint().verifier_key;
        drop(ledger);
        // After the new key was written, before any entry told of it.
        let other = tempfile::tempdir().unwrap();
        drop(open_ledger(other.path()));
        let first = fs::read_to_string(&key_file).unwrap();
        let second = fs::read_to_string(other.path().join("key")).unwrap();
        fs::write(&key_file, format!("{first}{second}")).unwrap();
        crash();
        let ledger = open_ledger(folder.path());
        let checkpoint = ledger.checkpoint();
        assert_eq!(
            (checkpoint.tree_size, checkpoint.verifier_keys.len()),
            (4, 2)
        );
        let new = checkpoint.verifier_key;
        assert_eq!(told(&ledger, 3, "new"), new);
        assert!(verifies(&ledger, &old) && verifies(&ledger, &new));
        drop(ledger);
        crash();
        assert_eq!(open_ledger(folder.path()).checkpoint().tree_size, 4);

        // After an entry told that the old key is retired, before it left the file.
        let both = fs::read_to_string(&key_file).unwrap();
        let ledger = open_ledger(folder.path());
        ledger.retire_key("r", "a").unwrap();
        drop(ledger);
        fs::write(&key_file, both).unwrap();
        crash();
        let ledger = open_ledger(folder.path());
        assert_eq!(
            ledger.checkpoint().verifier_keys,
            std::slice::from_ref(&new)
        );
        assert_eq!(ledger.checkpoint().tree_size, 5);
        drop(ledger);
        assert_eq!(fs::read_to_string(&key_file).unwrap(), second);

        // A retired key is never one of the log's again.
        fs::write(&key_file, &first).unwrap();
        let error = Ledger::open(config_without_index(folder.path())).unwrap_err();
        assert!(matches!(error, OpenError::Forked { .. }), "{error}");
    }
}

#[test]
fn a_key_file_without_the_newest_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open_ledger(folder.path());
    append(&ledger, numbered("p", 0, 3)).unwrap();
    let key_file = folder.path().join("key");
    let first = fs::read(&key_file).unwrap();
    let new = ledger.rotate_key("r", "a").unwrap().new;
    drop(ledger);
    fs::write(&key_file, first).unwrap();
    let error = Ledger::open(config_without_index(folder.path()))
        .unwrap_err()
        .to_string();
    assert!(error.contains(&new) && error.contains("entry 3"), "{error}");
}
