//! Readings where a reboot does not reach them: what goes there, and what comes back.
//!
//! The device has no such place itself. It says [`Keep`](crate::Action::Keep) and
//! [`Forget`](crate::Action::Forget), and a board that has a file or flash obeys. After a reboot the board
//! gives back what is left ([`Device::take_earlier`](crate::Device::take_earlier)), and the device sends it
//! as history of the boot that took it.
//!
//! What is kept is what goes out as history: readings that were never sent at once, answers only once they
//! are overdue, or before the first reading behind them. So a device that is polled writes nothing.

use fieldledger_attest::SensorId;
use fieldledger_attest::reading::{Clock, Reading};
use fieldledger_attest::statement::BootId;
use heapless::{Deque, String};

use crate::config::MAX_BOOT_BYTES;
use crate::json::is_quotable;
use crate::ring::Waiting;
use crate::sensor::{MAX_UNIT_BYTES, Text, is_decimal};

/// Most readings of earlier boots in memory: what goes into one message. The others stay where they are
/// until these are stored.
pub const MAX_EARLIER: usize = 64;

/// A reading with all that a signature needs once its boot is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept<'a> {
    /// Of which sensor.
    pub sensor: SensorId,
    /// Of which boot.
    pub boot: &'a str,
    /// Its number within the boot.
    pub sequence: u64,
    /// When it was taken. Time since boot is that of its own boot.
    pub clock: Clock,
    /// What was read.
    pub value: &'a str,
    /// The sensor's unit at that time, or empty.
    pub unit: &'a str,
}

/// What became of a reading that a board gave back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// The device has it now.
    Taken,
    /// Not of those that it takes now, or not at all; others may be.
    PassedOver,
    /// It has no room for more.
    NoRoom,
}

/// How far a sensor's readings of this boot have been kept and forgotten. Each is the number below which
/// all are.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    kept: u64,
    stored: u64,
    forgotten: u64,
}

impl Progress {
    pub(crate) fn is_kept(&self, sequence: u64) -> bool {
        sequence < self.kept
    }

    pub(crate) fn keep(&mut self, sequence: u64) {
        self.kept = sequence + 1;
    }

    /// The server has all up to and with this one.
    pub(crate) fn stored_through(&mut self, sequence: u64) {
        let end = sequence.saturating_add(1).min(self.kept);
        self.stored = self.stored.max(end);
    }

    /// The server has all that were kept.
    pub(crate) fn all_stored(&mut self) {
        self.stored = self.kept;
    }

    pub(crate) fn has_forgettable(&self) -> bool {
        self.forgotten < self.stored
    }

    /// The last one to forget, once.
    pub(crate) fn forget(&mut self) -> Option<u64> {
        if !self.has_forgettable() {
            return None;
        }
        self.forgotten = self.stored;
        self.stored.checked_sub(1)
    }
}

/// Readings of one sensor and one earlier boot, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Earlier {
    pub(crate) sensor: SensorId,
    pub(crate) boot: String<MAX_BOOT_BYTES>,
    pub(crate) unit: String<MAX_UNIT_BYTES>,
    readings: Deque<Waiting, MAX_EARLIER>,
    sent_through: Option<u64>,
    forgettable: Option<u64>,
}

impl Earlier {
    /// Whether it has room for those of another sensor or boot: none waits, and none is to be forgotten.
    pub(crate) fn is_done(&self) -> bool {
        self.readings.is_empty() && self.forgettable.is_none()
    }

    pub(crate) fn has_forgettable(&self) -> bool {
        self.forgettable.is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.readings.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.readings.iter()
    }

    /// Takes one that follows those that it has. What cannot be signed, and what is of another sensor, boot
    /// or unit, is passed over.
    pub(crate) fn take(&mut self, kept: &Kept<'_>) -> Offer {
        if self.readings.is_full() || self.has_forgettable() {
            return Offer::NoRoom;
        }
        let Some(waiting) = checked(kept) else {
            return Offer::PassedOver;
        };
        if self.readings.is_empty() {
            // Their lengths were checked.
            let boot = String::try_from(kept.boot).unwrap_or_default();
            let unit = String::try_from(kept.unit).unwrap_or_default();
            (self.sensor, self.boot, self.unit) = (kept.sensor, boot, unit);
            self.sent_through = None;
        }
        let is_same = self.sensor == kept.sensor && self.boot == kept.boot;
        let is_next = self
            .readings
            .back()
            .is_none_or(|last| last.sequence < kept.sequence);
        if !is_same || !is_next || self.unit != kept.unit {
            return Offer::PassedOver;
        }
        match self.readings.push_back(waiting) {
            Ok(()) => Offer::Taken,
            Err(_full) => Offer::NoRoom,
        }
    }

    /// They went out, up to this one.
    pub(crate) fn sent_through(&mut self, sequence: u64) {
        self.sent_through = self.sent_through.max(Some(sequence));
    }

    /// The server has those up to and with this number; true where that was news.
    pub(crate) fn stored(&mut self, sensor: SensorId, boot: &str, sequence: u64) -> bool {
        let was_sent = self.sent_through.is_some_and(|sent| sequence <= sent);
        if self.sensor != sensor || self.boot != boot || !was_sent {
            return false;
        }
        let mut is_news = false;
        while let Some(oldest) = self.readings.front()
            && oldest.sequence <= sequence
        {
            self.forgettable = Some(oldest.sequence);
            self.readings.pop_front();
            is_news = true;
        }
        is_news
    }

    /// The last one to forget, once.
    pub(crate) fn forget(&mut self) -> Option<u64> {
        self.forgettable.take()
    }
}

/// What came back, if it is what a device keeps: a medium may have aged, or be somebody else's.
fn checked(kept: &Kept<'_>) -> Option<Waiting> {
    let boot = BootId::new(kept.boot).ok()?;
    if !is_quotable(boot.as_str()) || boot.as_str().len() > MAX_BOOT_BYTES {
        return None;
    }
    Reading::new(kept.sequence, kept.clock, kept.value, kept.unit).ok()?;
    let value = Text::try_from(kept.value).ok()?;
    is_decimal(&value).then_some(Waiting {
        sequence: kept.sequence,
        clock: kept.clock,
        value,
        answered: None,
    })
}
