//! A column of numbers, packed in groups of 128 rows: each number is what it has beyond the least of its
//! group, in as many bits as the largest such needs. Where that is less, it is the difference to an
//! earlier column of the row: the value that an event repeats, or the time of an answer beside that of
//! its poll.

use super::bytes::{Fault, Reader, put};

/// Rows of a group.
pub(super) const GROUP: usize = 128;

/// How the numbers of a group are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packed {
    least: u64,
    /// Where in the words it begins; it has twice as many as `width`.
    start: u32,
    /// Bits of a number.
    width: u8,
    /// One more than the column to which the differences are; 0 for none.
    beside: u8,
}

/// The numbers of all full groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Column {
    groups: Vec<Packed>,
    words: Vec<u64>,
}

/// The numbers of one group.
pub(super) type Group = [u64; GROUP];

impl Column {
    /// Full groups that it has.
    pub(super) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.groups.len() * size_of::<Packed>() + self.words.len() * 8
    }

    /// Adds a group; `earlier` are the same rows of the columns before this one.
    pub(super) fn push(&mut self, numbers: &Group, earlier: &[Group]) {
        let (mut best, mut least) = (width(numbers), 0);
        let mut beside = 0_u8;
        if best.1 > 0 {
            for (at, other) in earlier.iter().enumerate() {
                let differences = std::array::from_fn(|row| numbers[row].wrapping_sub(other[row]));
                let found = width(&differences);
                if found.1 < best.1 {
                    best = found;
                    beside = u8::try_from(at + 1).unwrap_or(0);
                }
                if best.1 == 0 {
                    break;
                }
            }
        }
        if let Some(other) = usize::from(beside).checked_sub(1).map(|at| &earlier[at]) {
            let differences: Group =
                std::array::from_fn(|row| numbers[row].wrapping_sub(other[row]));
            least = best.0;
            self.pack(&differences, least, best.1, beside);
        } else {
            least += best.0;
            self.pack(numbers, least, best.1, 0);
        }
    }

    fn pack(&mut self, numbers: &Group, least: u64, width: u8, beside: u8) {
        let start = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
        self.groups.push(Packed {
            least,
            start,
            width,
            beside,
        });
        let first = self.words.len();
        self.words.resize(first + 2 * usize::from(width), 0);
        let words = &mut self.words[first..];
        let bits = usize::from(width);
        if bits == 0 {
            return;
        }
        for (row, number) in numbers.iter().enumerate() {
            let number = number.wrapping_sub(least);
            let bit = row * bits;
            let (word, shift) = (bit / 64, bit % 64);
            words[word] |= number << shift;
            if shift + bits > 64 {
                words[word + 1] |= number >> (64 - shift);
            }
        }
    }

    /// The numbers of a group as they are packed, and the column to which they are differences.
    pub(super) fn unpack(&self, group: usize, numbers: &mut Group) -> Result<Option<usize>, Fault> {
        let packed = self.groups.get(group).ok_or(Fault::Group)?;
        let bits = usize::from(packed.width);
        let start = packed.start as usize;
        let words = self
            .words
            .get(start..start + 2 * bits)
            .ok_or(Fault::Group)?;
        if bits == 0 {
            numbers.fill(packed.least);
        } else {
            let mask = u64::MAX >> (64 - bits);
            for (row, number) in numbers.iter_mut().enumerate() {
                let bit = row * bits;
                let (word, shift) = (bit / 64, bit % 64);
                let mut value = words[word] >> shift;
                if shift + bits > 64 {
                    value |= words[word + 1] << (64 - shift);
                }
                *number = (value & mask).wrapping_add(packed.least);
            }
        }
        Ok(usize::from(packed.beside).checked_sub(1))
    }

    /// Whether a number of the group can lie in one of the ranges.
    pub(super) fn can_have(&self, group: usize, ranges: &[(u64, u64)]) -> bool {
        let Some(packed) = self.groups.get(group).filter(|packed| packed.beside == 0) else {
            return true;
        };
        let most = match packed.width {
            64 => u64::MAX,
            width => packed.least.saturating_add((1 << width) - 1),
        };
        ranges
            .iter()
            .any(|&(low, high)| low <= most && high >= packed.least)
    }

    pub(super) fn encode(&self, target: &mut Vec<u8>) {
        put(target, self.groups.len() as u64);
        for packed in &self.groups {
            target.extend_from_slice(&[packed.width, packed.beside]);
            put(target, packed.least);
        }
        for word in &self.words {
            target.extend_from_slice(&word.to_le_bytes());
        }
    }

    /// Reads column number `own`.
    pub(super) fn decode(bytes: &[u8], own: usize) -> Result<Self, Fault> {
        let mut reader = Reader::new(bytes);
        let count = reader.length()?;
        let mut groups = Vec::with_capacity(count);
        let mut start = 0;
        for _ in 0..count {
            let (width, beside) = (reader.byte()?, reader.byte()?);
            if width > 64 || usize::from(beside) > own {
                return Err(Fault::Group);
            }
            let least = reader.number()?;
            groups.push(Packed {
                least,
                start,
                width,
                beside,
            });
            start += 2 * u32::from(width);
        }
        let rest = reader.rest();
        let (words, odd) = rest.as_chunks::<8>();
        if words.len() != start as usize || !odd.is_empty() {
            return Err(Fault::Cut);
        }
        let words = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        Ok(Self { groups, words })
    }
}

/// The least of the numbers, as signed ones, and the bits of what the others have beyond.
fn width(numbers: &Group) -> (u64, u8) {
    let signed = |number: u64| number.cast_signed();
    let (mut least, mut most) = (signed(numbers[0]), signed(numbers[0]));
    for &number in numbers {
        least = least.min(signed(number));
        most = most.max(signed(number));
    }
    let least = least.cast_unsigned();
    let span = most.cast_unsigned().wrapping_sub(least);
    // At most 64.
    (least, u8::try_from(64 - span.leading_zeros()).unwrap_or(64))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use fieldledger_chance::proptest_config;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn what_is_packed_is_unpacked(
            one in vec(any::<u64>(), GROUP),
            base in any::<u64>(),
            small in vec(0_u64..5_000, GROUP),
        ) {
            let one: Group = one.try_into().unwrap();
            let small: Group = small.try_into().unwrap();
            let two: Group = std::array::from_fn(|row| one[row].wrapping_add(small[row]));
            let three = small.map(|number| base.wrapping_add(number));
            let columns = [one, two, three, one];
            for own in 0..columns.len() {
                let mut column = Column::default();
                column.push(&columns[own], &columns[..own]);
                column.push(&small, &[]);
                let mut bytes = Vec::new();
                column.encode(&mut bytes);
                let read = Column::decode(&bytes, own).unwrap();
                prop_assert_eq!(&read, &column);
                let mut found = [0; GROUP];
                let beside = read.unpack(0, &mut found).unwrap();
                if let Some(beside) = beside {
                    for (number, other) in found.iter_mut().zip(&columns[beside]) {
                        *number = number.wrapping_add(*other);
                    }
                }
                prop_assert_eq!(found, columns[own]);
                prop_assert!(beside.is_some() || read.can_have(0, &[(found[7], found[7])]) || found.iter().any(|n| n.cast_signed() < 0));
                prop_assert_eq!(read.unpack(1, &mut found).unwrap(), None);
                prop_assert_eq!(found, small);
            }
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes in vec(any::<u8>(), 0..300)) {
            if let Ok(column) = Column::decode(&bytes, 3) {
                for group in 0..column.groups() {
                    prop_assert!(column.unpack(group, &mut [0; GROUP]).is_ok());
                }
            }
        }
    }
}
