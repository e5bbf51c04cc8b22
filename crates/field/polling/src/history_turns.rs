//! Whose history is taken next, where more comes than there is room for.
//!
//! All of them share one rate. Who finds no room gets in line, and for the first in line room is kept: all
//! others leave as much as the longest message needs. So beside a device that sends as much as it can one
//! that sends little is taken when it sends again. Who is not heard of for [`PATIENCE`] has left the line.

use fieldledger_wire::bulk::MAX_BULK_READINGS;
use uuid::Uuid;

use crate::token_bucket::TokenBucket;

/// Microseconds. Our devices send again after 10 s what was not acknowledged, and then after 20.
const PATIENCE: u64 = 25_000_000;

/// Readings of the longest message.
const LONGEST: u32 = MAX_BULK_READINGS as u32;

/// So many stand in line. Who comes when it is full is not taken, and comes again.
const LINE_MAX: usize = 1_024;

#[derive(Debug)]
struct Waiting {
    sensor: Uuid,
    heard_at: u64,
}

#[derive(Debug)]
pub(crate) struct HistoryTurns {
    bucket: TokenBucket,
    /// First come, first served.
    line: Vec<Waiting>,
}

impl HistoryTurns {
    pub(crate) fn new(per_second: u32, steady_now: u64) -> Self {
        // The longest message must find room, however slowly it comes.
        let burst = per_second.max(LONGEST);
        Self {
            bucket: TokenBucket::full(per_second, burst, steady_now),
            line: Vec::new(),
        }
    }

    /// Whether so many readings of this sensor's are taken now. If not, it is in line.
    pub(crate) fn take(&mut self, sensor: Uuid, readings: u32, steady_now: u64) -> bool {
        let is_here = |waiting: &Waiting| steady_now.saturating_sub(waiting.heard_at) < PATIENCE;
        self.line.retain(is_here);
        let place = self.line.iter().position(|one| one.sensor == sensor);
        let is_next = place.unwrap_or(self.line.len()) == 0;
        let kept = if is_next { 0 } else { LONGEST };
        if self.bucket.take_leaving(readings, kept, steady_now) {
            if let Some(place) = place {
                self.line.remove(place);
            }
            return true;
        }
        match place {
            Some(place) => self.line[place].heard_at = steady_now,
            None if self.line.len() < LINE_MAX => self.line.push(Waiting {
                sensor,
                heard_at: steady_now,
            }),
            None => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn turns() -> HistoryTurns {
        HistoryTurns::new(1_000, 0)
    }

    #[test]
    fn beside_a_flood_everybody_else_is_taken_in_turn() {
        let mut turns = turns();
        let (flood, first, second) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let mut taken = std::collections::HashMap::new();
        for step in 0..600 {
            let now = step * SECOND / 10;
            for _ in 0..20 {
                if turns.take(flood, 1_000, now) {
                    *taken.entry(flood).or_insert(0) += 1;
                }
            }
            // These send every two seconds.
            for sensor in [first, second] {
                if step % 20 == 5 && turns.take(sensor, 1_000, now) {
                    *taken.entry(sensor).or_insert(0) += 1;
                }
            }
        }
        // In a minute 60 messages find room, and these have sent 30 each.
        for sensor in [first, second] {
            let count = taken.get(&sensor).copied().unwrap_or(0);
            assert!(count >= 14, "{sensor}: {count} beside {taken:?}");
        }
    }

    #[test]
    fn who_leaves_the_line_keeps_its_room_for_a_while_and_holds_nobody_up() {
        let mut turns = HistoryTurns::new(3_000, 0);
        let (gone, next, other) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        while turns.take(other, 1_000, 0) {}
        // Each is in line behind the one before, and the first is served.
        assert!(!turns.take(gone, 1_000, 0));
        assert!(!turns.take(next, 1_000, 0));
        assert!(turns.take(other, 1_000, SECOND));
        assert!(!turns.take(other, 1_000, SECOND), "what is left is kept");
        assert!(turns.take(other, 1_000, 2 * SECOND), "there is more by now");
        assert!(!turns.take(next, 2_000, 24 * SECOND), "it is not the first");
        assert!(turns.take(next, 2_000, 25 * SECOND), "now it is");
        assert!(turns.line.iter().all(|one| one.sensor != gone));
    }

    #[test]
    fn the_line_is_no_longer_than_it_may_be() {
        let mut turns = turns();
        for n in 0..10_000 {
            turns.take(Uuid::from_u128(n), 1_000, 0);
        }
        assert_eq!(turns.line.len(), LINE_MAX);
    }
}
