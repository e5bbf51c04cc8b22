//! The files that a CYW43439 is given at every start, before it is a radio.
//!
//! They are Infineon's, and under a licence of their own, so they are in no program of ours: whoever
//! has a board writes them to its flash once. The content of the record is the three lengths, four
//! bytes each, and then the files, each filled up with zeros to a multiple of four bytes.

use crate::frame::{Kind, RecordError};

/// The radio reads its files by words.
const ALIGNMENT: usize = 4;

const KIND: Kind = Kind {
    name: *b"FLDR",
    version: 1,
};

/// The files of a radio. In a record that begins at a multiple of four each of them does too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Radio<'a> {
    /// Its program, such as `43439A0.bin`.
    pub firmware: &'a [u8],
    /// What it is to know of its board, such as `nvram_rp2040.bin`.
    pub nvram: &'a [u8],
    /// What it may send in which country, such as `43439A0_clm.bin`.
    pub clm: &'a [u8],
}

impl<'a> Radio<'a> {
    /// Reads the record at the beginning of `place`.
    ///
    /// # Errors
    ///
    /// Says why there is none to use.
    pub fn read(place: &'a [u8]) -> Result<Self, RecordError> {
        let (_only_layout, mut rest) = KIND.open(place)?;
        let mut lengths = [0; 3];
        for length in &mut lengths {
            let (number, after) = rest.split_first_chunk().ok_or(RecordError::Content)?;
            let number = usize::try_from(u32::from_le_bytes(*number));
            *length = number.map_err(|_address_space| RecordError::Content)?;
            rest = after;
        }
        let mut file = |length: usize| {
            let padded = length.checked_next_multiple_of(ALIGNMENT);
            let split = padded.and_then(|padded| rest.split_at_checked(padded));
            let (file, after) = split.ok_or(RecordError::Content)?;
            rest = after;
            file.get(..length).ok_or(RecordError::Content)
        };
        let [firmware, nvram, clm] = lengths;
        let radio = Self {
            firmware: file(firmware)?,
            nvram: file(nvram)?,
            clm: file(clm)?,
        };
        radio.check()?;
        Ok(radio)
    }

    /// Writes a record to `place`, and returns its length.
    ///
    /// # Errors
    ///
    /// [`RecordError::Field`], [`RecordError::NoRoom`].
    pub fn write(&self, place: &mut [u8]) -> Result<usize, RecordError> {
        self.check()?;
        let content = Kind::content(place)?;
        let files = [self.firmware, self.nvram, self.clm];
        let mut written = 0;
        let mut put = |bytes: &[u8]| {
            let end = written + bytes.len().next_multiple_of(ALIGNMENT);
            let room = content.get_mut(written..end).ok_or(RecordError::NoRoom)?;
            room.fill(0);
            room[..bytes.len()].copy_from_slice(bytes);
            written = end;
            Ok(())
        };
        for file in files {
            let length = u32::try_from(file.len()).map_err(|_long| RecordError::NoRoom)?;
            put(&length.to_le_bytes())?;
        }
        for file in files {
            put(file)?;
        }
        let length = written;
        KIND.seal(place, length)
    }

    fn check(&self) -> Result<(), RecordError> {
        let files = [
            ("firmware", self.firmware),
            ("nvram", self.nvram),
            ("clm", self.clm),
        ];
        match files.into_iter().find(|(_, file)| file.is_empty()) {
            Some((field, _)) => Err(RecordError::Field { field }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_a_file_there_is_no_radio() {
        let radio = Radio {
            firmware: b"program",
            nvram: b"",
            clm: b"countries",
        };
        let refused = RecordError::Field { field: "nvram" };
        assert_eq!(radio.write(&mut [0; 200]), Err(refused));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn files_read_back_and_begin_at_words(
            firmware in prop::collection::vec(any::<u8>(), 1..300),
            nvram in prop::collection::vec(any::<u8>(), 1..40),
            clm in prop::collection::vec(any::<u8>(), 1..40),
        ) {
            let radio = Radio { firmware: &firmware, nvram: &nvram, clm: &clm };
            let mut place = [0xff; 600];
            let length = radio.write(&mut place).unwrap();
            let read = Radio::read(&place[..length]).unwrap();
            prop_assert_eq!(read, radio);
            for file in [read.firmware, read.nvram, read.clm] {
                let offset = file.as_ptr().addr() - place.as_ptr().addr();
                prop_assert_eq!(offset % ALIGNMENT, 0);
            }
            prop_assert_eq!(radio.write(&mut place[..length - 1]), Err(RecordError::NoRoom));
        }

        #[test]
        fn arbitrary_content_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut place = [0; 200];
            Kind::content(&mut place).unwrap()[..bytes.len()].copy_from_slice(&bytes);
            KIND.seal(&mut place, bytes.len()).unwrap();
            let _ = Radio::read(&place);
        }
    }
}
