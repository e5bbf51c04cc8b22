//! What arrives, parsed. All of it may be hostile.
//!
//! ```json
//! {"poll":12}
//! {"poll":13,"boot":"a1b2","stored":[6]}
//! {"boot":"a1b2","seq":8}
//! {"boot":"a1b2","channel":"valve","epoch":3,"seq":7,"on":true,"for":300000}
//! {"boot":"a1b2","channel":"dimmer","epoch":3,"seq":8,"level":40,"until":1767323045000006}
//! {"version":2,"brokers":["mqtt://10.0.0.1:1883","mqtt://10.0.0.2:1883"]}
//! ```
//!
//! In turn: a poll, a poll of one who says which answers are stored, an acknowledgement of history,
//! commands, a list of brokers. Fields that are not known are ignored; a string with an escape is refused,
//! since nothing here needs one.

use heapless::Vec;
use serde::Deserialize;
use thiserror::Error;

use crate::brokers::{Address, MAX_BROKERS};
use crate::command::Value;
pub use crate::command::{Command, End};

/// The largest message that is looked at, in bytes.
pub const MAX_INCOMING_BYTES: usize = 2_048;

/// Most brackets of both kinds that open in a message. The parser calls itself for each level, and
/// this bounds the stack that a hostile message can take.
const MAX_BRACKETS: usize = 8;

/// Most answers of which a poll says that they are stored.
pub const MAX_STORED: usize = 16;

/// Why a message is not obeyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IncomingError {
    /// Longer than [`MAX_INCOMING_BYTES`].
    #[error("message is longer than {MAX_INCOMING_BYTES} bytes")]
    TooLong,
    /// More levels than any message has.
    #[error("message has more than {MAX_BRACKETS} brackets")]
    TooDeep,
    /// No JSON, or not the fields that belong there.
    #[error("message is not what belongs on this topic")]
    NotJson,
    /// A command with no value or two, with no end or two, or with an end at zero.
    #[error("command needs on or level, and for or until")]
    Command,
    /// Too many brokers, or an address that is empty, too long or not printable ASCII.
    #[error("list of brokers is empty, too long or has an impossible address")]
    Brokers,
}

/// A poll.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Poll<'a> {
    /// Its number.
    pub number: Option<u64>,
    /// What the poller says about earlier answers, if it is one that does.
    pub stored: Option<StoredAnswers<'a>>,
}

/// Answers that are stored, of those since the poll before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswers<'a> {
    /// The boot that they are of; empty where the poller knows of none.
    pub boot: &'a str,
    /// Their numbers, in any order.
    pub sequences: Vec<u64, MAX_STORED>,
}

#[derive(Deserialize)]
struct PollMessage {
    poll: u64,
}

#[derive(Deserialize)]
struct NamingPollMessage<'a> {
    poll: u64,
    boot: &'a str,
    stored: Vec<u64, MAX_STORED>,
}

#[derive(Deserialize)]
struct AckMessage<'a> {
    boot: &'a str,
    seq: u64,
}

#[derive(Deserialize)]
struct CommandMessage<'a> {
    boot: &'a str,
    channel: &'a str,
    epoch: u64,
    seq: u64,
    on: Option<bool>,
    level: Option<i64>,
    #[serde(rename = "for")]
    duration: Option<u64>,
    until: Option<u64>,
}

#[derive(Deserialize)]
struct BrokersMessage<'a> {
    version: u64,
    #[serde(borrow)]
    brokers: Vec<&'a str, MAX_BROKERS>,
}

/// A list of brokers as a board keeps it.
#[derive(Debug)]
pub(crate) struct KeptBrokers<'a> {
    /// The fingerprint of the list that the device was configured with.
    pub(crate) configured: &'a str,
    pub(crate) version: u64,
    pub(crate) brokers: Vec<Address, MAX_BROKERS>,
}

#[derive(Deserialize)]
struct Configured<'a> {
    configured: &'a str,
}

/// Numbers end where those of the wire do.
fn in_range(number: u64) -> bool {
    number < fieldledger_attest::NUMBERS_END
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, IncomingError> {
    if bytes.len() > MAX_INCOMING_BYTES {
        return Err(IncomingError::TooLong);
    }
    let brackets = bytes.iter().filter(|byte| matches!(byte, b'[' | b'{'));
    if brackets.count() > MAX_BRACKETS {
        return Err(IncomingError::TooDeep);
    }
    if bytes.contains(&b'\\') {
        return Err(IncomingError::NotJson);
    }
    let text = core::str::from_utf8(bytes).map_err(|_not_utf8| IncomingError::NotJson)?;
    let (message, _length) =
        serde_json_core::from_str(text).map_err(|_error| IncomingError::NotJson)?;
    Ok(message)
}

/// A poll. Anything can be one; one that is no JSON has no number, and says nothing of answers.
#[must_use]
pub fn poll(bytes: &[u8]) -> Poll<'_> {
    if let Ok(NamingPollMessage { poll, boot, stored }) = read(bytes)
        && in_range(poll)
    {
        let stored = StoredAnswers {
            boot,
            sequences: stored,
        };
        return Poll {
            number: Some(poll),
            stored: Some(stored),
        };
    }
    let message: Option<PollMessage> = read(bytes).ok();
    let number = message.map(|message| message.poll);
    Poll {
        number: number.filter(|number| in_range(*number)),
        stored: None,
    }
}

/// The boot and the last number that are stored.
///
/// # Errors
///
/// Says what is wrong.
pub fn history_ack(bytes: &[u8]) -> Result<(&str, u64), IncomingError> {
    let AckMessage { boot, seq } = read(bytes)?;
    match in_range(seq) {
        true => Ok((boot, seq)),
        false => Err(IncomingError::NotJson),
    }
}

/// A command.
///
/// # Errors
///
/// Says what is wrong.
pub fn command(bytes: &[u8]) -> Result<Command<'_>, IncomingError> {
    let message: CommandMessage<'_> = read(bytes)?;
    let value = match (message.on, message.level) {
        (Some(on), None) => Value::Switch(on),
        (None, Some(level)) => Value::Level(level),
        _ => return Err(IncomingError::Command),
    };
    let end = match (message.duration, message.until) {
        (Some(milliseconds), None) if milliseconds > 0 => End::For(milliseconds),
        (None, Some(time)) => End::Until(time),
        _ => return Err(IncomingError::Command),
    };
    let (End::For(number) | End::Until(number)) = end;
    if ![message.epoch, message.seq, number]
        .into_iter()
        .all(in_range)
    {
        return Err(IncomingError::Command);
    }
    Ok(Command {
        boot: message.boot,
        channel: message.channel,
        epoch: message.epoch,
        seq: message.seq,
        value,
        end,
    })
}

/// A list of brokers and its version.
///
/// # Errors
///
/// Says what is wrong.
pub fn brokers(bytes: &[u8]) -> Result<(u64, Vec<Address, MAX_BROKERS>), IncomingError> {
    let message: BrokersMessage<'_> = read(bytes)?;
    let mut list = Vec::new();
    for text in message.brokers {
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let address = Address::try_from(text).ok().filter(|_| is_plain);
        let address = address.ok_or(IncomingError::Brokers)?;
        list.push(address).map_err(|_full| IncomingError::Brokers)?;
    }
    if list.is_empty() || !in_range(message.version) {
        return Err(IncomingError::Brokers);
    }
    Ok((message.version, list))
}

/// The same with what tells whether it still counts.
pub(crate) fn kept_brokers(bytes: &[u8]) -> Result<KeptBrokers<'_>, IncomingError> {
    let (version, brokers) = brokers(bytes)?;
    let Configured { configured } = read(bytes)?;
    Ok(KeptBrokers {
        configured,
        version,
        brokers,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn anything_is_a_poll_and_some_have_a_number() {
        for (bytes, number) in [
            (&b"{\"poll\":12}"[..], Some(12)),
            (b" { \"poll\" : 12 , \"more\" : [ ] } ", Some(12)),
            (b"poll", None),
            (b"", None),
            (b"\xff", None),
            (b"{\"poll\":9007199254740992}", None),
            (b"{\"poll\":-1}", None),
            (b"{\"poll\":12,\"boot\":7,\"stored\":[]}", Some(12)),
            (b"{\"poll\":12,\"boot\":\"b\"}", Some(12)),
            (b"{\"poll\":12,\"boot\":\"b\",\"stored\":[-1]}", Some(12)),
            (b"{\"poll\":12,\"boot\":\"b\",\"stored\":{}}", Some(12)),
        ] {
            let stored = None;
            assert_eq!(poll(bytes), Poll { number, stored }, "{bytes:?}");
        }
    }

    #[test]
    fn a_poll_of_the_server_says_what_is_stored() {
        use fieldledger_wire::poll::{self as server, Poll as Sent};
        assert_eq!(server::MAX_STORED, MAX_STORED);
        let number = fieldledger_attest::NUMBERS_END - 1;
        for length in [0, 1, MAX_STORED] {
            let stored = server::StoredAnswers {
                boot: "b".repeat(crate::device::MAX_BOOT_BYTES),
                stored: std::vec![number; length],
            };
            let sent = Sent {
                poll: number,
                stored: Some(stored.clone()),
            };
            let bytes = sent.payload();
            let Poll {
                number: heard,
                stored: named,
            } = poll(&bytes);
            let named = named.unwrap();
            assert_eq!((heard, named.boot), (Some(number), stored.boot.as_str()));
            assert_eq!(*named.sequences, *stored.stored);
        }
        // One number too many, and it says nothing: what it could not name would be lost.
        let many = std::format!(r#"{{"poll":1,"boot":"b","stored":{:?}}}"#, [1; 17]);
        let (number, stored) = (Some(1), None);
        assert_eq!(poll(many.as_bytes()), Poll { number, stored });
    }

    #[test]
    fn a_command_has_one_value_and_one_end() {
        let text = r#"{"boot":"b","channel":"valve","epoch":3,"seq":7,"on":true,"for":5000}"#;
        let expected = Command {
            boot: "b",
            channel: "valve",
            epoch: 3,
            seq: 7,
            value: Value::Switch(true),
            end: End::For(5_000),
        };
        assert_eq!(command(text.as_bytes()), Ok(expected));
        for (from, to) in [
            ("\"on\":true", "\"on\":true,\"level\":1"),
            ("\"on\":true,", ""),
            ("\"for\":5000", "\"for\":0"),
            ("\"for\":5000", "\"for\":5000,\"until\":1"),
            (",\"for\":5000", ""),
            ("\"epoch\":3", "\"epoch\":9007199254740992"),
        ] {
            let bad = text.replace(from, to);
            assert_eq!(
                command(bad.as_bytes()),
                Err(IncomingError::Command),
                "{bad}"
            );
        }
        for (from, to) in [
            ("\"seq\":7,", ""),
            ("\"on\":true", "\"on\":1"),
            ("valve", "v\\u0061"),
        ] {
            let bad = text.replace(from, to);
            assert_eq!(
                command(bad.as_bytes()),
                Err(IncomingError::NotJson),
                "{bad}"
            );
        }
    }

    #[test]
    fn lists_of_brokers_are_bounded() {
        let (version, list) = brokers(br#"{"version":2,"brokers":["mqtt://a:1","b"]}"#).unwrap();
        assert_eq!(
            (version, list.len(), list[0].as_str()),
            (2, 2, "mqtt://a:1")
        );
        let long = std::format!(r#"{{"version":2,"brokers":["{}"]}}"#, "a".repeat(97));
        let many = std::format!(r#"{{"version":2,"brokers":[{}"i"]}}"#, "\"i\",".repeat(8));
        for bad in [
            long.as_str(),
            &many,
            r#"{"version":2,"brokers":[]}"#,
            r#"{"version":2,"brokers":[""]}"#,
            r#"{"version":2,"brokers":["a b"]}"#,
            r#"{"version":-2,"brokers":["a"]}"#,
        ] {
            assert!(brokers(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let deep = std::format!("{{\"x\":{}", "[".repeat(1_000));
        assert_eq!(history_ack(deep.as_bytes()), Err(IncomingError::TooDeep));
        let long = [b' '; MAX_INCOMING_BYTES + 1];
        assert_eq!(history_ack(&long), Err(IncomingError::TooLong));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (poll(&bytes), history_ack(&bytes), command(&bytes), kept_brokers(&bytes));
        }

        #[test]
        fn near_misses_never_panic(
            text in r#"\{("(boot|seq|on|for|poll|stored|brokers|x)":("[a-z]{0,3}"|-?[0-9]{0,20}|true|null|\[[0-9]{0,3}\]|\{\}),?){0,6}\}?"#,
        ) {
            let bytes = text.as_bytes();
            let _ = (poll(bytes), history_ack(bytes), command(bytes), brokers(bytes));
        }
    }
}
