//! Why an anchor did not move.

use crate::error::StoreError;

/// Why the anchor did not move.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnchorError {
    /// It could not be read or written. What is in it now may be unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It holds something else than this ledger left there.
    #[error(
        "{place} holds the tree head of {} while this ledger last put that of {} there: another \
         process writes the same log, or the anchor was replaced; stop the other, and if there is \
         none find out who changed it before this ledger is opened again",
        size_in_words(.found.as_deref()),
        size_in_words(.expected.as_deref())
    )]
    Changed {
        /// Where it is.
        place: String,
        /// What should be in it.
        expected: Option<Vec<u8>>,
        /// What is in it.
        found: Option<Vec<u8>>,
    },
    /// The new tree head would take entries back.
    #[error("a tree of {new} entries must not follow one of {old} in {place}")]
    Smaller {
        /// Where it is.
        place: String,
        /// Entries in the old tree.
        old: u64,
        /// Entries in the new tree.
        new: u64,
    },
}

/// Entries in the tree of a signed note: its second line.
pub(crate) fn size_of(note: &[u8]) -> Option<u64> {
    let line = note.split(|&byte| byte == b'\n').nth(1)?;
    std::str::from_utf8(line).ok()?.parse().ok()
}

fn size_in_words(note: Option<&[u8]>) -> String {
    match note {
        None => "no tree".to_owned(),
        Some(note) => size_of(note).map_or_else(
            || "something unreadable".to_owned(),
            |size| format!("a tree of {size} entries"),
        ),
    }
}
