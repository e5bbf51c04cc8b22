//! Records packed into one text: how what comes by the thousand crosses into a component.
//!
//! The host moves each value of a call by itself, whatever its size: it reads it in a future of its own,
//! boxes it and writes it into the component's memory. A reading has 22 columns in a batch and 11 as an event,
//! and passes three borders. So such a record travels as one text, and both ends know what it holds. The form is told in `wit/deps/base/base.wit`:
//!
//! | value | packed |
//! |---|---|
//! | a text | its length in bytes, `:`, the text |
//! | an integer, a truth (0 or 1), an enum (number of its case) | the number, `:` |
//! | a float | the text of its decimal number |
//! | an option | `:` for none, else the value |
//! | a list | how many items, `:`, the items |
//! | a record | its members in their order |
//!
//! Nothing else is between them, so each value has one packed form, and none begins with `:` but none.

pub use fieldledger_contract_derive::Packed;

/// A text that is not a packed record of the expected type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PackedError {
    /// It ends, or something else stands there, where this was expected.
    #[error("{expected} is missing at byte {at} of the packed record")]
    Missing {
        /// What was expected.
        expected: &'static str,
        /// Bytes before it.
        at: usize,
    },
    /// A number that its type has no room for, or no case for.
    #[error("the number before byte {at} of the packed record is too large")]
    TooLarge {
        /// Bytes up to its end.
        at: usize,
    },
    /// Something follows the record.
    #[error("the packed record ends at byte {at}, but the text goes on")]
    GoesOn {
        /// Bytes of the record.
        at: usize,
    },
}

/// What can be packed, and read again from a text that lives as long as `'a`.
pub trait Packed<'a>: Sized {
    /// Appends the value.
    fn pack(&self, packed: &mut Packing);

    /// Reads the value that comes next.
    ///
    /// # Errors
    ///
    /// Where something else comes next.
    fn unpack(packed: &mut Unpacking<'a>) -> Result<Self, PackedError>;

    /// The value alone, packed.
    fn packed(&self) -> String {
        let mut packed = Packing::default();
        self.pack(&mut packed);
        packed.0
    }

    /// The value that the whole text is.
    ///
    /// # Errors
    ///
    /// Where the text is no such value, or more than it.
    fn unpacked(text: &'a str) -> Result<Self, PackedError> {
        let mut packed = Unpacking::new(text);
        let value = Self::unpack(&mut packed)?;
        match packed.rest.is_empty() {
            true => Ok(value),
            false => Err(PackedError::GoesOn { at: packed.at() }),
        }
    }
}

/// Writes values one after the other.
#[derive(Debug, Default)]
pub struct Packing(String);

impl Packing {
    /// Appends a number.
    pub fn number(&mut self, mut number: u64) {
        // As `u64::MAX` is written, and the colon.
        let mut digits = [b':'; 21];
        let mut first = digits.len() - 1;
        loop {
            first -= 1;
            // Below ten.
            digits[first] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.0
            .extend(digits[first..].iter().map(|digit| char::from(*digit)));
    }

    /// Appends a text.
    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.push_str(text);
    }

    fn none(&mut self) {
        self.0.push(':');
    }
}

/// Reads values one after the other.
#[derive(Debug)]
pub struct Unpacking<'a> {
    rest: &'a str,
    whole: usize,
}

impl<'a> Unpacking<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            whole: text.len(),
        }
    }

    fn at(&self) -> usize {
        self.whole - self.rest.len()
    }

    fn missing(&self, expected: &'static str) -> PackedError {
        PackedError::Missing {
            expected,
            at: self.at(),
        }
    }

    /// Reads a number.
    ///
    /// # Errors
    ///
    /// Where there is none, or it is no `u64`.
    pub fn number(&mut self) -> Result<u64, PackedError> {
        let bytes = self.rest.as_bytes();
        let mut number: u64 = 0;
        for (digits, byte) in bytes.iter().enumerate() {
            match byte {
                b'0'..=b'9' => {
                    let longer = number.checked_mul(10);
                    let longer = longer.and_then(|tens| tens.checked_add(u64::from(byte - b'0')));
                    let at = self.at() + digits + 1;
                    number = longer.ok_or(PackedError::TooLarge { at })?;
                }
                b':' if digits > 0 => {
                    self.rest = &self.rest[digits + 1..];
                    return Ok(number);
                }
                _ => break,
            }
        }
        Err(self.missing("a number"))
    }

    /// Reads a text.
    ///
    /// # Errors
    ///
    /// Where there is none.
    pub fn text(&mut self) -> Result<&'a str, PackedError> {
        let length = self.number()?;
        let split = usize::try_from(length).ok();
        let split = split.and_then(|length| self.rest.split_at_checked(length));
        let Some((text, rest)) = split else {
            return Err(self.missing("a text"));
        };
        self.rest = rest;
        Ok(text)
    }

    /// The number of a case of an enum that has so many.
    ///
    /// # Errors
    ///
    /// Where there is none.
    pub fn case(&mut self, cases: usize) -> Result<usize, PackedError> {
        let case = usize::try_from(self.number()?).ok();
        case.filter(|case| *case < cases)
            .ok_or(PackedError::TooLarge { at: self.at() })
    }

    fn is_none(&mut self) -> bool {
        match self.rest.strip_prefix(':') {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

impl<'a> Packed<'a> for String {
    fn pack(&self, packed: &mut Packing) {
        packed.text(self);
    }

    fn unpack(packed: &mut Unpacking<'a>) -> Result<Self, PackedError> {
        packed.text().map(str::to_owned)
    }
}

impl<'a> Packed<'a> for &'a str {
    fn pack(&self, packed: &mut Packing) {
        packed.text(self);
    }

    fn unpack(packed: &mut Unpacking<'a>) -> Result<Self, PackedError> {
        packed.text()
    }
}

impl Packed<'_> for u64 {
    fn pack(&self, packed: &mut Packing) {
        packed.number(*self);
    }

    fn unpack(packed: &mut Unpacking<'_>) -> Result<Self, PackedError> {
        packed.number()
    }
}

impl Packed<'_> for u32 {
    fn pack(&self, packed: &mut Packing) {
        packed.number(u64::from(*self));
    }

    fn unpack(packed: &mut Unpacking<'_>) -> Result<Self, PackedError> {
        let number = packed.number()?;
        Self::try_from(number).map_err(|_| PackedError::TooLarge { at: packed.at() })
    }
}

impl Packed<'_> for bool {
    fn pack(&self, packed: &mut Packing) {
        packed.number(u64::from(*self));
    }

    fn unpack(packed: &mut Unpacking<'_>) -> Result<Self, PackedError> {
        Ok(packed.case(2)? == 1)
    }
}

impl Packed<'_> for f64 {
    fn pack(&self, packed: &mut Packing) {
        packed.text(&self.to_string());
    }

    fn unpack(packed: &mut Unpacking<'_>) -> Result<Self, PackedError> {
        let expected = packed.missing("a float");
        packed.text()?.parse().map_err(|_| expected)
    }
}

impl<'a, T: Packed<'a>> Packed<'a> for Option<T> {
    fn pack(&self, packed: &mut Packing) {
        match self {
            None => packed.none(),
            Some(value) => value.pack(packed),
        }
    }

    fn unpack(packed: &mut Unpacking<'a>) -> Result<Self, PackedError> {
        match packed.is_none() {
            true => Ok(None),
            false => T::unpack(packed).map(Some),
        }
    }
}

impl<'a, T: Packed<'a>> Packed<'a> for Vec<T> {
    fn pack(&self, packed: &mut Packing) {
        packed.number(self.len() as u64);
        for item in self {
            item.pack(packed);
        }
    }

    fn unpack(packed: &mut Unpacking<'a>) -> Result<Self, PackedError> {
        let length = packed.number()?;
        // No item is shorter than a byte, so no text asks for more memory than it justifies.
        let most = packed.rest.len();
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= most);
        let length = length.ok_or_else(|| packed.missing("an item"))?;
        let mut items = Self::with_capacity(length);
        for _ in 0..length {
            items.push(T::unpack(packed)?);
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;
    use crate::audit::{EventColumns, Written};
    use crate::field::{Attestation, Calibration, Outcome, PollBatch, Range, SensorProfile};

    #[test]
    fn the_form_is_that_of_wit() {
        let profile = SensorProfile {
            id: "s".to_owned(),
            alias: "a:1".to_owned(),
            location: String::new(),
            unit: "°C".to_owned(),
            range: Some(Range {
                low: -1.5,
                high: 90.0,
            }),
            calibration: None,
            unit_sent: String::new(),
        };
        assert_eq!(profile.packed(), "1:s3:a:10:3:°C4:-1.52:90:0:");
        assert_eq!(vec![None, Some(300_u64)].packed(), "2::300:");
        assert_eq!(vec![Outcome::Late, Outcome::Value].packed(), "2:3:0:");
        assert_eq!(vec![true, false].packed(), "2:1:0:");
    }

    #[test]
    fn what_is_no_packed_record_is_refused() {
        let missing = |expected, at| PackedError::Missing { expected, at };
        let numbers = Vec::<u64>::unpacked;
        assert_eq!(numbers("1:7:"), Ok(vec![7]));
        assert_eq!(numbers(""), Err(missing("a number", 0)));
        assert_eq!(numbers("2:7:"), Err(missing("a number", 4)));
        assert_eq!(numbers("1:-7:"), Err(missing("a number", 2)));
        assert_eq!(numbers("1::"), Err(missing("a number", 2)));
        assert_eq!(numbers("1:7:8:"), Err(PackedError::GoesOn { at: 4 }));
        assert_eq!(numbers("999999999:"), Err(missing("an item", 10)));
        assert_eq!(
            numbers("1:18446744073709551616:"),
            Err(PackedError::TooLarge { at: 22 })
        );
        assert_eq!(<&str>::unpacked("5:温"), Err(missing("a text", 2)));
        // In the middle of a character.
        assert_eq!(<&str>::unpacked("1:温"), Err(missing("a text", 2)));
        assert_eq!(f64::unpacked("1:x"), Err(missing("a float", 0)));
        assert_eq!(
            Outcome::unpacked("5:"),
            Err(PackedError::TooLarge { at: 2 })
        );
        assert_eq!(
            u32::unpacked("4294967296:"),
            Err(PackedError::TooLarge { at: 11 })
        );
    }

    fn any_profile() -> impl Strategy<Value = SensorProfile> {
        let range = proptest::option::of(
            (any::<f64>(), any::<f64>()).prop_map(|(low, high)| Range { low, high }),
        );
        let calibration = proptest::option::of(any::<[f64; 3]>().prop_map(
            |[base, scale, offset]| Calibration {
                base,
                scale,
                offset,
            },
        ));
        (any::<[String; 5]>(), range, calibration).prop_map(|(texts, range, calibration)| {
            let [id, alias, location, unit, unit_sent] = texts;
            SensorProfile {
                id,
                alias,
                location,
                unit,
                range,
                calibration,
                unit_sent,
            }
        })
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn a_batch_comes_back(
            sensors in proptest::collection::vec(any_profile(), 0..3),
            texts in proptest::collection::vec(any::<String>(), 0..5),
            numbers in proptest::collection::vec(any::<u64>(), 0..5),
            options in proptest::collection::vec(any::<Option<u64>>(), 0..5),
            flags in proptest::collection::vec(any::<bool>(), 0..5),
            end in any::<proptest::sample::Index>(),
        ) {
            let batch = PollBatch {
                id: texts.concat(),
                epoch: "e".to_owned(),
                sensors,
                sensor: vec![7, 0, u32::MAX],
                poll: numbers.clone(),
                polled_at: numbers.clone(),
                received_at: numbers.clone(),
                outcome: vec![Outcome::Value, Outcome::Historical],
                text: texts.clone(),
                boot: texts.clone(),
                sequence: options.clone(),
                device_at: options.clone(),
                unit: texts.clone(),
                sequence_reused: flags,
                device_up: options.clone(),
                attestation: vec![Attestation::Retired, Attestation::Unsigned],
                evidence: texts.clone(),
                refusal: String::new(),
                remark: texts.clone(),
                flaw: texts.clone(),
            };
            let packed = batch.packed();
            prop_assert_eq!(PollBatch::unpacked(&packed), Ok(batch));
            // Each value has one form, so what is cut off is missing.
            let end = packed.floor_char_boundary(end.index(packed.len()));
            prop_assert!(PollBatch::unpacked(&packed[..end]).is_err());
            let written = Written { indices: options, appended: 3, duplicates: 0, tree_size: 9 };
            prop_assert_eq!(Written::unpacked(&written.packed()), Ok(written));
        }

        #[test]
        fn no_text_is_more_than_an_error(text in r"([0-9]{0,3}:?|\PC){0,40}") {
            prop_assert!(PollBatch::unpacked(&text).is_err());
            prop_assert!(EventColumns::unpacked(&text).is_err());
            if let Ok(numbers) = Vec::<Option<u64>>::unpacked(&text) {
                prop_assert_eq!(Vec::unpacked(&numbers.packed()), Ok(numbers));
            }
        }
    }
}
