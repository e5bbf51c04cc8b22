//! MQTT 3.1.1 as far as a device needs it: clean sessions, QoS 0, nothing retained. No I/O.
//!
//! Section numbers are those of the standard, OASIS MQTT Version 3.1.1.

use fieldledger_record::settings::Login;
use heapless::Vec;
use thiserror::Error;

use crate::client::Client;

/// Packet types, shifted to where they stand in the first byte (section 2.2.1).
mod kind {
    pub(super) const CONNECT: u8 = 0x10;
    pub(super) const CONNACK: u8 = 0x20;
    pub(super) const PUBLISH: u8 = 0x30;
    pub(super) const SUBSCRIBE: u8 = 0x80;
    pub(super) const SUBACK: u8 = 0x90;
    pub(super) const PINGREQ: u8 = 0xc0;
    pub(super) const PINGRESP: u8 = 0xd0;
    pub(super) const DISCONNECT: u8 = 0xe0;
}

/// The return code of a subscription that was refused (section 3.9.3).
const REFUSED: u8 = 0x80;

/// Most bytes of a remaining length (section 2.2.3).
const MAX_LENGTH_BYTES: usize = 4;

/// The longest begin of a packet: type and remaining length.
const MAX_HEAD_BYTES: usize = 1 + MAX_LENGTH_BYTES;

/// What a message takes beside topic and payload.
pub const MESSAGE_OVERHEAD_BYTES: usize = MAX_HEAD_BYTES + 2;

/// A packet that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("packet has no room")]
pub struct NoRoom;

/// What no server may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// A packet that is for servers, or that answers what was never asked.
    #[error("broker sent a packet of type {0:#04x}, which no device expects")]
    Unexpected(u8),
    /// A remaining length of five bytes.
    #[error("broker sent a packet whose length has no end")]
    Length,
    /// A packet that ends too early, or too late.
    #[error("broker sent a packet whose parts are longer than it is, or shorter")]
    Parts,
    /// A topic that is no text.
    #[error("broker sent a topic that is not UTF-8")]
    Topic,
}

/// Packets that are to be sent, `N` bytes at most.
#[derive(Debug, Default)]
pub struct Outgoing<const N: usize>(Vec<u8, N>);

impl<const N: usize> Outgoing<N> {
    /// Without a packet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// What is to be sent.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// So many bytes of it were sent.
    pub fn sent(&mut self, bytes: usize) {
        let sent = bytes.min(self.0.len());
        self.0.drain(..sent);
    }

    /// Asks for a clean session (section 3.1).
    ///
    /// # Errors
    ///
    /// [`NoRoom`].
    pub fn connect(&mut self, client: &Client<'_>, keep_alive_seconds: u16) -> Result<(), NoRoom> {
        const CLEAN_SESSION: u8 = 0x02;
        const USER_AND_PASSWORD: u8 = 0xc0;
        let [high, low] = keep_alive_seconds.to_be_bytes();
        let login = if client.login.is_some() {
            USER_AND_PASSWORD
        } else {
            0
        };
        let flags = CLEAN_SESSION | login;
        let fixed = [0, 4, b'M', b'Q', b'T', b'T', 4, flags, high, low];
        let id = (&length(client.id)?, client.id.as_bytes());
        let Some(Login { user, password }) = client.login else {
            return self.packet(kind::CONNECT, &[&fixed, id.0, id.1]);
        };
        let user = (&length(user)?, user.as_bytes());
        let password = (&length(password)?, password.as_bytes());
        let parts = [
            &fixed[..],
            id.0,
            id.1,
            user.0,
            user.1,
            password.0,
            password.1,
        ];
        self.packet(kind::CONNECT, &parts)
    }

    /// Asks for one topic, at QoS 0 (section 3.8). `number` is not zero.
    ///
    /// # Errors
    ///
    /// [`NoRoom`].
    pub fn subscribe(&mut self, number: u16, topic: &str) -> Result<(), NoRoom> {
        const RESERVED: u8 = 0x02;
        let parts = [
            &number.to_be_bytes()[..],
            &length(topic)?,
            topic.as_bytes(),
            &[0],
        ];
        self.packet(kind::SUBSCRIBE | RESERVED, &parts)
    }

    /// Publishes at QoS 0 (section 3.3).
    ///
    /// # Errors
    ///
    /// [`NoRoom`].
    pub fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), NoRoom> {
        self.packet(kind::PUBLISH, &[&length(topic)?, topic.as_bytes(), payload])
    }

    /// Asks whether the server is there (section 3.12).
    ///
    /// # Errors
    ///
    /// [`NoRoom`].
    pub fn ping(&mut self) -> Result<(), NoRoom> {
        self.packet(kind::PINGREQ, &[])
    }

    /// Says goodbye (section 3.14).
    ///
    /// # Errors
    ///
    /// [`NoRoom`].
    pub fn disconnect(&mut self) -> Result<(), NoRoom> {
        self.packet(kind::DISCONNECT, &[])
    }

    /// All of a packet or nothing.
    fn packet(&mut self, first: u8, parts: &[&[u8]]) -> Result<(), NoRoom> {
        let before = self.0.len();
        let written = self.write(first, parts);
        if written.is_err() {
            self.0.truncate(before);
        }
        written
    }

    fn write(&mut self, first: u8, parts: &[&[u8]]) -> Result<(), NoRoom> {
        self.put(&[first])?;
        let mut remaining: usize = parts.iter().map(|part| part.len()).sum();
        for _ in 0..MAX_LENGTH_BYTES {
            let digit = (remaining & 0x7f) as u8;
            remaining >>= 7;
            let more = if remaining > 0 { 0x80 } else { 0 };
            self.put(&[digit | more])?;
            if remaining == 0 {
                break;
            }
        }
        if remaining > 0 {
            return Err(NoRoom);
        }
        parts.iter().try_for_each(|part| self.put(part))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), NoRoom> {
        self.0.extend_from_slice(bytes).map_err(|_full| NoRoom)
    }
}

/// The two bytes before a text (section 1.5.3).
fn length(text: &str) -> Result<[u8; 2], NoRoom> {
    let length = u16::try_from(text.len()).map_err(|_long| NoRoom)?;
    Ok(length.to_be_bytes())
}

/// What a server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The answer to the first packet; zero says that the session has begun.
    Connected {
        /// The return code (section 3.2.2.3).
        code: u8,
    },
    /// The answer to a subscription.
    Subscribed {
        /// Whether it was granted.
        is_granted: bool,
    },
    /// Somebody published.
    Message {
        /// Where.
        topic: &'a str,
        /// What.
        payload: &'a [u8],
    },
    /// The server is there.
    Pong,
    /// A packet that was too long to be kept, and was skipped.
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// Bytes that have arrived, `N` at most: a longer packet is skipped.
#[derive(Debug)]
pub struct Incoming<const N: usize> {
    buffer: [u8; N],
    length: usize,
    /// Bytes at the beginning that have been looked at.
    done: usize,
    /// Bytes of a packet that is too long which are still to come.
    skip: usize,
}

impl<const N: usize> Default for Incoming<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Incoming<N> {
    /// Before the first byte of a connection.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            buffer: [0; N],
            length: 0,
            done: 0,
            skip: 0,
        }
    }

    /// Where the next bytes go; never empty after [`Incoming::packet`] has returned `None`, unless the
    /// buffer is shorter than the head of a packet.
    pub fn room(&mut self) -> &mut [u8] {
        self.forget();
        self.buffer.get_mut(self.length..).unwrap_or_default()
    }

    /// So many bytes have arrived in the room.
    pub fn arrived(&mut self, bytes: usize) {
        self.length = (self.length + bytes).min(N);
    }

    /// The next packet, if all of it is there.
    ///
    /// # Errors
    ///
    /// What no server may send; there is nothing to be had from this connection any more.
    pub fn packet(&mut self) -> Result<Option<Packet<'_>>, ProtocolError> {
        self.forget();
        let arrived = self.buffer.get(..self.length).unwrap_or_default();
        let Some((head, remaining)) = head(arrived)? else {
            return Ok(None);
        };
        let whole = head + remaining;
        if whole > N {
            self.skip = whole - self.length;
            self.done = self.length;
            return Ok(Some(Packet::TooLong { bytes: whole }));
        }
        let Some(packet) = self.buffer.get(..whole).filter(|_| whole <= self.length) else {
            return Ok(None);
        };
        self.done = whole;
        let (first, body) = (packet[0], packet.get(head..).unwrap_or_default());
        parse(first, body).map(Some)
    }

    /// Makes room where packets were that have been looked at.
    fn forget(&mut self) {
        self.buffer.copy_within(self.done..self.length, 0);
        self.length -= self.done;
        self.done = 0;
        let skipped = self.skip.min(self.length);
        self.buffer.copy_within(skipped..self.length, 0);
        self.length -= skipped;
        self.skip -= skipped;
    }
}

/// The length of a packet's head and of what follows, once the head is there.
fn head(bytes: &[u8]) -> Result<Option<(usize, usize)>, ProtocolError> {
    let digits = bytes.get(1..).unwrap_or_default();
    let mut remaining = 0;
    for (place, digit) in digits.iter().take(MAX_LENGTH_BYTES).enumerate() {
        remaining |= usize::from(digit & 0x7f) << (7 * place);
        if digit & 0x80 == 0 {
            return Ok(Some((place + 2, remaining)));
        }
    }
    match digits.len() < MAX_LENGTH_BYTES {
        true => Ok(None),
        false => Err(ProtocolError::Length),
    }
}

fn parse(first: u8, body: &[u8]) -> Result<Packet<'_>, ProtocolError> {
    match (first, body) {
        (kind::CONNACK, [_session_present, code]) => Ok(Packet::Connected { code: *code }),
        (kind::SUBACK, [_, _, code]) => Ok(Packet::Subscribed {
            is_granted: *code != REFUSED,
        }),
        (kind::PINGRESP, []) => Ok(Packet::Pong),
        (kind::CONNACK | kind::SUBACK | kind::PINGRESP, _) => Err(ProtocolError::Parts),
        // The lowest bit says that the message was retained, which is nothing to a device. A higher
        // QoS was not asked for, and is an answer that no device gives.
        (first, body) if first & !1 == kind::PUBLISH => {
            let (length, rest) = body.split_first_chunk().ok_or(ProtocolError::Parts)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (topic, payload) = rest.split_at_checked(length).ok_or(ProtocolError::Parts)?;
            let topic = core::str::from_utf8(topic).map_err(|_other| ProtocolError::Topic)?;
            Ok(Packet::Message { topic, payload })
        }
        (first, _) => Err(ProtocolError::Unexpected(first)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;
    use rumqttc::mqttbytes::QoS;
    use rumqttc::mqttbytes::v4;
    use std::borrow::ToOwned as _;
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    use super::*;

    /// What another implementation reads.
    fn theirs(bytes: &[u8]) -> v4::Packet {
        let mut bytes = bytes.into();
        let packet = v4::Packet::read(&mut bytes, 1_000_000).unwrap();
        assert!(bytes.is_empty());
        packet
    }

    /// Everything of a stream that arrives in pieces of these sizes.
    fn all(stream: &[u8], pieces: &[usize]) -> (Vec<String>, Result<(), ProtocolError>) {
        let mut incoming = Incoming::<64>::new();
        let (mut rest, mut found) = (stream, Vec::new());
        for piece in pieces.iter().copied().cycle() {
            loop {
                match incoming.packet() {
                    Ok(Some(packet)) => found.push(std::format!("{packet:?}")),
                    Ok(None) => break,
                    Err(error) => return (found, Err(error)),
                }
            }
            if rest.is_empty() {
                break;
            }
            let room = incoming.room();
            let taken = piece.min(room.len()).min(rest.len());
            assert!(taken > 0, "there is always room");
            room[..taken].copy_from_slice(&rest[..taken]);
            rest = &rest[taken..];
            incoming.arrived(taken);
        }
        (found, Ok(()))
    }

    #[test]
    fn another_implementation_reads_what_is_written() {
        let boiler = Login {
            user: "boiler",
            password: "battery staple",
        };
        for login in [None, Some(boiler)] {
            let (id, nkey) = ("device", None);
            let mut outgoing = Outgoing::<100>::new();
            outgoing.connect(&Client { id, login, nkey }, 10).unwrap();
            let v4::Packet::Connect(connect) = theirs(outgoing.bytes()) else {
                panic!("no connect");
            };
            assert_eq!((connect.client_id.as_str(), connect.keep_alive), (id, 10));
            assert!(connect.clean_session && connect.last_will.is_none());
            let theirs = connect.login.map(|login| (login.username, login.password));
            let ours = login.map(|login| (login.user.to_owned(), login.password.to_owned()));
            assert_eq!(theirs, ours);
        }
        let mut outgoing = Outgoing::<100>::new();
        outgoing.subscribe(7, "picow/x/poll").unwrap();
        let v4::Packet::Subscribe(subscribe) = theirs(outgoing.bytes()) else {
            panic!("no subscribe");
        };
        assert_eq!(subscribe.pkid, 7);
        assert_eq!(subscribe.filters[0].path, "picow/x/poll");
        assert_eq!(subscribe.filters[0].qos, QoS::AtMostOnce);
        outgoing.sent(outgoing.bytes().len());
        outgoing.ping().unwrap();
        assert_eq!(theirs(outgoing.bytes()), v4::Packet::PingReq);
        outgoing.sent(1);
        outgoing.sent(1);
        outgoing.disconnect().unwrap();
        assert_eq!(theirs(outgoing.bytes()), v4::Packet::Disconnect);
    }

    #[test]
    fn a_packet_that_does_not_fit_leaves_no_trace() {
        let mut outgoing = Outgoing::<12>::new();
        outgoing.ping().unwrap();
        assert_eq!(outgoing.publish("topic", b"long payload"), Err(NoRoom));
        assert_eq!(outgoing.bytes(), [0xc0, 0]);
        let long = "x".repeat(65_536);
        assert_eq!(outgoing.subscribe(1, &long), Err(NoRoom));
        outgoing.publish("topic", b"1").unwrap();
        assert_eq!(outgoing.bytes().len(), 12);
    }

    #[test]
    fn what_no_server_may_send_ends_the_connection() {
        for (bytes, error) in [
            (&[0x10, 0][..], ProtocolError::Unexpected(0x10)),
            (&[0x32, 4, 0, 0, 0, 1], ProtocolError::Unexpected(0x32)),
            (&[0x20, 1, 0], ProtocolError::Parts),
            (&[0x30, 2, 0, 9], ProtocolError::Parts),
            (&[0x30, 1, 0], ProtocolError::Parts),
            (&[0x30, 3, 0, 1, 0xff], ProtocolError::Topic),
            (&[0x30, 0xff, 0xff, 0xff, 0xff], ProtocolError::Length),
        ] {
            assert_eq!(all(bytes, &[9]), (vec![], Err(error)), "{bytes:x?}");
        }
    }

    #[test]
    fn a_packet_that_is_too_long_is_skipped_and_the_next_one_read() {
        let mut outgoing = Outgoing::<400>::new();
        outgoing.publish("a", &[0; 300]).unwrap();
        outgoing.publish("b", b"2").unwrap();
        for piece in 1..80 {
            let (found, end) = all(outgoing.bytes(), &[piece]);
            assert_eq!(end, Ok(()));
            assert_eq!(found[0], "TooLong { bytes: 306 }", "in pieces of {piece}");
            assert_eq!(found[1], "Message { topic: \"b\", payload: [50] }");
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn messages_are_read_as_another_implementation_reads_them(
            topic in "[a-z/]{1,60}",
            payload in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            let mut outgoing = Outgoing::<600>::new();
            outgoing.publish(&topic, &payload).unwrap();
            let v4::Packet::Publish(theirs) = theirs(outgoing.bytes()) else {
                panic!("no publish");
            };
            prop_assert_eq!((&theirs.topic, &theirs.payload[..]), (&topic, &payload[..]));
            prop_assert_eq!((theirs.qos, theirs.retain), (QoS::AtMostOnce, false));
        }

        // However a stream is cut up, it says the same.
        #[test]
        fn pieces_make_no_difference(
            messages in prop::collection::vec(("[a-z/]{0,9}", prop::collection::vec(any::<u8>(), 0..90)), 0..9),
            tail in prop::collection::vec(any::<u8>(), 0..12),
            pieces in prop::collection::vec(1..40_usize, 1..9),
        ) {
            let mut outgoing = Outgoing::<2_000>::new();
            for (topic, payload) in &messages {
                outgoing.publish(topic, payload).unwrap();
            }
            let stream = [outgoing.bytes(), &tail].concat();
            let at_once = all(&stream, &[usize::MAX]);
            prop_assert!(at_once.0.len() >= messages.len());
            prop_assert_eq!(at_once, all(&stream, &pieces));
        }
    }
}
