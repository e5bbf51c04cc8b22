//! Which broker next.
//!
//! A device has a ranked list. It begins with the first; where one cannot be reached or is lost it takes
//! the next, and after the last waits before it begins again: a second at first, twice as long each
//! round, a minute at most. From a broker that is not the first it returns after a while, trying the
//! better ones in their order, and ends where it was if none of them can be reached.

use heapless::{String, Vec};

use crate::clock::SECOND;

/// Most brokers in a list.
pub const MAX_BROKERS: usize = 8;

/// The longest address, in bytes.
pub const MAX_ADDRESS_BYTES: usize = 96;

/// Wait after the first round in vain, microseconds.
const FIRST_WAIT: u64 = SECOND;

/// The longest wait between rounds, microseconds.
const LONGEST_WAIT: u64 = 60 * SECOND;

/// The address of a broker, as the program understands it.
pub type Address = String<MAX_ADDRESS_BYTES>;

/// Where a device stands with its broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The current one is to be tried at this time.
    Due(u64),
    /// The program is trying it.
    Trying,
    /// Connected since.
    Connected(u64),
}

/// A ranked list and the place in it.
#[derive(Debug, Clone)]
pub struct Brokers {
    list: Vec<Address, MAX_BROKERS>,
    version: u64,
    current: usize,
    state: State,
    wait: u64,
    return_after: u64,
}

impl Brokers {
    /// Begins with the first of `list`, at once.
    #[must_use]
    pub fn new(list: Vec<Address, MAX_BROKERS>, return_after: u64) -> Self {
        Self {
            list,
            version: 0,
            current: 0,
            state: State::Due(0),
            wait: FIRST_WAIT,
            return_after,
        }
    }

    /// The list, best first.
    #[must_use]
    pub fn list(&self) -> &[Address] {
        &self.list
    }

    /// The broker that is tried or connected.
    #[must_use]
    pub fn current(&self) -> Option<&Address> {
        self.list.get(self.current)
    }

    /// The broker to try now, if it is time.
    pub(crate) fn next(&mut self, up: u64) -> Option<Address> {
        if self.list.is_empty() || self.wake_at()? > up {
            return None;
        }
        if matches!(self.state, State::Connected(_)) {
            self.current = 0;
        }
        self.state = State::Trying;
        self.current().cloned()
    }

    /// When [`Brokers::next`] has something to say.
    pub(crate) fn wake_at(&self) -> Option<u64> {
        match self.state {
            State::Due(at) => Some(at),
            State::Connected(since) if self.current > 0 => {
                Some(since.saturating_add(self.return_after))
            }
            State::Trying | State::Connected(_) => None,
        }
    }

    pub(crate) fn connected(&mut self, up: u64) {
        self.state = State::Connected(up);
        self.wait = FIRST_WAIT;
    }

    /// It could not be reached, or was lost.
    pub(crate) fn failed(&mut self, up: u64) {
        // Lost while connected: it may be back at once, or the better ones are.
        if matches!(self.state, State::Connected(_)) && self.current > 0 {
            self.current = 0;
            self.state = State::Due(up);
            return;
        }
        self.current += 1;
        if self.current < self.list.len() {
            self.state = State::Due(up);
            return;
        }
        self.current = 0;
        self.state = State::Due(up.saturating_add(self.wait));
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
    }

    /// Takes a newer list. The connection stays where the broker is in it still.
    ///
    /// True where it was newer and not empty.
    pub(crate) fn replace(
        &mut self,
        list: Vec<Address, MAX_BROKERS>,
        version: u64,
        up: u64,
    ) -> bool {
        if version <= self.version || list.is_empty() {
            return false;
        }
        let place = self
            .current()
            .and_then(|current| list.iter().position(|address| address == current));
        self.version = version;
        self.list = list;
        match place {
            Some(place) => self.current = place,
            None => {
                self.current = 0;
                self.state = State::Due(up);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn list(names: &[&str]) -> Vec<Address, MAX_BROKERS> {
        names
            .iter()
            .map(|name| Address::try_from(*name).unwrap())
            .collect()
    }

    fn brokers() -> Brokers {
        Brokers::new(list(&["a", "b", "c"]), 600 * SECOND)
    }

    fn try_at(brokers: &mut Brokers, up: u64) -> Option<std::string::String> {
        brokers.next(up).map(|address| address.as_str().into())
    }

    #[test]
    fn each_is_tried_in_turn_and_then_again_after_a_wait_that_grows() {
        let mut brokers = brokers();
        let mut up = 0;
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            for name in ["a", "b", "c"] {
                assert_eq!(try_at(&mut brokers, up).as_deref(), Some(name));
                assert_eq!(try_at(&mut brokers, up), None, "it is being tried");
                brokers.failed(up);
            }
            assert_eq!(try_at(&mut brokers, up + wait * SECOND - 1), None);
            up += wait * SECOND;
            assert_eq!(brokers.wake_at(), Some(up));
        }
    }

    #[test]
    fn a_device_returns_to_the_best_and_falls_back_where_that_is_not_there() {
        let mut brokers = brokers();
        assert_eq!(try_at(&mut brokers, 0).as_deref(), Some("a"));
        brokers.failed(0);
        assert_eq!(try_at(&mut brokers, 0).as_deref(), Some("b"));
        brokers.connected(5);
        let back = 5 + 600 * SECOND;
        assert_eq!(brokers.wake_at(), Some(back));
        assert_eq!(try_at(&mut brokers, back - 1), None);
        assert_eq!(try_at(&mut brokers, back).as_deref(), Some("a"));
        brokers.failed(back);
        assert_eq!(try_at(&mut brokers, back).as_deref(), Some("b"));
        brokers.connected(back);
        assert_eq!(brokers.wake_at(), Some(back + 600 * SECOND));
    }

    #[test]
    fn the_best_is_not_left_for_a_better_one() {
        let mut brokers = brokers();
        assert_eq!(try_at(&mut brokers, 0).as_deref(), Some("a"));
        brokers.connected(0);
        assert_eq!(brokers.wake_at(), None);
        brokers.failed(9);
        assert_eq!(try_at(&mut brokers, 9).as_deref(), Some("b"));
        brokers.connected(9);
        brokers.failed(10);
        assert_eq!(try_at(&mut brokers, 10).as_deref(), Some("a"));
    }

    #[test]
    fn a_newer_list_keeps_the_connection_where_it_can() {
        let mut brokers = brokers();
        assert!(try_at(&mut brokers, 0).is_some());
        brokers.connected(0);
        assert!(brokers.replace(list(&["d", "a"]), 1, 1));
        assert_eq!(brokers.current().unwrap(), "a");
        assert_eq!(brokers.wake_at(), Some(600 * SECOND), "d is better");
        assert!(!brokers.replace(list(&["x"]), 1, 2), "an old list");
        assert!(!brokers.replace(list(&[]), 2, 2), "nobody left");
        assert!(brokers.replace(list(&["x", "y"]), 2, 3));
        assert_eq!(try_at(&mut brokers, 3).as_deref(), Some("x"));
    }

    #[derive(Debug, Clone)]
    enum Event {
        Connected,
        Failed,
        List(usize, u64),
        Wait(u64),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            2 => Just(Event::Connected),
            3 => Just(Event::Failed),
            1 => (0..4_usize, 0..6_u64).prop_map(|(length, version)| Event::List(length, version)),
            3 => (0..700 * SECOND).prop_map(Event::Wait),
        ]
    }

    proptest! {
        // Whatever happens, a device that is neither connected nor trying has a time to try again, a
        // minute away at most.
        #[test]
        fn a_device_never_gives_up(events in prop::collection::vec(event(), 0..60)) {
            let mut brokers = brokers();
            let mut up = 0;
            for event in events {
                match event {
                    Event::Connected if brokers.state == State::Trying => brokers.connected(up),
                    Event::Failed if !matches!(brokers.state, State::Due(_)) => brokers.failed(up),
                    Event::Connected | Event::Failed => {}
                    Event::List(length, version) => {
                        brokers.replace(list(&["c", "x", "a", "y"][..length]), version, up);
                    }
                    Event::Wait(time) => up += time,
                }
                prop_assert!(brokers.current().is_some());
                if let State::Due(at) = brokers.state {
                    prop_assert!(at <= up + LONGEST_WAIT);
                }
                if let Some(address) = brokers.next(up) {
                    prop_assert_eq!(brokers.current(), Some(&address));
                    prop_assert_eq!(brokers.state, State::Trying);
                }
            }
        }
    }
}
