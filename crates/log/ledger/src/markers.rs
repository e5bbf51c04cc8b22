//! What entries of the log say of other entries: that they were erased or given up, and which keys
//! sign.

use std::ops::Range;

use fieldledger_contract::ledger::RetentionScope;
use fieldledger_formats::envelope::Envelope;
use fieldledger_formats::own::{self, OwnKind};
use fieldledger_reading::record::ACTION;
use serde::{Deserialize, Serialize};

/// What entries that a start has read say of other entries.
#[derive(Debug, Default)]
pub(crate) struct Markers {
    /// Entries that must be erased, each with the entry that says so.
    pub(crate) erasures: Vec<(u64, u64)>,
    /// What is given up.
    pub(crate) retentions: Vec<GivenUp>,
    /// Entries without payload, with the entry that is said to tell of it.
    pub(crate) gone: Gone,
    /// The newest entry about the keys that sign.
    pub(crate) key_entry: Option<u64>,
}

/// What an entry says is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GivenUp {
    /// The entry; its sequence is its position.
    pub(crate) marker: u64,
    /// The first entry that is not given up.
    pub(crate) below: u64,
    pub(crate) scope: RetentionScope,
}

/// Whether an entry stays whole where this is given up.
pub(crate) fn keeps(scope: RetentionScope, envelope: &Envelope<'_>) -> bool {
    envelope.is_own() || scope == RetentionScope::Readings && envelope.event().action != ACTION
}

/// What is given up because of an entry of the log at `marker`; none where it is not such an entry.
pub(crate) fn given_up_by(marker: u64, envelope: &Envelope<'_>) -> Option<GivenUp> {
    if envelope.origin() != Some((OwnKind::Retention.producer(), marker)) {
        return None;
    }
    let details = own::details_in(envelope.event().message)?;
    Some(GivenUp {
        marker,
        below: details.get("below")?.as_u64()?,
        scope: details.get("scope")?.as_str()?.parse().ok()?,
    })
}

/// Entries without payload: runs of them that one entry is said to tell of. Most are given up by
/// hundreds of thousands at once.
#[derive(Debug, Default)]
pub(crate) struct Gone(Vec<(Range<u64>, u64)>);

impl Gone {
    /// Entry `index`, which follows all that were noted, is gone; `marker` is said to tell of it.
    /// True where a run begins.
    pub(crate) fn note(&mut self, index: u64, marker: u64) -> bool {
        match self.0.last_mut() {
            Some((run, its_marker)) if run.end == index && *its_marker == marker => {
                run.end += 1;
                false
            }
            _ => {
                self.0.push((index..index + 1, marker));
                true
            }
        }
    }

    /// The runs, in order, each with the entry that is said to tell of it.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (Range<u64>, u64)> {
        self.0.iter().cloned()
    }
}

/// Up to which entry payloads may be gone because of an entry of the log at `marker`; none where it
/// is not such an entry. An erasure is about one entry, which is then in the range.
pub(crate) fn explained_by(marker: u64, envelope: &Envelope<'_>) -> Option<Range<u64>> {
    let (producer, sequence) = envelope.origin()?;
    if producer == OwnKind::Erasure.producer() {
        return Some(sequence..sequence + 1);
    }
    given_up_by(marker, envelope).map(|given_up| 0..given_up.below)
}
