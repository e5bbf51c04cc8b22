//! Whether a heartbeat came from where its sensor announces itself.
//!
//! On a subject that all sensors share, each could announce any other. Below a *confined* prefix each
//! has a subject of its own, with its id in it, and the NATS server says who may publish there. So what
//! comes from elsewhere neither names topics below such a prefix nor changes a sensor that lives there.

use fieldledger_wire::heartbeat::Device;
use thiserror::Error;

/// What is wrong with the subject of a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OriginError {
    /// Below a confined prefix, but on the subject of another sensor.
    #[error("the subject lies below a confined prefix and does not carry the sensor's id")]
    AnotherSensors,
    /// Below a confined prefix, with topics that are not below it.
    #[error("a topic lies outside the confined prefix of the subject")]
    TopicOutside,
    /// Elsewhere, with a topic below a confined prefix.
    #[error("a topic lies below a confined prefix and the subject does not")]
    TopicConfined,
    /// Elsewhere, about a sensor that lives below a confined prefix.
    #[error("the sensor lives below a confined prefix and announces itself there only")]
    SensorConfined,
}

/// Checks the subject on which `device` was announced. `known` is the sensor as it was announced before,
/// if it was.
pub(crate) fn check(
    subject: &str,
    device: &Device,
    known: Option<&Device>,
    confined: &[String],
) -> Result<(), OriginError> {
    let prefix_of = |subject| prefix_of(subject, confined);
    let here = prefix_of(subject);
    // As the server's permissions spell it; a subject is no place for another spelling.
    let id = device.id.hyphenated().to_string();
    if here.is_some() && !subject.split('.').any(|token| token == id) {
        return Err(OriginError::AnotherSensors);
    }
    for topic in [&device.poll, &device.read, &device.disconnect] {
        if prefix_of(topic.as_str()) != here {
            return Err(match here {
                Some(_) => OriginError::TopicOutside,
                None => OriginError::TopicConfined,
            });
        }
    }
    let home = known.and_then(|known| prefix_of(known.poll.as_str()));
    match home.is_some() && home != here {
        true => Err(OriginError::SensorConfined),
        false => Ok(()),
    }
}

/// The confined prefix that a subject lies below.
pub(crate) fn prefix_of<'a>(subject: &str, confined: &'a [String]) -> Option<&'a str> {
    let is_below = |prefix: &&String| {
        let rest = subject.strip_prefix(prefix.as_str());
        rest.is_some_and(|rest| rest.starts_with('.'))
    };
    confined.iter().find(is_below).map(String::as_str)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_wire::heartbeat::{Heartbeat, Limits, POLL_INTERVALS_MS};
    use fieldledger_wire::topic::TopicRules;
    use serde_json::json;

    use super::*;

    const ID: &str = "f3088463-5623-476f-a1b5-ecb49446a443";
    const OTHER: &str = "00000000-0000-4000-8000-000000000001";

    fn device(poll: &str, read: &str) -> Device {
        let prefixes = ["sim", "field", "fieldwork"].map(str::to_owned);
        let limits = Limits {
            topics: TopicRules::new(&prefixes, "default").unwrap(),
            poll_interval_ms: POLL_INTERVALS_MS,
        };
        let heartbeat = json!({
            "alias": "a", "id": ID, "poll_interval": 1_000, "location": "l",
            "poll_topic": format!("{poll}.{ID}.poll"),
            "read_topic": format!("{read}.{ID}.read"),
            "disconnect_topic": format!("{poll}.{ID}.disconnect"),
            "ip_addr": "127.0.0.1", "mac_addr": [2, 0, 0, 0, 0, 1],
        });
        Heartbeat::parse(heartbeat.to_string().as_bytes(), &limits).unwrap()
    }

    #[test]
    fn only_the_sensors_own_subject_speaks_for_it() {
        let confined = ["field".to_owned()];
        let (open, own) = (device("sim", "sim"), device("field", "field"));
        let own_subject = format!("field.{ID}.heartbeat");
        let others_subject = format!("field.{OTHER}.heartbeat");
        let shouted = format!("field.{}.heartbeat", ID.to_uppercase());
        let mixed = device("field", "sim");
        let alike = device("fieldwork", "fieldwork");
        for (subject, device, known, expected) in [
            ("sim.heartbeat", &open, None, Ok(())),
            ("sim.heartbeat", &open, Some(&open), Ok(())),
            ("sim.heartbeat", &alike, None, Ok(())),
            (&own_subject, &own, None, Ok(())),
            (&own_subject, &own, Some(&own), Ok(())),
            // Whoever took the id before in the open field loses it.
            (&own_subject, &own, Some(&open), Ok(())),
            (
                &others_subject,
                &own,
                None,
                Err(OriginError::AnotherSensors),
            ),
            (&shouted, &own, None, Err(OriginError::AnotherSensors)),
            (
                "field.heartbeat",
                &own,
                None,
                Err(OriginError::AnotherSensors),
            ),
            (&own_subject, &open, None, Err(OriginError::TopicOutside)),
            (&own_subject, &mixed, None, Err(OriginError::TopicOutside)),
            ("sim.heartbeat", &own, None, Err(OriginError::TopicConfined)),
            (
                "sim.heartbeat",
                &mixed,
                None,
                Err(OriginError::TopicConfined),
            ),
            (
                "sim.heartbeat",
                &open,
                Some(&own),
                Err(OriginError::SensorConfined),
            ),
        ] {
            let found = check(subject, device, known, &confined);
            assert_eq!(found, expected, "{subject} {:?}", device.poll);
        }
        assert_eq!(check("sim.heartbeat", &own, Some(&open), &[]), Ok(()));
    }
}
