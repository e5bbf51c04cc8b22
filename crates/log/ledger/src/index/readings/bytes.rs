//! Numbers and texts in bytes: numbers as LEB128, texts with their length before them.

use std::io;

/// Why a file of readings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// It ends too early, or goes on where it should end.
    #[error("it does not end where it should")]
    Cut,
    /// Other bytes than were written.
    #[error("its checksum does not match")]
    Checksum,
    /// Of another version, or no such file at all.
    #[error("it is no file of readings of this version")]
    Version,
    /// A group of rows is not there, or not in its form.
    #[error("a group of its rows cannot be read")]
    Group,
    /// It names something that it does not have.
    #[error("it refers to what it does not have")]
    Reference,
    /// The disk.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

pub(super) fn put(target: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        // Seven bits of it.
        target.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    target.push(number as u8);
}

pub(super) fn put_text(target: &mut Vec<u8>, text: &str) {
    put(target, text.len() as u64);
    target.extend_from_slice(text.as_bytes());
}

/// Reads what was put.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        let (first, rest) = self.0.split_first().ok_or(Fault::Cut)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn number(&mut self) -> Result<u64, Fault> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Fault::Cut)
    }

    /// A number of things, each of which has a byte at least.
    pub(super) fn length(&mut self) -> Result<usize, Fault> {
        let length = usize::try_from(self.number()?).map_err(|_| Fault::Cut)?;
        match length <= self.0.len() {
            true => Ok(length),
            false => Err(Fault::Cut),
        }
    }

    pub(super) fn small(&mut self) -> Result<u32, Fault> {
        u32::try_from(self.number()?).map_err(|_| Fault::Reference)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Fault> {
        let length = self.length()?;
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| Fault::Cut)
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }
}
