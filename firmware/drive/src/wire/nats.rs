//! Core NATS. A topic has slashes between its levels, a subject dots, as in the MQTT gateway of nats-server:
//! a device may change between both, and is polled alike.
//!
//! Core NATS acknowledges nothing, nor does QoS 0: a device keeps an answer until a poll says that it is
//! stored.
//!
//! A device signs a broker's nonce with the key that signs its readings. No broker can have a reading
//! signed so: whatever else the key signs begins with a line of its own, and a nonce has no line end.

use embassy_time::Instant;
use fieldledger_device::topics::Topic;
use nano_nats::{
    Connect, Credentials, Event, Filter, Keepalive, Publish, ServerError, ServerErrorKind, Session,
    Subject,
};

use super::{Heard, MAX_SILENT_TIMES, PING_AFTER, Wire, WireError};
use crate::client::Client;

/// What is read from the network at a time.
const INPUT_BYTES: usize = 512;

/// The longest subject that a device subscribes to: prefix, purpose and id, and two dots.
const MAX_FILTER_BYTES: usize = 96;

/// A device asks nobody anything, so no answer arrives here.
const INBOX: Subject<'static> = match Subject::new("_INBOX.device") {
    Ok(inbox) => inbox,
    Err(_) => panic!("inbox is not a subject"),
};

#[derive(Debug)]
pub(super) struct NatsWire<const IN: usize, const OUT: usize, const SUBSCRIPTIONS: usize> {
    session: Session<IN, OUT, SUBSCRIPTIONS, MAX_FILTER_BYTES>,
    input: [u8; INPUT_BYTES],
    /// What of it has arrived, and was not looked at.
    unread: core::ops::Range<usize>,
    /// The topic of the message that was heard last.
    topic: Topic,
}

impl<const IN: usize, const OUT: usize, const SUBSCRIPTIONS: usize>
    NatsWire<IN, OUT, SUBSCRIPTIONS>
{
    pub(super) fn new() -> Self {
        let keepalive = Keepalive {
            interval_ms: PING_AFTER.as_millis() as u32,
            max_unanswered: MAX_SILENT_TIMES - 1,
            ..Keepalive::default()
        };
        Self {
            session: Session::new(INBOX, keepalive).expect("the inbox is short"),
            input: [0; INPUT_BYTES],
            unread: 0..0,
            topic: Topic::new(),
        }
    }
}

impl<const IN: usize, const OUT: usize, const SUBSCRIPTIONS: usize> Wire
    for NatsWire<IN, OUT, SUBSCRIPTIONS>
{
    fn introduce(&mut self, client: &Client<'_>) -> Result<(), WireError> {
        if !self.session.is_awaiting_connect() {
            return Ok(());
        }
        let info = self.session.info();
        if info.tls_required {
            return Err(WireError::Tls);
        }
        let signature;
        let credentials = match (&client.nkey, client.login, info.nonce.as_deref()) {
            (Some(key), _, Some(nonce)) => {
                signature = key.sign(nonce);
                Credentials::Signature {
                    nkey: Some(key.public_key()),
                    jwt: None,
                    signature: &signature,
                }
            }
            (Some(_), _, None) if info.auth_required => return Err(WireError::NoNonce),
            (None, Some(login), _) => Credentials::Password {
                user: login.user,
                password: login.password,
            },
            // A broker that asks nobody who he is.
            (Some(_), _, None) | (None, None, _) => Credentials::None,
        };
        let connect = Connect {
            name: client.id,
            echo: false,
            credentials,
        };
        Ok(self.session.connect(&connect)?)
    }

    fn subscribe(&mut self, topic: &str) -> Result<(), WireError> {
        let subject = with_levels(topic, '/', '.').ok_or(WireError::LongTopic)?;
        self.session.subscribe(Filter::new(&subject)?, None)?;
        Ok(())
    }

    fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), WireError> {
        let subject = with_levels(topic, '/', '.').ok_or(WireError::LongTopic)?;
        let publish = Publish::new(Subject::new(&subject)?, payload);
        Ok(self.session.publish(&publish)?)
    }

    fn leave(&mut self) -> Result<(), WireError> {
        Ok(())
    }

    fn keep_alive(&mut self, now: Instant) -> Result<(), WireError> {
        match self.session.tick(now.as_millis()) {
            Ok(_next) => Ok(()),
            Err(_unresponsive) => Err(WireError::Silent),
        }
    }

    fn output(&mut self) -> &[u8] {
        self.session.output()
    }

    fn sent(&mut self, bytes: usize, _now: Instant) {
        self.session.sent(bytes);
    }

    fn room(&mut self) -> &mut [u8] {
        self.unread = 0..0;
        &mut self.input
    }

    fn arrived(&mut self, bytes: usize, _now: Instant) {
        self.unread = 0..bytes.min(INPUT_BYTES);
    }

    fn hear(&mut self) -> Result<Option<Heard<'_>>, WireError> {
        let unread = self.input.get(self.unread.clone()).unwrap_or_default();
        let (taken, event) = self.session.receive(unread)?;
        self.unread.start += taken;
        let heard = match event {
            None => return Ok(None),
            Some(Event::Connected) => Heard::Welcome,
            Some(Event::Message { message, .. }) => {
                // A subject that is longer than any topic is none that the device subscribed to.
                self.topic = with_levels(message.subject, '.', '/').unwrap_or_default();
                Heard::Message {
                    topic: &self.topic,
                    reply: message.reply_to.filter(|reply| can_be_answered(reply)),
                    payload: message.payload,
                }
            }
            Some(Event::Skipped(skipped)) => Heard::TooLong {
                bytes: skipped.length,
            },
            Some(Event::ServerError(error)) => {
                complaint(&error)?;
                Heard::Other
            }
            Some(_) => Heard::Other,
        };
        Ok(Some(heard))
    }
}

/// A topic or subject with other separators between its levels, if it is not longer than any topic.
fn with_levels(text: &str, from: char, to: char) -> Option<Topic> {
    let mut topic = Topic::new();
    for character in text.chars() {
        let character = if character == from { to } else { character };
        topic.push(character).ok()?;
    }
    Some(topic)
}

/// Whether it stays the same as a topic, and can be published to. Other polls are answered where the sensor's
/// readings go.
fn can_be_answered(reply: &str) -> bool {
    !reply.contains('/') && Subject::new(reply).is_ok()
}

/// What the broker says against the device. A connection without all its subscriptions is of no use; one
/// message that may not be published is.
fn complaint(error: &ServerError<'_>) -> Result<(), WireError> {
    log::warn!("broker says: {}", error.text);
    match error.kind {
        ServerErrorKind::SubscribePermission => Err(WireError::NotGranted),
        kind if kind.closes_connection() => Err(WireError::Server(kind)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    use fieldledger_record::settings::Login;
    use nano_nats::{NkeyPair, SendError};

    use super::*;

    const INFO: &str = "INFO {\"max_payload\":1000,\"nonce\":\"kPAhkiXYKHMQ8tg\"}\r\n";

    type TestWire = NatsWire<200, 600, 2>;

    fn client() -> Client<'static> {
        let login = Login {
            user: "boiler",
            password: "battery staple",
        };
        Client {
            id: "device",
            login: Some(login),
            nkey: None,
        }
    }

    fn arrive(wire: &mut TestWire, text: &str) {
        wire.room()[..text.len()].copy_from_slice(text.as_bytes());
        wire.arrived(text.len(), Instant::from_secs(0));
    }

    fn taken(wire: &mut TestWire) -> String {
        let bytes = wire.output().to_vec();
        wire.sent(bytes.len(), Instant::from_secs(0));
        String::from_utf8(bytes).unwrap()
    }

    /// What a device says to a broker that says this first.
    fn introduced(info: &str, client: &Client<'_>) -> Result<String, WireError> {
        let mut wire = TestWire::new();
        wire.introduce(client).unwrap();
        assert_eq!(taken(&mut wire), "", "the broker speaks first");
        arrive(&mut wire, info);
        assert_eq!(wire.hear(), Ok(Some(Heard::Other)));
        for _again in 0..2 {
            wire.introduce(client)?;
        }
        Ok(taken(&mut wire))
    }

    /// A connection of a device that was taken.
    fn welcome() -> TestWire {
        let mut wire = TestWire::new();
        arrive(&mut wire, INFO);
        assert_eq!(wire.hear(), Ok(Some(Heard::Other)));
        wire.introduce(&client()).unwrap();
        taken(&mut wire);
        arrive(&mut wire, "PONG\r\n");
        assert_eq!(wire.hear(), Ok(Some(Heard::Welcome)));
        assert_eq!(wire.hear(), Ok(None));
        wire
    }

    #[test]
    fn a_device_signs_the_nonce_or_shows_its_password() {
        let shown = introduced(INFO, &client()).unwrap();
        assert!(shown.contains("\"pass\":\"battery staple\""), "{shown}");
        assert_eq!(shown.matches("CONNECT").count(), 1);
        let nkey = NkeyPair::from_secret(&[7; 32]);
        let signature = nkey.sign("kPAhkiXYKHMQ8tg");
        let public = format!("\"nkey\":\"{}\"", nkey.public_key());
        let client = Client {
            nkey: Some(nkey),
            ..client()
        };
        let signed = introduced(INFO, &client).unwrap();
        assert!(signed.contains(&public) && signed.contains(&*signature));
        assert!(!signed.contains("staple"), "{signed}");
        // Without a nonce there is nothing to sign, and the password is not shown instead.
        let open = introduced("INFO {\"max_payload\":9}\r\n", &client).unwrap();
        assert!(!open.contains("nkey") && !open.contains("staple"), "{open}");
        for (info, error) in [
            ("\"auth_required\":true", WireError::NoNonce),
            ("\"tls_required\":true", WireError::Tls),
        ] {
            let info = format!("INFO {{\"max_payload\":9,{info}}}\r\n");
            assert_eq!(introduced(&info, &client), Err(error));
        }
    }

    #[test]
    fn a_topic_is_a_subject_on_its_way_and_a_reply_stays_what_it_is() {
        let mut wire = welcome();
        wire.subscribe("picow/7/poll").unwrap();
        assert_eq!(taken(&mut wire), "SUB picow.7.poll 2\r\n");
        for (reply, heard) in [
            ("", None),
            ("_INBOX.a.1 ", Some("_INBOX.a.1")),
            ("a/b ", None),
            ("a.* ", None),
        ] {
            arrive(
                &mut wire,
                &format!("MSG picow.7.poll 2 {reply}2\r\n{{}}\r\n"),
            );
            let expected = Heard::Message {
                topic: "picow/7/poll",
                reply: heard,
                payload: b"{}",
            };
            assert_eq!(wire.hear(), Ok(Some(expected)));
        }
        wire.publish("picow/7/read", b"{}").unwrap();
        wire.publish("_INBOX.a.1", b"1").unwrap();
        let said = "PUB picow.7.read 2\r\n{}\r\nPUB _INBOX.a.1 1\r\n1\r\n";
        assert_eq!(taken(&mut wire), said);
        let long = SendError::ExceedsMaxPayload {
            length: 1_001,
            max_payload: 1_000,
        };
        let sent = wire.publish("a", &[0; 1_001]);
        assert_eq!(sent, Err(WireError::Send(long)));
    }

    #[test]
    fn a_question_is_answered_and_what_is_too_long_is_skipped() {
        let mut wire = welcome();
        wire.subscribe("a").unwrap();
        taken(&mut wire);
        arrive(&mut wire, "PING\r\nMSG a 2 201\r\n");
        assert_eq!(wire.hear(), Ok(Some(Heard::TooLong { bytes: 201 })));
        assert_eq!(taken(&mut wire), "PONG\r\n");
        assert_eq!(wire.hear(), Ok(None));
        arrive(&mut wire, &format!("{}\r\nPONG\r\n", "x".repeat(201)));
        assert_eq!(wire.hear(), Ok(Some(Heard::Other)));
    }

    #[test]
    fn what_the_broker_complains_of_ends_the_connection_unless_it_is_one_message() {
        for (text, heard) in [
            (
                "Permissions Violation for Publish to \"a\"",
                Ok(Some(Heard::Other)),
            ),
            (
                "Permissions Violation for Subscription to \"a\"",
                Err(WireError::NotGranted),
            ),
            (
                "Stale Connection",
                Err(WireError::Server(ServerErrorKind::StaleConnection)),
            ),
        ] {
            let mut wire = welcome();
            arrive(&mut wire, &format!("-ERR '{text}'\r\n"));
            assert_eq!(wire.hear(), heard);
        }
    }

    #[test]
    fn a_broker_is_asked_every_five_seconds_and_given_up_after_fifteen() {
        let mut wire = welcome();
        let mut at = |second| {
            let alive = wire.keep_alive(Instant::from_secs(second));
            alive.map(|()| taken(&mut wire))
        };
        let said: Vec<_> = (0..=20).step_by(5).map(&mut at).collect();
        let ask = || Ok(String::from("PING\r\n"));
        let silent = || Err(WireError::Silent);
        assert_eq!(said, [Ok(String::new()), ask(), ask(), silent(), silent()]);
    }
}
