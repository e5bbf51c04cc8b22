//! How trust passes from a log's old key to its new one.

use serde::Deserialize;

use crate::{
    Hash,
    entry::{EntryError, EntryProof},
    note::{self, LogKey, NoteError},
    tree::{self, TreeError},
};

/// Producer of the entries in which a log tells of its keys.
const KEY_PRODUCER: &str = "ledger/key";

/// Why a key is not to be trusted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// The entry is not one in which the log tells of its keys.
    #[error("entry {index} does not tell of a new key: {problem}")]
    Entry {
        /// The entry.
        index: u64,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The entry is not in the log.
    #[error("the entry about the new key is not proved")]
    Proof(#[from] EntryError),
    /// The old key signed no tree head that covers the entry.
    #[error("the tree head of the old key is not to be believed")]
    Note(#[from] NoteError),
    /// The log that the new key signs does not begin with the one that the old key signed.
    #[error("the log of the new key does not continue that of the old one")]
    Tree(#[from] TreeError),
}

#[derive(Deserialize)]
struct Envelope {
    event: Event,
    producer: String,
}

#[derive(Deserialize)]
struct Event {
    message: String,
}

#[derive(Deserialize)]
struct Change {
    new: String,
}

/// The key that an entry of the log names as new, once it is certain that the holder of `old` signed
/// a log with that entry in it.
///
/// `bridge` is a note that `old` signed and that covers the entry, such as the one in the entry that
/// retires `old`. `change` is the entry, with its proof in a tree head that `signer` signed; it need
/// not be trusted, because `consistency`, the proof from the tree of the note to that tree, ties the
/// entry to what `old` signed. So the newest tree head does for every step from the first key on.
///
/// # Errors
/// [`KeyError`] names the first link that does not hold.
pub fn successor(
    old: &LogKey,
    bridge: &str,
    change: &EntryProof,
    signer: &LogKey,
    consistency: &[Hash],
) -> Result<LogKey, KeyError> {
    let wrong = |problem| KeyError::Entry {
        index: change.index,
        problem,
    };
    let signed = note::open(bridge, old)?;
    let envelope = change.envelope.as_deref().unwrap_or_default();
    let envelope: Envelope =
        serde_json::from_str(envelope).map_err(|_| wrong("its envelope cannot be read"))?;
    if envelope.producer != KEY_PRODUCER {
        return Err(wrong("its producer is not the log itself"));
    }
    let told: Change = serde_json::from_str(&envelope.event.message)
        .map_err(|_| wrong("its message names no key"))?;
    let new = LogKey::parse(&told.new)?;
    if new.name() != old.name() {
        return Err(wrong("the key is that of another log"));
    }
    let head = change.verify(signer)?.head;
    if change.index >= signed.size {
        return Err(wrong("the old key signed no tree with it"));
    }
    tree::verify_consistency(
        signed.size,
        &signed.root,
        head.size,
        &head.root,
        consistency,
    )?;
    Ok(new)
}
