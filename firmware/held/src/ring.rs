//! Slots in turn.

use core::ops::Range;

use embedded_storage::nor_flash::{MultiwriteNorFlash, NorFlashError, NorFlashErrorKind};
use fieldledger_attest::SensorId;
use fieldledger_device::{Kept, Offer};
use thiserror::Error;

use crate::slot::{self, Bytes, FORGOTTEN, MARK_BYTES, SLOT_BYTES, Slot, WAITS};

/// Why readings cannot be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeldError {
    /// What the medium says.
    #[error("cannot {operation} the medium for readings: {kind:?}")]
    Medium {
        /// What was tried.
        operation: &'static str,
        /// Why not.
        kind: NorFlashErrorKind,
    },
    /// Fewer than two sectors, or not whole ones, or none of the medium.
    #[error("place for readings is not made of two or more sectors of the medium")]
    Place,
    /// A text longer than a device makes it.
    #[error("reading is too long to be held")]
    TooLong,
    /// What was written reads otherwise, in every slot of two sectors.
    #[error("medium for readings is worn out")]
    Worn,
}

/// Held readings, in a part of a medium.
#[derive(Debug)]
pub struct Ring<F> {
    flash: F,
    start: u32,
    sectors: u32,
    /// Where the next reading goes: sector, and slot within it. Behind the last slot it is the next sector.
    next: (u32, u32),
    next_number: u64,
    /// Numbers below this are of earlier boots.
    began_at: u64,
    /// Whether some of those may be held.
    has_earlier: bool,
}

pub(crate) fn failed<E: NorFlashError>(operation: &'static str) -> impl Fn(E) -> HeldError {
    move |error| HeldError::Medium {
        operation,
        kind: error.kind(),
    }
}

impl<F: MultiwriteNorFlash> Ring<F> {
    /// Slots of a sector.
    const SLOTS: u32 = (F::ERASE_SIZE / SLOT_BYTES) as u32;

    /// Looks at what is in `place`, in bytes of the medium. What is no slot there is room.
    ///
    /// # Errors
    ///
    /// [`HeldError::Place`], or what the medium says.
    pub fn open(flash: F, place: Range<u32>) -> Result<Self, HeldError> {
        const {
            assert!(F::ERASE_SIZE >= SLOT_BYTES, "no slot fits into a sector");
            assert!(
                MARK_BYTES.is_multiple_of(F::WRITE_SIZE),
                "marks are written alone"
            );
            assert!(
                MARK_BYTES.is_multiple_of(F::READ_SIZE),
                "marks are read alone"
            );
        }
        let sector = F::ERASE_SIZE as u32;
        let sectors = place.end.saturating_sub(place.start) / sector;
        let is_whole = place.start.is_multiple_of(sector) && place.end.is_multiple_of(sector);
        if sectors < 2 || !is_whole || place.end as usize > flash.capacity() {
            return Err(HeldError::Place);
        }
        let mut ring = Self {
            flash,
            start: place.start,
            sectors,
            // The first one to be written to is erased first.
            next: (sectors - 1, Self::SLOTS),
            next_number: 0,
            began_at: 0,
            has_earlier: true,
        };
        ring.find_end()?;
        ring.began_at = ring.next_number;
        Ok(ring)
    }

    /// The highest number says where the last reading is; behind everything in that sector is room.
    fn find_end(&mut self) -> Result<(), HeldError> {
        for sector in 0..self.sectors {
            let mut has_newest = false;
            let mut used = 0;
            for place in 0..Self::SLOTS {
                let bytes = self.bytes(sector, place)?;
                match slot::read(&bytes) {
                    Slot::Blank => continue,
                    Slot::Good { number, .. } if number >= self.next_number => {
                        // A number is far below 2^64: at a billion a second it would take 500 years.
                        self.next_number = number.saturating_add(1);
                        has_newest = true;
                    }
                    Slot::Good { .. } | Slot::Damaged => {}
                }
                used = place + 1;
            }
            if has_newest {
                self.next = (sector, used);
            }
        }
        Ok(())
    }

    /// How many readings it holds at least, before the oldest give way.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        (self.sectors - 1) * Self::SLOTS
    }

    fn offset(&self, sector: u32, place: u32) -> u32 {
        self.start + sector * F::ERASE_SIZE as u32 + place * SLOT_BYTES as u32
    }

    fn bytes(&mut self, sector: u32, place: u32) -> Result<Bytes, HeldError> {
        let mut bytes = [0; SLOT_BYTES];
        let offset = self.offset(sector, place);
        let read = self.flash.read(offset, &mut bytes);
        read.map_err(failed("read"))?;
        Ok(bytes)
    }

    /// Keeps a reading: once this returns it survives a loss of power, unless it is forgotten or gives way.
    ///
    /// # Errors
    ///
    /// [`HeldError`]; then it is not held.
    pub fn keep(&mut self, kept: &Kept<'_>) -> Result<(), HeldError> {
        for _attempt in 0..2 * Self::SLOTS {
            let (sector, place) = self.room()?;
            let bytes = slot::write(self.next_number, kept);
            let bytes = bytes.map_err(|slot::TooLong| HeldError::TooLong)?;
            self.next = (sector, place + 1);
            let written = self.flash.write(self.offset(sector, place), &bytes);
            written.map_err(failed("write to"))?;
            if self.bytes(sector, place)? == bytes {
                self.next_number += 1;
                return Ok(());
            }
        }
        Err(HeldError::Worn)
    }

    /// The slot for the next reading, behind an erase where a new sector begins.
    fn room(&mut self) -> Result<(u32, u32), HeldError> {
        let (sector, place) = self.next;
        if place < Self::SLOTS {
            return Ok(self.next);
        }
        let sector = (sector + 1) % self.sectors;
        let offset = self.offset(sector, 0);
        let erased = self.flash.erase(offset, offset + F::ERASE_SIZE as u32);
        erased.map_err(failed("erase"))?;
        self.next = (sector, 0);
        Ok(self.next)
    }

    /// Forgets the readings of this sensor and boot up to and with number `through`.
    ///
    /// # Errors
    ///
    /// What the medium says; some of them may come back then.
    pub fn forget(&mut self, sensor: SensorId, boot: &str, through: u64) -> Result<(), HeldError> {
        self.each(|flash, offset, _number, kept| {
            if kept.sensor == sensor && kept.boot == boot && kept.sequence <= through {
                let written = flash.write(offset, &FORGOTTEN);
                written.map_err(failed("write to"))?;
            }
            Ok(true)
        })
    }

    /// Gives all that is held to `take`, oldest first, until it says false.
    ///
    /// # Errors
    ///
    /// What the medium says.
    pub fn give(&mut self, mut take: impl FnMut(&Kept<'_>) -> bool) -> Result<(), HeldError> {
        self.each(|_flash, _offset, _number, kept| Ok(take(kept)))
    }

    /// Gives what was held before [`Ring::open`] to `take`, oldest first, until there is no room.
    /// Where it takes none of all the medium is not read again.
    ///
    /// # Errors
    ///
    /// What the medium says.
    pub fn give_earlier(
        &mut self,
        mut take: impl FnMut(&Kept<'_>) -> Offer,
    ) -> Result<(), HeldError> {
        if !self.has_earlier {
            return Ok(());
        }
        let began_at = self.began_at;
        let mut has_earlier = false;
        self.each(|_flash, _offset, number, kept| {
            if number >= began_at {
                return Ok(false);
            }
            let offer = take(kept);
            has_earlier |= offer != Offer::PassedOver;
            Ok(offer != Offer::NoRoom)
        })?;
        self.has_earlier = has_earlier;
        Ok(())
    }

    fn each(
        &mut self,
        mut visit: impl FnMut(&mut F, u32, u64, &Kept<'_>) -> Result<bool, HeldError>,
    ) -> Result<(), HeldError> {
        let (newest, _) = self.next;
        for step in 1..=self.sectors {
            let sector = (newest + step) % self.sectors;
            for place in 0..Self::SLOTS {
                let offset = self.offset(sector, place);
                let mut mark = [0; MARK_BYTES];
                let read = self.flash.read(offset, &mut mark);
                read.map_err(failed("read"))?;
                // Most slots are forgotten or blank, and a checksum takes long.
                if mark != WAITS {
                    continue;
                }
                let bytes = self.bytes(sector, place)?;
                if let Slot::Good {
                    number,
                    kept,
                    waits: true,
                } = slot::read(&bytes)
                    && !visit(&mut self.flash, offset, number, &kept)?
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The medium.
    pub fn flash(&mut self) -> &mut F {
        &mut self.flash
    }
}
