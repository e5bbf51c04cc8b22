//! Where a device publishes and listens.
//!
//! | what | over MQTT | over NATS |
//! |---|---|---|
//! | heartbeat | `<prefix>/heartbeat` | `<prefix>.heartbeat` |
//! | of a sensor: `poll`, `read`, `disconnect`, `history`, `history_ack` | `<prefix>/<id>/<what>` | `<prefix>.<what>.<id>` |
//! | of the device: `command`, `command_ack`, `brokers` | likewise | likewise |
//! | heartbeat of a sensor of a confined device | likewise | likewise |

use core::fmt::{self, Write as _};

use fieldledger_attest::SensorId;
use heapless::String;

/// The longest topic, in bytes: prefix, id, the longest name and two separators, with room to spare.
pub const MAX_TOPIC_BYTES: usize = 128;

/// A topic.
pub type Topic = String<MAX_TOPIC_BYTES>;

/// How topics are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Levels between slashes, the id before the name.
    Mqtt,
    /// Tokens between dots, the id behind the name.
    Nats,
}

/// What a topic of a sensor or device is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Where a confined device announces the sensor.
    Heartbeat,
    /// Polls arrive here.
    Poll,
    /// Answers go here where a poll has no reply subject.
    Read,
    /// The last words of a sensor, or of its broker about it.
    Disconnect,
    /// Readings of an outage go here.
    History,
    /// What of them is stored arrives here.
    HistoryAck,
    /// Commands to outputs arrive here.
    Command,
    /// What became of them goes here.
    CommandAck,
    /// New lists of brokers arrive here.
    Brokers,
}

impl Purpose {
    /// Its level in a topic.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat",
            Self::Poll => "poll",
            Self::Read => "read",
            Self::Disconnect => "disconnect",
            Self::History => "history",
            Self::HistoryAck => "history_ack",
            Self::Command => "command",
            Self::CommandAck => "command_ack",
            Self::Brokers => "brokers",
        }
    }
}

/// An id as a UUID is written: lower case, hyphenated (RFC 9562, section 4).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hyphenated(pub(crate) SensorId);

impl fmt::Display for Hyphenated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            if matches!(position, 4 | 6 | 8 | 10) {
                f.write_char('-')?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// Names the topics of one device.
#[derive(Debug, Clone, Copy)]
pub struct Topics<'a> {
    /// What each begins with.
    pub prefix: &'a str,
    /// How they are spelled.
    pub style: Style,
}

impl Topics<'_> {
    /// Where the heartbeats of all sensors go.
    #[must_use]
    pub fn heartbeat(&self) -> Topic {
        match self.style {
            Style::Mqtt => written(format_args!("{}/heartbeat", self.prefix)),
            Style::Nats => written(format_args!("{}.heartbeat", self.prefix)),
        }
    }

    /// A topic of a sensor, or of the device.
    #[must_use]
    pub fn of(&self, id: SensorId, purpose: Purpose) -> Topic {
        let (prefix, id, name) = (self.prefix, Hyphenated(id), purpose.name());
        match self.style {
            Style::Mqtt => written(format_args!("{prefix}/{id}/{name}")),
            Style::Nats => written(format_args!("{prefix}.{name}.{id}")),
        }
    }

    /// True where `topic` is that topic; nothing is allocated or copied.
    #[must_use]
    pub fn is(&self, topic: &str, id: SensorId, purpose: Purpose) -> bool {
        self.of(id, purpose) == topic
    }
}

fn written(text: fmt::Arguments<'_>) -> Topic {
    let mut topic = Topic::new();
    let fits = topic.write_fmt(text);
    debug_assert!(fits.is_ok(), "the prefix is bounded, the rest is fixed");
    topic
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::string::ToString as _;

    use uuid::Uuid;

    use super::*;

    const ID: Uuid = Uuid::from_u128(0xf308_8463_5623_476f_a1b5_ecb4_9446_a443);

    #[test]
    fn topics_are_those_of_the_contract() {
        let id = *ID.as_bytes();
        let text = ID.hyphenated().to_string();
        let mqtt = Topics {
            prefix: "picow",
            style: Style::Mqtt,
        };
        assert_eq!(mqtt.heartbeat(), "picow/heartbeat");
        assert_eq!(
            *mqtt.of(id, Purpose::Poll),
            *std::format!("picow/{text}/poll")
        );
        let nats = Topics {
            prefix: "sim",
            style: Style::Nats,
        };
        assert_eq!(nats.heartbeat(), "sim.heartbeat");
        assert_eq!(
            *nats.of(id, Purpose::Read),
            *std::format!("sim.read.{text}")
        );
        assert!(nats.is(&std::format!("sim.poll.{text}"), id, Purpose::Poll));
        assert!(!nats.is(&std::format!("sim.poll.{text}x"), id, Purpose::Poll));
    }

    #[test]
    fn history_is_where_the_server_looks_for_it() {
        let prefixes = ["picow".to_string(), "sim".to_string()];
        let rules = fieldledger_wire::topic::TopicRules::new(&prefixes, "default").unwrap();
        for (prefix, style) in [("picow", Style::Mqtt), ("sim", Style::Nats)] {
            let topics = Topics { prefix, style };
            let of = |purpose| topics.of(*ID.as_bytes(), purpose).replace('/', ".");
            let read = of(Purpose::Read);
            let read = fieldledger_wire::topic::Subject::from_topic(&read, ID, &rules).unwrap();
            assert_eq!(read.history().as_str(), of(Purpose::History));
            assert_eq!(read.history_ack().as_str(), of(Purpose::HistoryAck));
        }
    }

    #[test]
    fn the_longest_topic_fits() {
        let prefix = "p".repeat(crate::config::MAX_PREFIX_BYTES);
        let topics = Topics {
            prefix: &prefix,
            style: Style::Mqtt,
        };
        assert!(
            topics
                .of([0; 16], Purpose::HistoryAck)
                .ends_with("/history_ack")
        );
    }
}
