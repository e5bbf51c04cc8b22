//! How one boot of a device counts: where its numbers are, and what a further one means.
//!
//! Whether a number can follow another is a question of time: a device is polled ten times a second at
//! most, so it cannot have used up more numbers than that, with some slack. What lies further away is
//! no hole but a leap, such as that of a number with a bit wrong, or a second device with the same id.
//! A boot has two counts at most, and the one that a number goes on with is found by the same rule, so
//! that a device which leapt may go on from there, or go back.

use serde::{Deserialize, Serialize};

/// Microseconds between two readings of a device at the least: the shortest interval of polls
/// (`fieldledger_wire::heartbeat::POLL_INTERVALS_MS`).
const SHORTEST_INTERVAL: u64 = 100_000;

/// Numbers that a device may have used up beyond that: for polls that were close, and for times that
/// are not exact.
const SLACK: u64 = 100;

/// How far from its end a counter may be when it begins again, beyond what the time explains.
const NEAR_THE_END: u64 = 8;

/// Bits of the counters that are known to wrap.
const COUNTER_BITS: [u32; 3] = [8, 16, 32];

/// A reading with a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Numbered {
    /// As the log counts: what the device said, and the rounds of its counter before.
    pub(crate) number: u64,
    /// Its entry.
    pub(crate) index: u64,
    pub(crate) polled_at: u64,
    pub(crate) device_at: Option<u64>,
}

/// What is known of one boot's numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Numbering {
    pub(crate) boot: String,
    pub(crate) first: Numbered,
    /// The newest of the count that the device is at.
    pub(crate) last: Numbered,
    /// The newest of the other count, where it leapt.
    #[serde(default)]
    pub(crate) other: Option<Numbered>,
    /// How much higher the log counts than the device says, because its counter began again.
    #[serde(default)]
    pub(crate) offset: u64,
    /// Numbers in a round of its counter, once it began again.
    #[serde(default)]
    pub(crate) round: Option<u64>,
    /// Microseconds between two readings that followed each other.
    #[serde(default)]
    step: u64,
}

/// What a further number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It follows the one before.
    Next,
    /// Numbers between these two are missing.
    Hole([Numbered; 2]),
    /// It is further away than the device can have counted.
    Jump([Numbered; 2]),
    /// It lies among those that are known.
    Inside,
}

impl Numbering {
    pub(crate) fn new(boot: &str, reading: Numbered) -> Self {
        Self {
            boot: boot.to_owned(),
            first: reading,
            last: reading,
            other: None,
            offset: 0,
            round: None,
            step: 0,
        }
    }

    /// Takes a number into account that the log did not have.
    pub(crate) fn advance(&mut self, reading: Numbered) -> Step {
        let follows =
            |before: &Numbered| reading.number > before.number && is_within_reach(before, &reading);
        if follows(&self.last) {
            let before = std::mem::replace(&mut self.last, reading);
            if before.number + 1 == reading.number {
                self.step = reading.polled_at.saturating_sub(before.polled_at);
            }
            return between(before, reading);
        }
        if let Some(other) = self.other.filter(follows) {
            self.other = Some(std::mem::replace(&mut self.last, reading));
            return between(other, reading);
        }
        let before = self.last;
        if reading.number > before.number {
            self.other = Some(std::mem::replace(&mut self.last, reading));
            return Step::Jump([before, reading]);
        }
        if reading.number >= self.first.number {
            return Step::Inside;
        }
        let first = std::mem::replace(&mut self.first, reading);
        if is_within_reach(&reading, &first) {
            return between(reading, first);
        }
        self.other = Some(std::mem::replace(&mut self.last, reading));
        Step::Jump([before, reading])
    }

    /// Whether a number goes back to the count that the device had left.
    pub(crate) fn goes_back(&self, reading: &Numbered) -> bool {
        let other = self.other.as_ref();
        other.is_some_and(|other| reading.number > other.number && is_within_reach(other, reading))
    }

    /// Where a counter began again with the number that the device said: how many numbers a round of
    /// it has.
    pub(crate) fn wrapped(&self, said: u64, polled_at: u64) -> Option<u64> {
        let last = self.last.number.checked_sub(self.offset)?;
        if said >= last {
            return None;
        }
        let passed = polled_at.saturating_sub(self.last.polled_at);
        let expected = passed.checked_div(self.step).unwrap_or(0);
        let near = NEAR_THE_END.saturating_add(expected.saturating_mul(2));
        let ends = match self.round {
            Some(round) => vec![round],
            None => COUNTER_BITS.map(|bits| 1_u64 << bits).to_vec(),
        };
        let is_near = |round: &u64| {
            let distance = (said + round).checked_sub(last);
            distance.is_some_and(|distance| distance <= near.min(round / 2)) && last < *round + 1
        };
        let round = ends.into_iter().find(is_near)?;
        // A counter that leaves out 0 has one number less. Where the 0 was lost instead, that is not
        // seen, and better so than a gap at the end of every round.
        let leaves_out_zero = self.round.is_none() && said == 1 && last == round - 1;
        Some(if leaves_out_zero { round - 1 } else { round })
    }

    /// The device's counter began again.
    pub(crate) fn begin_round(&mut self, round: u64) {
        self.offset = self.offset.saturating_add(round);
        self.round = Some(round);
    }

    /// Notes how the log counts a number that the device said.
    pub(crate) fn note_said(&mut self, said: u64, number: u64) {
        if let Some(offset) = number.checked_sub(said)
            && offset > self.offset
        {
            self.round = Some(offset - self.offset);
            self.offset = offset;
        }
    }
}

/// Whether a device can have counted from one to the other in the time between.
fn is_within_reach(lower: &Numbered, higher: &Numbered) -> bool {
    let passed = higher.polled_at.abs_diff(lower.polled_at);
    let most = (passed / SHORTEST_INTERVAL).saturating_add(SLACK);
    higher.number.saturating_sub(lower.number) <= most
}

fn between(before: Numbered, after: Numbered) -> Step {
    if before.number + 1 == after.number {
        Step::Next
    } else {
        Step::Hole([before, after])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn at(number: u64, second: u64) -> Numbered {
        Numbered {
            number,
            index: second,
            polled_at: second * SECOND,
            device_at: None,
        }
    }

    /// A device that was polled every second and counted from `first`.
    fn counted(first: u64, last: u64) -> Numbering {
        let mut numbering = Numbering::new("b", at(first, 0));
        for number in first + 1..=last {
            assert_eq!(numbering.advance(at(number, number - first)), Step::Next);
        }
        numbering
    }

    #[test]
    fn what_the_device_could_have_sent_is_a_hole_and_more_is_a_jump() {
        for (passed, number, is_hole) in [
            (1, 111, true),
            (1, 121, false),
            (3_600, 36_000, true),
            (3_600, 40_000, false),
            (3_600, 9_000_000_000_000_000, false),
        ] {
            let mut numbering = counted(1, 10);
            let step = numbering.advance(at(number, 9 + passed));
            assert_eq!(matches!(step, Step::Hole(_)), is_hole, "{number}: {step:?}");
            assert_eq!(
                matches!(step, Step::Jump(_)),
                !is_hole,
                "{number}: {step:?}"
            );
        }
    }

    #[test]
    fn after_a_jump_the_device_may_go_on_or_go_back() {
        let absurd = 9_000_000_000_000_000;
        let mut back = counted(1, 10);
        assert!(matches!(back.advance(at(absurd, 10)), Step::Jump(_)));
        assert!(back.goes_back(&at(11, 11)));
        assert_eq!(back.advance(at(11, 11)), Step::Next);
        assert_eq!(back.advance(at(12, 12)), Step::Next);
        assert_eq!(back.advance(at(5, 5)), Step::Inside);
        assert!(matches!(back.advance(at(14, 14)), Step::Hole(_)));

        let mut on = counted(1, 10);
        assert!(matches!(on.advance(at(absurd, 10)), Step::Jump(_)));
        assert_eq!(on.advance(at(absurd + 1, 11)), Step::Next);
    }

    #[test]
    fn two_devices_with_one_id_and_boot_are_two_counts() {
        let mut numbering = counted(100_000, 100_010);
        assert!(matches!(numbering.advance(at(5, 11)), Step::Jump(_)));
        for second in 1..50 {
            assert_eq!(
                numbering.advance(at(100_010 + second, 11 + second)),
                Step::Next
            );
            assert_eq!(numbering.advance(at(5 + second, 11 + second)), Step::Next);
        }
    }

    #[test]
    fn counters_of_8_16_and_32_bits_begin_again() {
        for bits in [8, 16, 32] {
            let round = 1_u64 << bits;
            let numbering = counted(round - 60, round - 1);
            assert_eq!(numbering.wrapped(0, 60 * SECOND), Some(round));
            // One that leaves out the 0.
            assert_eq!(numbering.wrapped(1, 60 * SECOND), Some(round - 1));
            // A few were lost around it.
            assert_eq!(numbering.wrapped(3, 62 * SECOND), Some(round));
            // A device that restarts counts from 1 as well, but not from near the end.
            let numbering = counted(round - 160, round - 60);
            assert_eq!(numbering.wrapped(1, 101 * SECOND), None);
        }
    }

    #[test]
    fn a_counter_keeps_its_width() {
        let mut numbering = counted(65_500, 65_535);
        let round = numbering.wrapped(0, 36 * SECOND).unwrap();
        numbering.begin_round(round);
        numbering.advance(at(65_536, 36));
        for number in 65_537..65_536 + 256 {
            numbering.advance(at(number, number - 65_500));
        }
        // 255 is the end of no counter of 16 bits.
        assert_eq!(numbering.wrapped(0, (65_536 + 256 - 65_500) * SECOND), None);
        assert_eq!((numbering.offset, numbering.round), (65_536, Some(65_536)));
        let mut replayed = counted(65_500, 65_535);
        replayed.note_said(0, 65_536);
        assert_eq!((replayed.offset, replayed.round), (65_536, Some(65_536)));
    }
}
