//! Flash that is used up and loses its power.
#![allow(dead_code)]

use std::ops::Range;

use embedded_storage::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use fieldledger_held::{HeldError, Ring, SLOT_BYTES};

/// Three slots, and a rest that is too small for one.
pub(crate) const SECTOR: usize = 512;
/// What is before the place and behind it, and must not be touched.
pub(crate) const AROUND: usize = SECTOR;

#[derive(Debug)]
pub(crate) struct NoPower;

impl NorFlashError for NoPower {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

/// NOR flash: a write turns ones into zeros, an erase turns a sector into ones. Where the power fails each
/// bit that should change did or did not.
#[derive(Debug)]
pub(crate) struct Flash {
    pub(crate) bytes: Vec<u8>,
    pub(crate) erases: Vec<u32>,
    /// Writes and erases until the power fails.
    pub(crate) operations_left: Option<u32>,
    pub(crate) has_power: bool,
    pub(crate) chance: u64,
    /// Bits of this many slots of each sector that no write reaches.
    pub(crate) worn_slots: usize,
}

impl Flash {
    /// With a place of so many sectors.
    pub(crate) fn new(sectors: usize) -> Self {
        Self {
            bytes: vec![0xff; sectors * SECTOR + 2 * AROUND],
            erases: vec![0; sectors],
            operations_left: None,
            has_power: true,
            chance: 1,
            worn_slots: 0,
        }
    }

    /// The place for readings.
    pub(crate) fn place(&self) -> Range<u32> {
        AROUND as u32..(self.bytes.len() - AROUND) as u32
    }

    /// Which of eight bits came through (xorshift).
    fn some_bits(&mut self) -> u8 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance >> 32) as u8
    }

    fn change(&mut self, offset: usize, wanted: &[u8]) -> Result<(), NoPower> {
        if !self.has_power {
            return Err(NoPower);
        }
        self.has_power = self.operations_left != Some(0);
        self.operations_left = self.operations_left.map(|left| left.saturating_sub(1));
        for (place, wanted) in (offset..).zip(wanted) {
            let mask = match self.has_power {
                true => 0xff,
                false => self.some_bits(),
            };
            let now = self.bytes[place];
            self.bytes[place] = now & !mask | wanted & mask;
        }
        match self.has_power {
            true => Ok(()),
            false => Err(NoPower),
        }
    }
}

impl ErrorType for Flash {
    type Error = NoPower;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NoPower> {
        if !self.has_power {
            return Err(NoPower);
        }
        let start = offset as usize;
        bytes.copy_from_slice(&self.bytes[start..start + bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NoPower> {
        let place = self.place();
        assert!(place.start <= from && to <= place.end);
        let sectors = (from..to).step_by(SECTOR);
        assert!(from.is_multiple_of(SECTOR as u32) && to.is_multiple_of(SECTOR as u32));
        for start in sectors {
            let sector = (start - place.start) as usize / SECTOR;
            self.erases[sector] += 1;
            self.change(start as usize, &[0xff; SECTOR])?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NoPower> {
        let start = offset as usize;
        let place = self.place();
        assert!(place.start <= offset && start + bytes.len() <= place.end as usize);
        let slot = (offset - place.start) as usize % SECTOR / SLOT_BYTES;
        if slot < self.worn_slots {
            return Ok(());
        }
        let now = self.bytes[start..start + bytes.len()].iter();
        let wanted: Vec<u8> = now.zip(bytes).map(|(now, new)| now & new).collect();
        self.change(start, &wanted)
    }
}

impl MultiwriteNorFlash for Flash {}

/// Flash that outlives what is made of it.
#[derive(Debug)]
pub(crate) struct Board<'a>(pub(crate) &'a mut Flash);

impl ErrorType for Board<'_> {
    type Error = NoPower;
}

impl ReadNorFlash for Board<'_> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NoPower> {
        self.0.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl NorFlash for Board<'_> {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NoPower> {
        self.0.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NoPower> {
        self.0.write(offset, bytes)
    }
}

impl MultiwriteNorFlash for Board<'_> {}

/// What a board that starts does.
pub(crate) fn open(flash: &mut Flash) -> Result<Ring<Board<'_>>, HeldError> {
    let place = flash.place();
    Ring::open(Board(flash), place)
}
