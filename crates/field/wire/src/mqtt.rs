//! MQTT topics as NATS subjects and back, exactly as the MQTT gateway of nats-server does it
//! (`server/mqtt.go`, version 2.15).
//!
//! | topic | subject |
//! |---|---|
//! | a `/` between two levels that are not empty | `.` |
//! | a `/` at the beginning, or behind one that became a `.` | `/.` |
//! | a `/` at the end, or before another | `./` |
//! | `.` | `//` |
//! | the wildcards `+` and `#`, of a filter | `*` and `>` |
//!
//! So an empty level becomes the token `/`: `a//b` is `a./.b`. White space and DEL are in no topic that the
//! server takes.

use thiserror::Error;

/// Why the server would never deliver on a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MqttError {
    /// White space or DEL.
    #[error("the server takes no topic with {0:?}")]
    Character(char),
    /// A wildcard in a topic that is published to.
    #[error("{0:?} is a wildcard in MQTT, and nothing can be published there")]
    Wildcard(char),
    /// The way to the subject and back leads elsewhere.
    #[error("the server would deliver it under another name, because of a \".\" beside a \"/\"")]
    Ambiguous,
}

/// The subject of a topic that is published to.
///
/// # Errors
///
/// Says why the server does not take the topic, or does not deliver under this name.
pub fn subject(topic: &str) -> Result<String, MqttError> {
    let refused = |c: &char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}' | '\u{7f}');
    if let Some(character) = topic.chars().find(refused) {
        return Err(MqttError::Character(character));
    }
    if let Some(wildcard) = topic.chars().find(|c| matches!(c, '+' | '#')) {
        return Err(MqttError::Wildcard(wildcard));
    }
    let subject = converted(topic);
    match self::topic(&subject) == topic {
        true => Ok(subject),
        false => Err(MqttError::Ambiguous),
    }
}

/// The subject of a topic filter: its wildcards become those of NATS.
#[must_use]
pub fn filter(filter: &str) -> String {
    converted(filter).replace('+', "*").replace('#', ">")
}

/// Separators converted, everything else as it is.
pub(crate) fn converted(topic: &str) -> String {
    let mut subject = String::with_capacity(topic.len() + 10);
    let mut characters = topic.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '/' if subject.is_empty() || subject.ends_with('.') => subject.push_str("/."),
            '/' if matches!(characters.peek(), None | Some('/')) => subject.push_str("./"),
            '/' => subject.push('.'),
            '.' => subject.push_str("//"),
            other => subject.push(other),
        }
    }
    if subject.ends_with('.') {
        subject.push('/');
    }
    subject
}

/// The topic under which the server delivers what is published on a subject.
#[must_use]
pub fn topic(subject: &str) -> String {
    let mut topic = String::with_capacity(subject.len());
    let mut characters = subject.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '/' => match characters.peek() {
                Some('.') => {
                    characters.next();
                    topic.push('/');
                }
                Some('/') => {
                    characters.next();
                    topic.push('.');
                }
                // The server leaves it out.
                _ => {}
            },
            '.' => topic.push('/'),
            other => topic.push(other),
        }
    }
    topic
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn topics_become_what_the_server_makes_of_them() {
        for (topic, expected) in [
            ("foo", "foo"),
            ("foo/bar", "foo.bar"),
            ("/foo/bar", "/.foo.bar"),
            ("foo//bar", "foo./.bar"),
            ("foo///bar", "foo././.bar"),
            ("foo/bar/", "foo.bar./"),
            ("/", "/./"),
            ("//", "/././"),
            ("foo.bar", "foo//bar"),
            ("foo/v1.2/poll", "foo.v1//2.poll"),
            ("foo/.bar", "foo.//bar"),
            ("foo./bar", "foo//.bar"),
            ("..", "////"),
            ("$x/y", "$x.y"),
        ] {
            assert_eq!(subject(topic).unwrap(), expected, "{topic}");
        }
        assert_eq!(filter("a/+/v1.2/#"), "a.*.v1//2.>");
    }

    #[test]
    fn what_the_server_does_not_take_is_refused() {
        assert_eq!(subject("a b"), Err(MqttError::Character(' ')));
        assert_eq!(subject("a\u{7f}"), Err(MqttError::Character('\u{7f}')));
        assert_eq!(subject("a/+"), Err(MqttError::Wildcard('+')));
        assert_eq!(subject("a/#"), Err(MqttError::Wildcard('#')));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn what_is_taken_comes_back_and_has_no_empty_token(topic in "[a-z/.$é]{1,16}") {
            if let Ok(subject) = subject(&topic) {
                prop_assert_eq!(super::topic(&subject), topic);
                prop_assert!(subject.split('.').all(|token| !token.is_empty()), "{}", subject);
            }
        }
    }
}
