//! Polls that are due, and which of them is sent next.
//!
//! First come, first served, but for this: sensors that did not answer their last poll are at most half
//! of the polls under way. A silent one takes a place for the whole timeout, one that
//! answers for milliseconds; thousands that were announced and do not exist would take all.

use std::collections::{HashSet, VecDeque};

use uuid::Uuid;

#[derive(Debug, Default)]
pub(crate) struct PollQueue {
    answering: VecDeque<(u64, Uuid)>,
    silent: VecDeque<(u64, Uuid)>,
    /// How many have been added.
    count: u64,
    /// Numbers of polls under way to silent sensors.
    silent_under_way: HashSet<u64>,
    silent_max: usize,
}

impl PollQueue {
    pub(crate) fn new(outstanding_max: usize) -> Self {
        Self {
            silent_max: (outstanding_max / 2).max(1),
            ..Self::default()
        }
    }

    pub(crate) fn add(&mut self, sensor: Uuid, is_silent: bool) {
        self.count += 1;
        let queue = match is_silent {
            true => &mut self.silent,
            false => &mut self.answering,
        };
        queue.push_back((self.count, sensor));
    }

    /// Who is polled next, and whether it is a silent one.
    pub(crate) fn next(&mut self) -> Option<(Uuid, bool)> {
        let has_room = self.silent_under_way.len() < self.silent_max;
        let silent = self.silent.front().filter(|_| has_room);
        let is_silent = match (self.answering.front(), silent) {
            (Some((answering, _)), Some((silent, _))) => silent < answering,
            (_, silent) => silent.is_some(),
        };
        let queue = match is_silent {
            true => &mut self.silent,
            false => &mut self.answering,
        };
        queue.pop_front().map(|(_, sensor)| (sensor, is_silent))
    }

    pub(crate) fn sent(&mut self, number: u64, is_silent: bool) {
        if is_silent {
            self.silent_under_way.insert(number);
        }
    }

    pub(crate) fn ended(&mut self, number: u64) {
        self.silent_under_way.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_silent_take_half_and_otherwise_it_is_first_come_first_served() {
        let mut queue = PollQueue::new(4);
        let ids: Vec<Uuid> = (0..8).map(Uuid::from_u128).collect();
        for (index, id) in ids.iter().enumerate() {
            queue.add(*id, index < 5);
        }
        let mut order = Vec::new();
        for number in 0..5 {
            let Some((sensor, is_silent)) = queue.next() else {
                break;
            };
            queue.sent(number, is_silent);
            order.push(sensor);
        }
        assert_eq!(order, [ids[0], ids[1], ids[5], ids[6], ids[7]]);
        assert_eq!(queue.next(), None, "two silent ones are under way");
        queue.ended(0);
        assert_eq!(queue.next(), Some((ids[2], true)));
    }
}
