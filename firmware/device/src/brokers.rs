//! Which broker next.
//!
//! A device has a ranked list. It begins with the first; where one cannot be reached or is lost it takes
//! the next, and after the last waits before it begins again: a second at first, twice as long each
//! round, a minute at most. From a broker that is not the first it returns after a while, trying the
//! better ones in their order, and ends where it was if none of them can be reached.
//!
//! A list that is sent to it goes before the one that it was configured with, which stays behind: a wrong
//! address that was sent to a thousand devices must not cost a walk to each of them. A board that has a
//! place for it keeps the sent list ([`Action::KeepBrokers`](crate::Action::KeepBrokers)) and gives it back
//! after a restart, and it counts as long as the configured one is what it was then.

use core::fmt::{self, Write};

use heapless::{String, Vec};
use sha2::{Digest as _, Sha256};

use crate::clock::SECOND;

/// Most brokers in a list.
pub const MAX_BROKERS: usize = 8;

/// The longest address, in bytes.
pub const MAX_ADDRESS_BYTES: usize = 96;

/// The longest list as it is kept, in bytes: each address with quotes and comma, and what is around them.
pub const MAX_KEPT_BYTES: usize = MAX_BROKERS * (MAX_ADDRESS_BYTES + 3) + 88;

/// Wait after the first round in vain, microseconds.
const FIRST_WAIT: u64 = SECOND;

/// The longest wait between rounds, microseconds.
const LONGEST_WAIT: u64 = 60 * SECOND;

/// The address of a broker, as the program understands it.
pub type Address = String<MAX_ADDRESS_BYTES>;

/// What tells one configured list from another, in hexadecimal digits.
pub(crate) type Fingerprint = String<16>;

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
    configured: Vec<Address, MAX_BROKERS>,
    /// What was sent, and behind it what was configured and is not among it.
    list: Vec<Address, { 2 * MAX_BROKERS }>,
    sent: usize,
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
        let mut brokers = Self {
            configured: list,
            list: Vec::new(),
            sent: 0,
            version: 0,
            current: 0,
            state: State::Due(0),
            wait: FIRST_WAIT,
            return_after,
        };
        brokers.rank(&[]);
        brokers
    }

    /// Makes the list of what was sent and what was configured.
    fn rank(&mut self, sent: &[Address]) {
        self.list.clear();
        self.sent = sent.len();
        let configured = self.configured.iter();
        let configured = configured.filter(|address| !sent.contains(address));
        // Both fit: neither is longer than half of it.
        self.list.extend(sent.iter().chain(configured).cloned());
    }

    /// What tells the configured list from another.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        for address in &self.configured {
            hash.update(address.as_bytes());
            hash.update(b"\n");
        }
        let mut text = Fingerprint::new();
        for byte in &hash.finalize()[..8] {
            // Eight bytes have sixteen digits.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// The list that was sent, to be kept where a restart does not reach it.
    pub(crate) fn write_kept(&self, text: &mut impl Write) -> fmt::Result {
        let (version, configured) = (self.version, self.fingerprint());
        write!(
            text,
            "{{\"version\":{version},\"configured\":\"{configured}\",\"brokers\":["
        )?;
        for (place, address) in self.list.iter().take(self.sent).enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(text, "{comma}\"{address}\"")?;
        }
        text.write_str("]}")
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

    /// Takes a newer list, before the configured one. A connection stays where its broker is in it still.
    ///
    /// True where it was newer and not empty.
    pub(crate) fn replace(&mut self, list: &[Address], version: u64, up: u64) -> bool {
        if version <= self.version || list.is_empty() {
            return false;
        }
        let is_used = !matches!(self.state, State::Due(_));
        let used = self.current().filter(|_| is_used);
        let place = used.and_then(|used| list.iter().position(|address| address == used));
        self.version = version;
        self.rank(list);
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
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;
    use crate::incoming;

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
        assert!(brokers.replace(&list(&["d", "a"]), 1, 1));
        assert_eq!(brokers.current().unwrap(), "a");
        assert_eq!(brokers.wake_at(), Some(600 * SECOND), "d is better");
        assert!(!brokers.replace(&list(&["x"]), 1, 2), "an old list");
        assert!(!brokers.replace(&list(&[]), 2, 2), "nobody left");
        assert!(brokers.replace(&list(&["x", "y"]), 2, 3));
        assert_eq!(try_at(&mut brokers, 3).as_deref(), Some("x"));
    }

    #[test]
    fn where_no_broker_that_was_sent_is_there_the_configured_ones_are_tried() {
        let mut brokers = brokers();
        assert!(try_at(&mut brokers, 0).is_some());
        brokers.connected(0);
        assert!(brokers.replace(&list(&["x", "b"]), 1, 1));
        for name in ["x", "b", "a", "c"] {
            assert_eq!(try_at(&mut brokers, 1).as_deref(), Some(name));
            brokers.failed(1);
        }
        assert_eq!(brokers.wake_at(), Some(1 + SECOND));
        // One of these is not where it is to stay.
        for name in ["x", "b", "a"] {
            assert_eq!(try_at(&mut brokers, 2 * SECOND).as_deref(), Some(name));
            if name != "a" {
                brokers.failed(2 * SECOND);
            }
        }
        brokers.connected(2 * SECOND);
        assert_eq!(brokers.wake_at(), Some(602 * SECOND));
        // What is sent then takes the place of what was sent before.
        assert!(brokers.replace(&list(&["y"]), 2, 3 * SECOND));
        assert_eq!(brokers.list(), &list(&["y", "a", "b", "c"])[..]);
    }

    #[test]
    fn a_sent_list_is_kept_as_json() {
        let mut brokers = brokers();
        assert!(brokers.replace(&list(&["x", "a"]), 3, 0));
        let mut text = String::<MAX_KEPT_BYTES>::new();
        brokers.write_kept(&mut text).unwrap();
        // printf 'a\nb\nc\n' | sha256sum
        let expected = r#"{"version":3,"configured":"880553fca8fcea94","brokers":["x","a"]}"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn the_longest_list_is_kept_whole() {
        let longest = |letter: char| {
            let address = |number| std::format!("{letter}{number}{}", "a".repeat(94));
            let addresses = (0..MAX_BROKERS).map(|n| Address::try_from(&*address(n)).unwrap());
            addresses.collect::<Vec<_, MAX_BROKERS>>()
        };
        let mut brokers = Brokers::new(longest('c'), 1);
        let version = (1 << 53) - 1;
        assert!(brokers.replace(&longest('s'), version, 0));
        assert_eq!(brokers.list().len(), 2 * MAX_BROKERS);
        let mut text = String::<MAX_KEPT_BYTES>::new();
        brokers.write_kept(&mut text).unwrap();
        let sent = longest('s');
        assert_eq!(incoming::brokers(text.as_bytes()), Ok((version, sent)));
        let kept = incoming::kept_brokers(text.as_bytes()).unwrap();
        assert_eq!(kept.configured, brokers.fingerprint());
        let other = Brokers::new(longest('d'), 1).fingerprint();
        assert_ne!(kept.configured, other);
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
        #![proptest_config(proptest_config())]

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
                        brokers.replace(&list(&["c", "x", "a", "y"][..length]), version, up);
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
