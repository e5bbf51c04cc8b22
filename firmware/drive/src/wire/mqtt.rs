//! MQTT: clean sessions, QoS 0.

use embassy_time::{Duration, Instant};

use super::{Heard, MAX_SILENT_TIMES, PING_AFTER, Wire, WireError};
use crate::client::Client;
use crate::mqtt::{Incoming, Outgoing, Packet};

/// What the broker is told: after one and a half times this in silence it gives the device up.
const KEEP_ALIVE_SECONDS: u16 = 10;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The broker has been told nothing.
    Begun,
    /// It has not said whether it takes the device.
    Introduced,
    /// It takes it.
    Welcome,
}

#[derive(Debug)]
pub(super) struct MqttWire<const OUT: usize, const IN: usize> {
    outgoing: Outgoing<OUT>,
    incoming: Incoming<IN>,
    phase: Phase,
    /// How many subscriptions there were; the number of the last one.
    subscriptions: u16,
    sent_at: Instant,
    heard_at: Instant,
}

impl<const OUT: usize, const IN: usize> MqttWire<OUT, IN> {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            outgoing: Outgoing::new(),
            incoming: Incoming::new(),
            phase: Phase::Begun,
            subscriptions: 0,
            sent_at: now,
            heard_at: now,
        }
    }
}

impl<const OUT: usize, const IN: usize> Wire for MqttWire<OUT, IN> {
    fn introduce(&mut self, client: &Client<'_>) -> Result<(), WireError> {
        if self.phase == Phase::Begun {
            self.outgoing.connect(client, KEEP_ALIVE_SECONDS)?;
            self.phase = Phase::Introduced;
        }
        Ok(())
    }

    fn subscribe(&mut self, topic: &str) -> Result<(), WireError> {
        // Never zero (section 2.3.1).
        self.subscriptions = self.subscriptions.checked_add(1).unwrap_or(1);
        Ok(self.outgoing.subscribe(self.subscriptions, topic)?)
    }

    fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), WireError> {
        Ok(self.outgoing.publish(topic, payload)?)
    }

    fn leave(&mut self) -> Result<(), WireError> {
        Ok(self.outgoing.disconnect()?)
    }

    fn keep_alive(&mut self, now: Instant) -> Result<(), WireError> {
        let silence_limit: Duration = PING_AFTER * u32::from(MAX_SILENT_TIMES);
        if now.saturating_duration_since(self.heard_at) >= silence_limit {
            return Err(WireError::Silent);
        }
        let quiet = self.heard_at.min(self.sent_at);
        if now.saturating_duration_since(quiet) >= PING_AFTER {
            self.outgoing.ping()?;
        }
        Ok(())
    }

    fn output(&mut self) -> &[u8] {
        self.outgoing.bytes()
    }

    fn sent(&mut self, bytes: usize, now: Instant) {
        self.outgoing.sent(bytes);
        self.sent_at = now;
    }

    fn room(&mut self) -> &mut [u8] {
        self.incoming.room()
    }

    fn arrived(&mut self, bytes: usize, now: Instant) {
        self.incoming.arrived(bytes);
        self.heard_at = now;
    }

    fn hear(&mut self) -> Result<Option<Heard<'_>>, WireError> {
        let Some(packet) = self.incoming.packet()? else {
            return Ok(None);
        };
        let heard = match (packet, self.phase) {
            (Packet::Connected { .. }, Phase::Welcome) => return Err(WireError::SecondWelcome),
            (Packet::Connected { code: 0 }, _) => {
                self.phase = Phase::Welcome;
                Heard::Welcome
            }
            (Packet::Connected { code }, _) => return Err(WireError::Refused(code)),
            // That packet is a broker's first one (section 3.2).
            (_, Phase::Begun | Phase::Introduced) => return Err(WireError::NoWelcome),
            (Packet::Message { topic, payload }, _) => Heard::Message {
                topic,
                reply: None,
                payload,
            },
            (Packet::Subscribed { is_granted: false }, _) => return Err(WireError::NotGranted),
            (Packet::TooLong { bytes }, _) => Heard::TooLong { bytes },
            (Packet::Subscribed { is_granted: true } | Packet::Pong, _) => Heard::Other,
        };
        Ok(Some(heard))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::vec::Vec;

    use super::*;

    const CLIENT: Client<'static> = Client {
        id: "device",
        login: None,
        nkey: None,
    };

    const WELCOME: &[u8] = &[0x20, 2, 0, 0];

    /// A connection on which the device has introduced itself, and then this has arrived.
    fn introduced(bytes: &[u8]) -> MqttWire<200, 64> {
        let mut wire = MqttWire::new(Instant::from_secs(0));
        for _again in 0..2 {
            wire.introduce(&CLIENT).unwrap();
        }
        assert_eq!(taken(&mut wire)[0], 0x10, "it introduces itself first");
        arrive(&mut wire, bytes, 0);
        wire
    }

    fn arrive(wire: &mut impl Wire, bytes: &[u8], second: u64) {
        wire.room()[..bytes.len()].copy_from_slice(bytes);
        wire.arrived(bytes.len(), Instant::from_secs(second));
    }

    fn taken(wire: &mut impl Wire) -> Vec<u8> {
        let bytes = wire.output().to_vec();
        wire.sent(bytes.len(), Instant::from_secs(0));
        assert!(wire.output().is_empty());
        bytes
    }

    #[test]
    fn a_broker_takes_a_device_once_and_before_anything_else() {
        let mut wire = introduced(&[WELCOME, WELCOME].concat());
        assert_eq!(wire.hear(), Ok(Some(Heard::Welcome)));
        assert_eq!(wire.hear(), Err(WireError::SecondWelcome));
        let mut wire = introduced(&[0xd0, 0]);
        assert_eq!(wire.hear(), Err(WireError::NoWelcome));
        let mut wire = introduced(&[0x20, 2, 0, 5]);
        assert_eq!(wire.hear(), Err(WireError::Refused(5)));
    }

    #[test]
    fn a_message_has_no_reply_and_a_refused_subscription_is_the_end() {
        let message = [0x30, 4, 0, 1, b'a', b'1'];
        let mut wire = introduced(&[WELCOME, &message, &[0x90, 3, 0, 1, 0x80]].concat());
        assert_eq!(wire.hear(), Ok(Some(Heard::Welcome)));
        let heard = Heard::Message {
            topic: "a",
            reply: None,
            payload: b"1",
        };
        assert_eq!(wire.hear(), Ok(Some(heard)));
        assert_eq!(wire.hear(), Err(WireError::NotGranted));
    }

    #[test]
    fn a_broker_is_asked_after_five_seconds_and_given_up_after_fifteen() {
        let mut wire = introduced(WELCOME);
        assert_eq!(wire.hear(), Ok(Some(Heard::Welcome)));
        for (second, asks) in [(4, false), (5, true), (14, true)] {
            assert_eq!(wire.keep_alive(Instant::from_secs(second)), Ok(()));
            assert_eq!(!taken(&mut wire).is_empty(), asks, "after {second} s");
        }
        arrive(&mut wire, &[0xd0, 0], 14);
        assert_eq!(wire.hear(), Ok(Some(Heard::Other)));
        assert_eq!(wire.keep_alive(Instant::from_secs(28)), Ok(()));
        let silent = wire.keep_alive(Instant::from_secs(29));
        assert_eq!(silent, Err(WireError::Silent));
    }
}
