//! What the log's entries add up to.

use std::sync::Arc;

use fieldledger_formats::envelope::{Envelope, EnvelopeError};
use fieldledger_formats::frame::Frame;
use fieldledger_formats::own::OwnKind;
use fieldledger_tlog::{Edge, Leaf};

use crate::claims::{Claim, Recent};
use crate::gaps::{Gaps, Noted, Place, noted_in, noted_in_erased};
use crate::grower::Grower;
use crate::markers::{Markers, given_up_by};
use crate::producers::Producers;
use crate::readings::{Latest, reading_and_told};
use crate::store::tiles::TileStore;

/// What the entries up to a size add up to.
pub(crate) struct State {
    pub(crate) grower: Grower,
    pub(crate) producers: Producers,
    pub(crate) latest: Latest,
    pub(crate) gaps: Gaps,
    /// What the newest readings with numbers say.
    pub(crate) recent: Recent,
    pub(crate) received_at: u64,
    /// What the entries that were read say of other entries.
    pub(crate) markers: Markers,
}

/// Why an entry cannot be one of the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum EntryFault {
    /// Its envelope is not one.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Its event was there before.
    #[error("the event {sequence} of {producer:?} is there a second time")]
    Duplicate {
        /// Who numbers it.
        producer: String,
        /// Its number.
        sequence: u64,
    },
}

impl State {
    /// That of an empty log.
    pub(super) fn empty(tiles: Arc<TileStore>) -> Self {
        Self {
            grower: Grower::new(Edge::default(), tiles),
            producers: Producers::default(),
            latest: Latest::default(),
            gaps: Gaps::default(),
            recent: Recent::default(),
            received_at: 0,
            markers: Markers::default(),
        }
    }

    /// Takes an entry into account.
    pub(super) fn apply(&mut self, frame: Frame<'_>, index: u64) -> Result<(), EntryFault> {
        let leaf = frame.leaf(index)?;
        match frame {
            Frame::Envelope(bytes) => {
                let envelope = Envelope::parse(bytes)?;
                self.note_origin(envelope.origin(), index)?;
                let event = envelope.event();
                let reading = reading_and_told(&event, index, leaf.received_at);
                if let Some(origin) = envelope.origin() {
                    let told = reading.as_ref().map(|(_, told)| told);
                    self.note_gaps(origin, noted_in(&event, origin.0, told), &leaf);
                    if let Some(claim) = told.and_then(|told| Claim::of(origin.0, told)) {
                        self.recent.note(origin.1, &claim);
                    }
                }
                if let Some((reading, _)) = reading {
                    self.latest.update(reading);
                }
                if let Some(given_up) = given_up_by(index, &envelope) {
                    self.latest.forget_below(given_up.below);
                    self.markers.retentions.push(given_up);
                }
            }
            Frame::Erased(erased) => {
                self.note_origin(erased.origin, index)?;
                if let Some(origin) = erased.origin {
                    self.note_gaps(origin, noted_in_erased(origin.0, leaf.received_at), &leaf);
                }
                self.markers.gone.note(index, erased.marker);
            }
        }
        self.received_at = self.received_at.max(leaf.received_at);
        self.grower.push(&leaf);
        Ok(())
    }

    fn note_gaps(&mut self, origin: (&str, u64), noted: Option<Noted>, leaf: &Leaf) {
        if let Some(noted) = noted {
            let place = Place {
                index: leaf.index,
                received_at: leaf.received_at,
            };
            self.gaps.note(origin, &noted, place);
        }
    }

    fn note_origin(&mut self, origin: Option<(&str, u64)>, index: u64) -> Result<(), EntryFault> {
        let Some((producer, sequence)) = origin else {
            return Ok(());
        };
        if !self.producers.insert(producer, sequence) {
            return Err(EntryFault::Duplicate {
                producer: producer.to_owned(),
                sequence,
            });
        }
        if producer == OwnKind::Erasure.producer() {
            self.markers.erasures.push((sequence, index));
        } else if producer == OwnKind::Key.producer() {
            self.markers.key_entry = Some(index);
        }
        Ok(())
    }
}
