//! The subjects and topics of one simulation.

use fieldledger_wire::topic::subject_of;
use uuid::Uuid;

/// How the sensors speak to their broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// NATS, like the original simulator.
    Nats,
    /// MQTT 3.1.1, like the original Pico W.
    Mqtt,
}

/// How the sensors put their messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Heartbeats with unit and range; answers are objects with sequence number, boot id and time,
    /// and go to the reply subject where the poll has one.
    Modern,
    /// The original's messages, byte for byte; answers go to the read topic.
    Original,
}

/// Names the topics of each sensor.
#[derive(Debug, Clone)]
pub struct Topics {
    protocol: Protocol,
    style: Style,
    prefix: String,
}

/// A prefix that cannot be part of a topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the prefix {prefix:?} cannot begin a topic: it must be 1 to 32 letters, digits, '-' or '_'"
)]
pub struct PrefixError {
    prefix: String,
}

/// Longest prefix accepted.
const LONGEST_PREFIX: usize = 32;

impl Topics {
    /// Topics that begin with a prefix; none is the original's: `sim` over NATS, `picow` over MQTT.
    ///
    /// # Errors
    /// The prefix is empty, too long, or has a character that means something in a topic.
    pub fn new(
        protocol: Protocol,
        style: Style,
        prefix: Option<&str>,
    ) -> Result<Self, PrefixError> {
        let prefix = prefix.unwrap_or(match protocol {
            Protocol::Nats => "sim",
            Protocol::Mqtt => "picow",
        });
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if prefix.is_empty() || prefix.len() > LONGEST_PREFIX || !prefix.chars().all(is_plain) {
            return Err(PrefixError {
                prefix: prefix.to_owned(),
            });
        }
        Ok(Self {
            protocol,
            style,
            prefix: prefix.to_owned(),
        })
    }

    /// How the sensors speak to their broker.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Where heartbeats go.
    #[must_use]
    pub fn heartbeat(&self) -> String {
        match self.protocol {
            Protocol::Nats => format!("{}.heartbeat", self.prefix),
            Protocol::Mqtt => format!("{}/heartbeat", self.prefix),
        }
    }

    /// Where a sensor listens for polls.
    #[must_use]
    pub fn poll(&self, sensor: Uuid) -> String {
        self.of_sensor(sensor, "poll")
    }

    /// Where a sensor puts its answers.
    #[must_use]
    pub fn read(&self, sensor: Uuid) -> String {
        self.of_sensor(sensor, "read")
    }

    /// Where a sensor says that it leaves.
    ///
    /// The original simulator has a `/` in this NATS subject; its style keeps it.
    #[must_use]
    pub fn disconnect(&self, sensor: Uuid) -> String {
        match (self.protocol, self.style) {
            (Protocol::Nats, Style::Original) => format!("{}.disconnect/{sensor}", self.prefix),
            _ => self.of_sensor(sensor, "disconnect"),
        }
    }

    /// The topic of a sensor's last message: the one that it announces. Over NATS a `/` in that
    /// means `.`, as in every topic that the polling provider reads.
    #[must_use]
    pub fn goodbye(&self, sensor: Uuid) -> String {
        let announced = self.disconnect(sensor);
        match self.protocol {
            Protocol::Nats => subject_of(&announced),
            Protocol::Mqtt => announced,
        }
    }

    fn of_sensor(&self, sensor: Uuid, what: &str) -> String {
        match self.protocol {
            Protocol::Nats => format!("{}.{what}.{sensor}", self.prefix),
            Protocol::Mqtt => format!("{}/{sensor}/{what}", self.prefix),
        }
    }

    /// The NATS subject that covers every sensor's polls.
    #[must_use]
    pub fn all_polls(&self) -> String {
        format!("{}.poll.*", self.prefix)
    }

    /// The sensor that a poll's topic names, or none where it is no such topic.
    #[must_use]
    pub fn polled_sensor(&self, topic: &str) -> Option<Uuid> {
        let rest = topic.strip_prefix(self.prefix.as_str())?;
        let id = match self.protocol {
            Protocol::Nats => rest.strip_prefix(".poll.")?,
            Protocol::Mqtt => rest.strip_prefix('/')?.strip_suffix("/poll")?,
        };
        Uuid::try_parse(id).ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SENSOR: Uuid = Uuid::from_u128(0x1234);
    const ID: &str = "00000000-0000-0000-0000-000000001234";

    #[test]
    fn the_originals_nats_subjects() {
        let topics = Topics::new(Protocol::Nats, Style::Original, None).unwrap();
        assert_eq!(topics.heartbeat(), "sim.heartbeat");
        assert_eq!(topics.poll(SENSOR), format!("sim.poll.{ID}"));
        assert_eq!(topics.read(SENSOR), format!("sim.read.{ID}"));
        assert_eq!(topics.disconnect(SENSOR), format!("sim.disconnect/{ID}"));
        assert_eq!(topics.goodbye(SENSOR), format!("sim.disconnect.{ID}"));
    }

    #[test]
    fn the_originals_mqtt_topics() {
        let topics = Topics::new(Protocol::Mqtt, Style::Original, None).unwrap();
        assert_eq!(topics.heartbeat(), "picow/heartbeat");
        assert_eq!(topics.poll(SENSOR), format!("picow/{ID}/poll"));
        assert_eq!(topics.read(SENSOR), format!("picow/{ID}/read"));
        assert_eq!(topics.disconnect(SENSOR), format!("picow/{ID}/disconnect"));
        assert_eq!(topics.goodbye(SENSOR), format!("picow/{ID}/disconnect"));
    }

    #[test]
    fn a_poll_topic_leads_back_to_its_sensor() {
        for protocol in [Protocol::Nats, Protocol::Mqtt] {
            let topics = Topics::new(protocol, Style::Modern, Some("plant-7")).unwrap();
            assert_eq!(topics.polled_sensor(&topics.poll(SENSOR)), Some(SENSOR));
            assert_eq!(topics.polled_sensor(&topics.read(SENSOR)), None);
            assert_eq!(topics.polled_sensor("plant-7.poll.nobody"), None);
            assert_eq!(topics.polled_sensor(""), None);
        }
    }

    #[test]
    fn a_prefix_with_a_wildcard_is_refused() {
        for prefix in ["", "a.b", "*", ">", "a/b", "+", "a b", &"x".repeat(33)] {
            let refused = Topics::new(Protocol::Nats, Style::Modern, Some(prefix));
            assert!(refused.is_err(), "{prefix:?}");
        }
    }
}
