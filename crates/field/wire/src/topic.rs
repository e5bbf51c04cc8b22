//! A device's topics as NATS subjects.
//!
//! Devices speak MQTT or NATS, and a heartbeat does not say which: the topics do, see [`subject_of`].
//!
//! Topics arrive in a heartbeat, from anyone who can publish one. The provider publishes to them
//! and subscribes to them, so a topic that names a control subject would make it a weapon. A
//! [`Subject`] has passed every rule of [`TopicRules`].

use std::fmt;

use thiserror::Error;
use uuid::Uuid;

use crate::excerpt::quoted;
use crate::mqtt::{self, MqttError};

/// The longest subject, in bytes. NATS itself allows more; a sensor needs a fraction of this.
pub const MAX_SUBJECT_BYTES: usize = 256;

/// First tokens that belong to the lattice, to its tools and to this system.
const RESERVED_FIRST_TOKENS: [&str; 3] = ["wasmbus", "wadm", "fieldledger"];

/// How a topic is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// As an MQTT topic, which nats-server carries as [`mqtt::subject`] says.
    Mqtt,
    /// As a NATS subject, in which a `/` separates as well: the original simulator's
    /// `sim.disconnect/<id>`.
    Nats,
}

impl Reading {
    /// What the first separator says.
    fn of(topic: &str) -> Self {
        match topic.find(['/', '.']) {
            Some(position) if topic[position..].starts_with('/') => Self::Mqtt,
            _ => Self::Nats,
        }
    }
}

/// The NATS subject of a topic, or of a filter with the wildcards of its kind. A topic whose first
/// separator is a `/` is one of MQTT ([`mqtt`]); any other is a NATS subject, in which `/` becomes `.`.
#[must_use]
pub fn subject_of(topic: &str) -> String {
    match Reading::of(topic) {
        Reading::Mqtt => mqtt::filter(topic),
        Reading::Nats => topic.replace('/', "."),
    }
}

/// Which topics a heartbeat may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRules {
    prefixes: Vec<String>,
    lattice: String,
}

impl TopicRules {
    /// Topics below one of `prefixes` (NATS subjects without wildcards, such as `sim` or
    /// `plant.hall1`), and never below `lattice`.
    ///
    /// # Errors
    ///
    /// Names the prefix that is no plain subject or is reserved, or says that there is none.
    pub fn new(prefixes: &[String], lattice: &str) -> Result<Self, TopicError> {
        if prefixes.is_empty() {
            return Err(TopicError::NoPrefix);
        }
        let rules = Self {
            prefixes: prefixes.to_vec(),
            lattice: lattice.to_owned(),
        };
        for prefix in prefixes {
            rules.check_plain(prefix)?;
        }
        Ok(rules)
    }

    /// Characters, length, tokens and first token: the rules that hold for prefixes as well.
    fn check_plain(&self, subject: &str) -> Result<(), TopicError> {
        if subject.len() > MAX_SUBJECT_BYTES {
            return Err(TopicError::TooLong {
                length: subject.len(),
            });
        }
        let forbidden = |c: &char| matches!(c, '*' | '>') || c.is_whitespace() || c.is_control();
        if let Some(character) = subject.chars().find(forbidden) {
            return Err(TopicError::Character {
                subject: quoted(subject),
                character,
            });
        }
        if subject.split('.').any(str::is_empty) {
            return Err(TopicError::EmptyToken {
                subject: quoted(subject),
            });
        }
        let first = subject.split('.').next().unwrap_or_default();
        let internal = first.starts_with(['$', '_']);
        if internal || first == self.lattice || RESERVED_FIRST_TOKENS.contains(&first) {
            return Err(TopicError::Reserved {
                subject: quoted(subject),
                first: first.to_owned(),
            });
        }
        Ok(())
    }

    fn allows(&self, subject: &str) -> bool {
        self.prefixes.iter().any(|prefix| {
            subject
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.starts_with('.'))
        })
    }
}

/// A subject that a sensor may be polled, read or missed on: inside a configured prefix, with the
/// sensor's own id as exactly one token, without wildcards, whitespace, control characters or empty
/// tokens, at most [`MAX_SUBJECT_BYTES`] long, and below no control subject.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(String);

impl Subject {
    /// Checks a topic that the heartbeat of `sensor` names, read as the first separator says. The first
    /// level of an MQTT topic may have a `.` too: it is read as one where it is no acceptable subject.
    ///
    /// # Errors
    ///
    /// Names the rule that is broken and what would be right.
    pub fn from_topic(topic: &str, sensor: Uuid, rules: &TopicRules) -> Result<Self, TopicError> {
        let as_mqtt = || {
            let subject = mqtt::subject(topic).map_err(|source| TopicError::Undeliverable {
                topic: quoted(topic),
                source,
            })?;
            Self::from_subject(subject, sensor, rules)
        };
        match Reading::of(topic) {
            Reading::Mqtt => as_mqtt(),
            Reading::Nats => Self::from_subject(topic.replace('/', "."), sensor, rules)
                .or_else(|error| as_mqtt().map_err(|_| error)),
        }
    }

    /// Checks a subject.
    ///
    /// # Errors
    ///
    /// Names the rule that is broken and what would be right.
    pub fn from_subject(
        subject: String,
        sensor: Uuid,
        rules: &TopicRules,
    ) -> Result<Self, TopicError> {
        rules.check_plain(&subject)?;
        if !rules.allows(&subject) {
            return Err(TopicError::OutsidePrefix {
                subject: quoted(&subject),
                prefixes: rules.prefixes.join(", "),
            });
        }
        let id = sensor.hyphenated().to_string();
        // Twice would do no good and turns the read pattern into one that matches strangers' topics.
        if tokens_naming(&subject, &id).count() != 1 {
            return Err(TopicError::WithoutOwnId {
                subject: quoted(&subject),
                id,
            });
        }
        Ok(Self(subject))
    }

    /// Where the sensor sends what it read while it was not polled, given its read topic: the last
    /// level that is called `read` is `history` there; a read topic without one has a level `history`
    /// below it.
    #[must_use]
    pub fn history(&self) -> Self {
        self.sibling("history")
    }

    /// Where it hears that its history is stored, given its read topic: `history_ack` in the place of
    /// `history`.
    #[must_use]
    pub fn history_ack(&self) -> Self {
        self.sibling("history_ack")
    }

    fn sibling(&self, name: &str) -> Self {
        let mut tokens: Vec<&str> = self.0.split('.').collect();
        match tokens.iter_mut().rev().find(|token| **token == "read") {
            Some(token) => *token = name,
            None => tokens.push(name),
        }
        Self(tokens.join("."))
    }

    /// The subject as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The subject with the token that names `sensor` replaced by `*`: one subscription to it
    /// serves every sensor whose topics are built alike.
    #[must_use]
    pub fn pattern(&self, sensor: Uuid) -> String {
        let id = sensor.hyphenated().to_string();
        let tokens: Vec<&str> = self
            .0
            .split('.')
            .map(|token| {
                if token.eq_ignore_ascii_case(&id) {
                    "*"
                } else {
                    token
                }
            })
            .collect();
        tokens.join(".")
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn tokens_naming<'a>(subject: &'a str, id: &'a str) -> impl Iterator<Item = &'a str> {
    subject
        .split('.')
        .filter(move |token| token.eq_ignore_ascii_case(id))
}

/// Why a topic is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TopicError {
    /// The rules name no prefix.
    #[error("no topic prefix is configured; at least one is needed, such as sim")]
    NoPrefix,
    /// Longer than [`MAX_SUBJECT_BYTES`].
    #[error("{length} bytes are too long; at most {MAX_SUBJECT_BYTES} are allowed")]
    TooLong {
        /// Bytes of the subject.
        length: usize,
    },
    /// A wildcard, whitespace or a control character.
    #[error(
        "{subject} contains {character:?}; wildcards, whitespace and control characters are not allowed"
    )]
    Character {
        /// The subject, shortened and quoted.
        subject: String,
        /// The first offending character.
        character: char,
    },
    /// One of MQTT on which nats-server delivers nothing.
    #[error(
        "nothing can be delivered on {topic}; expected levels of letters, digits, - and _ between single slashes"
    )]
    Undeliverable {
        /// The topic, shortened and quoted.
        topic: String,
        /// What stands in the way.
        #[source]
        source: MqttError,
    },
    /// Nothing between two separators, or before the first, or after the last.
    #[error("{subject} has an empty level; every level between separators needs a name")]
    EmptyToken {
        /// The subject, shortened and quoted.
        subject: String,
    },
    /// Below a subject that belongs to NATS, the lattice or this system.
    #[error("{subject} begins with the reserved {first}; a device's topics begin elsewhere")]
    Reserved {
        /// The subject, shortened and quoted.
        subject: String,
        /// Its first token.
        first: String,
    },
    /// Below none of the configured prefixes.
    #[error("{subject} lies outside the allowed prefixes; it must lie below one of: {prefixes}")]
    OutsidePrefix {
        /// The subject, shortened and quoted.
        subject: String,
        /// The configured prefixes.
        prefixes: String,
    },
    /// The sensor's id is missing, or there twice.
    #[error("{subject} does not carry the sensor's own id; one of its levels must be {id}")]
    WithoutOwnId {
        /// The subject, shortened and quoted.
        subject: String,
        /// The id that is expected.
        id: String,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "f3088463-5623-476f-a1b5-ecb49446a443";

    fn rules() -> TopicRules {
        TopicRules::new(&["sim".to_owned(), "picow".to_owned()], "default").unwrap()
    }

    fn check(topic: &str) -> Result<Subject, TopicError> {
        Subject::from_topic(topic, Uuid::parse_str(ID).unwrap(), &rules())
    }

    #[test]
    fn topics_of_the_original_devices_are_accepted() {
        for (topic, subject) in [
            (format!("sim.poll.{ID}"), format!("sim.poll.{ID}")),
            (
                format!("sim.disconnect/{ID}"),
                format!("sim.disconnect.{ID}"),
            ),
            (format!("picow/{ID}/poll"), format!("picow.{ID}.poll")),
        ] {
            assert_eq!(check(&topic).unwrap().as_str(), subject);
        }
    }

    #[test]
    fn the_pattern_has_a_wildcard_in_place_of_the_id() {
        let subject = check(&format!("picow/{}/read", ID.to_uppercase())).unwrap();
        assert_eq!(
            subject.pattern(Uuid::parse_str(ID).unwrap()),
            "picow.*.read"
        );
    }

    #[test]
    fn the_history_is_beside_the_readings() {
        for (read, history, ack) in [
            (
                format!("sim.read.{ID}"),
                format!("sim.history.{ID}"),
                format!("sim.history_ack.{ID}"),
            ),
            (
                format!("picow/{ID}/read"),
                format!("picow.{ID}.history"),
                format!("picow.{ID}.history_ack"),
            ),
            (
                format!("sim/{ID}/values"),
                format!("sim.{ID}.values.history"),
                format!("sim.{ID}.values.history_ack"),
            ),
        ] {
            let read = check(&read).unwrap();
            assert_eq!(read.history().as_str(), history);
            assert_eq!(read.history_ack().as_str(), ack);
        }
    }

    #[test]
    fn wildcards_whitespace_and_control_characters_are_refused() {
        for bad in ["*", ">", "a b", "a\r\nPUB x 1", "a\u{0}", "a\u{a0}b"] {
            let error = check(&format!("sim.{bad}.{ID}")).unwrap_err();
            assert!(
                matches!(error, TopicError::Character { .. }),
                "{bad:?}: {error}"
            );
        }
    }

    #[test]
    fn empty_levels_are_refused() {
        for topic in [
            format!("sim..{ID}"),
            format!(".sim.{ID}"),
            format!("sim.{ID}."),
        ] {
            let error = check(&topic).unwrap_err();
            assert!(matches!(error, TopicError::EmptyToken { .. }), "{error}");
        }
    }

    #[test]
    fn mqtt_topics_are_read_as_the_server_does() {
        for (topic, subject) in [
            (
                format!("picow/{ID}/v1.2/poll"),
                format!("picow.{ID}.v1//2.poll"),
            ),
            (format!("picow/{ID}//poll"), format!("picow.{ID}./.poll")),
            (format!("picow/{ID}/poll/"), format!("picow.{ID}.poll./")),
            (format!("picow/{ID}/.poll"), format!("picow.{ID}.//poll")),
            // Read as NATS has it, this would be the subject of nobody.
            (format!("v1.2/{ID}/poll"), format!("v1//2.{ID}.poll")),
            (format!("/plant/{ID}/poll"), format!("/.plant.{ID}.poll")),
            (
                format!("sim.disconnect/{ID}"),
                format!("sim.disconnect.{ID}"),
            ),
        ] {
            let prefixes = ["sim", "picow", "v1//2", "/.plant"].map(str::to_owned);
            let rules = TopicRules::new(&prefixes, "default").unwrap();
            let sensor = Uuid::parse_str(ID).unwrap();
            let checked = Subject::from_topic(&topic, sensor, &rules).unwrap();
            assert_eq!(checked.as_str(), subject);
            // As it is stored.
            let again = Subject::from_subject(subject, sensor, &rules).unwrap();
            assert_eq!(again, checked);
        }
        let read = check(&format!("picow/{ID}/v1.2/read")).unwrap();
        assert_eq!(read.history().as_str(), format!("picow.{ID}.v1//2.history"));
        assert_eq!(
            subject_of("picow/+/v1.2/heartbeat"),
            "picow.*.v1//2.heartbeat"
        );
        assert_eq!(subject_of("sim.*.heartbeat"), "sim.*.heartbeat");
    }

    #[test]
    fn what_could_never_be_delivered_is_refused_with_a_hint() {
        for bad in ["+", "#", "a b", "a\u{7f}"] {
            let error = check(&format!("picow/{ID}/{bad}/poll")).unwrap_err();
            assert!(matches!(error, TopicError::Undeliverable { .. }), "{error}");
            assert!(error.to_string().contains("expected levels"), "{error}");
        }
        // The id with something beside it is no level of its own.
        let error = check(&format!("picow/{ID}.v1/poll")).unwrap_err();
        assert!(matches!(error, TopicError::WithoutOwnId { .. }), "{error}");
        // Neither way leads out of the prefix.
        for topic in [
            format!("picow./{ID}/poll"),
            format!("$SYS/{ID}"),
            format!("/{ID}/sim"),
        ] {
            check(&topic).unwrap_err();
        }
    }

    #[test]
    fn control_subjects_are_refused_even_as_a_prefix() {
        for first in [
            "$JS",
            "$SYS",
            "_INBOX",
            "wasmbus",
            "wadm",
            "fieldledger",
            "default",
        ] {
            let error = check(&format!("{first}.{ID}")).unwrap_err();
            assert!(matches!(error, TopicError::Reserved { .. }), "{error}");
            let prefix = [format!("{first}.api")];
            assert!(TopicRules::new(&prefix, "default").is_err());
        }
    }

    #[test]
    fn a_prefix_ends_at_a_level() {
        let error = check(&format!("simulated.poll.{ID}")).unwrap_err();
        assert!(
            error.to_string().contains("below one of: sim, picow"),
            "{error}"
        );
    }

    #[test]
    fn the_own_id_must_be_there_once() {
        for topic in [
            "sim.poll".to_owned(),
            "sim.poll.00000000-0000-0000-0000-000000000000".to_owned(),
            format!("sim.poll.x{ID}"),
            format!("sim.{ID}.{ID}"),
        ] {
            let error = check(&topic).unwrap_err();
            assert!(matches!(error, TopicError::WithoutOwnId { .. }), "{error}");
        }
    }

    #[test]
    fn long_topics_are_refused() {
        let topic = format!("sim.{}.{ID}", "x".repeat(MAX_SUBJECT_BYTES));
        assert!(matches!(check(&topic), Err(TopicError::TooLong { .. })));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn what_passes_is_a_plain_subject_below_a_prefix(topic in "(sim|\\$SYS|x)?[./]?\\PC{0,20}[./ *>]?(f3088463-5623-476f-a1b5-ecb49446a443)?") {
            if let Ok(subject) = check(&topic) {
                prop_assert!(subject.as_str().starts_with("sim."));
                prop_assert!(!subject.as_str().contains(['*', '>', ' ']));
                prop_assert!(subject.as_str().split('.').all(|token| !token.is_empty()));
                prop_assert!(subject.as_str().contains(ID));
            }
        }
    }
}
