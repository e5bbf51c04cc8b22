//! One text where a reboot does not reach it: the last one that was written.
//!
//! The place is two halves. A text goes into the half that does not have the last one, so that a loss of
//! power at any moment leaves that one or the new one.
//!
//! | offset | bytes | holds |
//! |---|---|---|
//! | 0 | 8 | its number, one more than that of the text before, little-endian like all numbers |
//! | 8 | 4 | its length |
//! | 12 | [`MAX_KEPT_BYTES`] | the text, and zeros |
//! | behind | 8 | the first bytes of the SHA-256 of a line that names this layout, and of all before it |

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;
use fieldledger_device::brokers::MAX_KEPT_BYTES;
use sha2::{Digest as _, Sha256};

use crate::ring::{HeldError, failed};

const TEXT: usize = 12;
const TEXT_END: usize = TEXT + MAX_KEPT_BYTES;
const CHECKSUM_BYTES: usize = 8;
const RECORD_BYTES: usize = TEXT_END + CHECKSUM_BYTES;

/// The line that tells this layout from others.
const LAYOUT: &str = "fieldledger-last-v1\n";

type Bytes = [u8; RECORD_BYTES];

fn checksum(bytes: &Bytes) -> [u8; CHECKSUM_BYTES] {
    let hash = Sha256::new()
        .chain_update(LAYOUT)
        .chain_update(&bytes[..TEXT_END])
        .finalize();
    let mut first = [0; CHECKSUM_BYTES];
    first.copy_from_slice(&hash[..CHECKSUM_BYTES]);
    first
}

/// Number and text, if they are what was written.
fn parse(bytes: &Bytes) -> Option<(u64, &[u8])> {
    if bytes[TEXT_END..] != checksum(bytes) {
        return None;
    }
    let (number, rest) = bytes.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let text = rest.get(..u32::from_le_bytes(*length) as usize)?;
    Some((u64::from_le_bytes(*number), text))
}

/// A place for one text in a medium.
#[derive(Debug)]
pub struct Last<'f, F> {
    flash: &'f mut F,
    halves: [u32; 2],
    half_bytes: u32,
    bytes: Bytes,
    /// Which half has the last one, and its number.
    newest: Option<(usize, u64)>,
}

impl<'f, F: NorFlash> Last<'f, F> {
    /// Looks at what is in `place`, in bytes of the medium.
    ///
    /// # Errors
    ///
    /// [`HeldError::Place`] where a half does not hold a text or is not made of whole sectors, or what the
    /// medium says.
    pub fn open(flash: &'f mut F, place: Range<u32>) -> Result<Self, HeldError> {
        const {
            assert!(
                RECORD_BYTES.is_multiple_of(F::WRITE_SIZE),
                "a record is not written in part"
            );
        }
        let half_bytes = place.end.saturating_sub(place.start) / 2;
        let sector = F::ERASE_SIZE as u32;
        let is_whole = place.start.is_multiple_of(sector) && half_bytes.is_multiple_of(sector);
        let is_there = place.end as usize <= flash.capacity();
        if !is_whole || !is_there || (half_bytes as usize) < RECORD_BYTES {
            return Err(HeldError::Place);
        }
        let mut last = Self {
            flash,
            halves: [place.start, place.start + half_bytes],
            half_bytes,
            bytes: [0; RECORD_BYTES],
            newest: None,
        };
        for half in 0..2 {
            last.read(half)?;
            if let Some((number, _)) = parse(&last.bytes)
                && last.newest.is_none_or(|(_, newest)| number > newest)
            {
                last.newest = Some((half, number));
            }
        }
        Ok(last)
    }

    fn read(&mut self, half: usize) -> Result<(), HeldError> {
        let read = self.flash.read(self.halves[half], &mut self.bytes);
        read.map_err(failed("read"))
    }

    /// The last text, or none.
    ///
    /// # Errors
    ///
    /// What the medium says.
    pub fn get(&mut self) -> Result<Option<&[u8]>, HeldError> {
        let Some((half, _)) = self.newest else {
            return Ok(None);
        };
        self.read(half)?;
        Ok(parse(&self.bytes).map(|(_, text)| text))
    }

    /// Writes a text: once this returns it survives a loss of power.
    ///
    /// # Errors
    ///
    /// [`HeldError`]; then the last one is still there.
    pub fn set(&mut self, text: &[u8]) -> Result<(), HeldError> {
        if text.len() > MAX_KEPT_BYTES {
            return Err(HeldError::TooLong);
        }
        let (half, number) = match self.newest {
            Some((newest, number)) => (1 - newest, number.saturating_add(1)),
            None => (0, 0),
        };
        let mut bytes = [0; RECORD_BYTES];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes[8..TEXT].copy_from_slice(&(text.len() as u32).to_le_bytes());
        bytes[TEXT..TEXT + text.len()].copy_from_slice(text);
        let checksum = checksum(&bytes);
        bytes[TEXT_END..].copy_from_slice(&checksum);
        let start = self.halves[half];
        let erased = self.flash.erase(start, start + self.half_bytes);
        erased.map_err(failed("erase"))?;
        let written = self.flash.write(start, &bytes);
        written.map_err(failed("write to"))?;
        self.read(half)?;
        if self.bytes != bytes {
            return Err(HeldError::Worn);
        }
        self.newest = Some((half, number));
        Ok(())
    }
}
