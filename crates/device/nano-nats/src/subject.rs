//! Subjects: names to publish to, and patterns to subscribe to.

use core::fmt;

/// Why a text is no subject, or no filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectError {
    /// There is nothing in it.
    #[error("a subject cannot be empty")]
    Empty,
    /// Two dots follow each other, or one is at the beginning or end.
    #[error("the token at byte {at} of the subject is empty")]
    EmptyToken {
        /// Where the token would begin, in bytes.
        at: usize,
    },
    /// White space or a control character, which would end the subject, or the whole command.
    #[error("byte {at} of the subject is {byte:#04x}, white space or a control character")]
    Forbidden {
        /// The byte.
        byte: u8,
        /// Where it is, in bytes.
        at: usize,
    },
    /// `*` or `>` where none can be: anywhere in a name, within a token of a filter, or `>` before
    /// a filter's end.
    #[error("there is a wildcard at byte {at} of the subject, where none can be")]
    Wildcard {
        /// Where it is, in bytes.
        at: usize,
    },
}

/// The name of a subject, such as `plant.boiler.temperature`: tokens with dots between them.
///
/// It is not empty and has no empty token, no white space, no control character, and neither `*`
/// nor `>`: nats-server would take those within a longer token, but what is published to such a
/// name is too easily mistaken for a pattern. Names of queue groups follow the same rules.
///
/// A name that the program contains can be checked when it is compiled:
///
/// ```
/// use nano_nats::Subject;
///
/// const TEMPERATURE: Subject<'_> = match Subject::new("plant.boiler.temperature") {
///     Ok(subject) => subject,
///     Err(_) => panic!("no subject"),
/// };
/// assert_eq!(TEMPERATURE.as_str(), "plant.boiler.temperature");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subject<'a>(&'a str);

impl<'a> Subject<'a> {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// [`SubjectError`] for the first rule that it breaks.
    pub const fn new(name: &'a str) -> Result<Self, SubjectError> {
        match check(name.as_bytes(), false) {
            Ok(()) => Ok(Self(name)),
            Err(error) => Err(error),
        }
    }

    /// The name.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

/// A subject or a pattern of subjects, to subscribe to: `*` stands for one token, and `>` at the
/// end for one or more.
///
/// Otherwise it follows the rules of [`Subject`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Filter<'a>(&'a str);

impl<'a> Filter<'a> {
    /// Checks a pattern.
    ///
    /// # Errors
    ///
    /// [`SubjectError`] for the first rule that it breaks.
    pub const fn new(pattern: &'a str) -> Result<Self, SubjectError> {
        match check(pattern.as_bytes(), true) {
            Ok(()) => Ok(Self(pattern)),
            Err(error) => Err(error),
        }
    }

    /// The pattern.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }

    /// Whether messages to this subject come to a subscription of this filter.
    ///
    /// ```
    /// use nano_nats::Filter;
    ///
    /// let filter = Filter::new("plant.*.temperature")?;
    /// assert!(filter.matches("plant.boiler.temperature"));
    /// assert!(!filter.matches("plant.boiler.pressure"));
    /// # Ok::<(), nano_nats::SubjectError>(())
    /// ```
    #[must_use]
    pub fn matches(&self, subject: &str) -> bool {
        let mut tokens = subject.split('.');
        for expected in self.0.split('.') {
            let token = tokens.next();
            match (expected, token) {
                (_, None) => return false,
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (expected, Some(token)) if expected == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }
}

impl<'a> From<Subject<'a>> for Filter<'a> {
    fn from(subject: Subject<'a>) -> Self {
        Self(subject.0)
    }
}

impl fmt::Display for Filter<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

const fn check(text: &[u8], with_wildcards: bool) -> Result<(), SubjectError> {
    if text.is_empty() {
        return Err(SubjectError::Empty);
    }
    let mut token_start = 0;
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        match byte {
            b'.' if at == token_start => return Err(SubjectError::EmptyToken { at }),
            b'.' => token_start = at + 1,
            0..=b' ' | 0x7f => return Err(SubjectError::Forbidden { byte, at }),
            b'*' | b'>' => {
                let is_last = at + 1 == text.len();
                let is_whole = at == token_start && (is_last || text[at + 1] == b'.');
                if !with_wildcards || !is_whole || (byte == b'>' && !is_last) {
                    return Err(SubjectError::Wildcard { at });
                }
            }
            _ => {}
        }
        at += 1;
    }
    match token_start == text.len() {
        true => Err(SubjectError::EmptyToken { at: token_start }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names() {
        for good in ["a", "a.b", "$SYS.REQ", "_INBOX.x.1", "größe.µ", "a-b_c/d"] {
            assert_eq!(Subject::new(good).map(|subject| subject.as_str()), Ok(good));
        }
        let bad = [
            ("", SubjectError::Empty),
            (".a", SubjectError::EmptyToken { at: 0 }),
            ("a..b", SubjectError::EmptyToken { at: 2 }),
            ("a.", SubjectError::EmptyToken { at: 2 }),
            (".", SubjectError::EmptyToken { at: 0 }),
            ("a b", SubjectError::Forbidden { byte: b' ', at: 1 }),
            ("a\r\nb", SubjectError::Forbidden { byte: b'\r', at: 1 }),
            ("a.*", SubjectError::Wildcard { at: 2 }),
            ("a.>", SubjectError::Wildcard { at: 2 }),
            ("a*b", SubjectError::Wildcard { at: 1 }),
        ];
        for (name, error) in bad {
            assert_eq!(Subject::new(name), Err(error), "{name:?}");
        }
    }

    #[test]
    fn filters() {
        for good in ["*", ">", "a.*", "a.*.b", "a.>", "*.>"] {
            assert_eq!(Filter::new(good).map(|filter| filter.as_str()), Ok(good));
        }
        for (bad, at) in [("a*", 1), ("*a", 0), (">.a", 0), ("a.>b", 2), ("**", 0)] {
            assert_eq!(
                Filter::new(bad),
                Err(SubjectError::Wildcard { at }),
                "{bad}"
            );
        }
    }

    #[test]
    fn matching() {
        let cases = [
            ("a.b", "a.b", true),
            ("a.b", "a.b.c", false),
            ("a.b.c", "a.b", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            (">", "a", true),
        ];
        for (pattern, subject, expected) in cases {
            let filter = Filter::new(pattern).unwrap();
            assert_eq!(filter.matches(subject), expected, "{pattern} {subject}");
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn a_name_is_a_filter_of_itself_alone(name in "[a-c*>. ]{0,8}", other in "[a-c]{1,3}(\\.[a-c]{1,3}){0,2}") {
            if let Ok(subject) = Subject::new(&name) {
                prop_assert_eq!(Filter::new(&name), Ok(Filter::from(subject)));
                prop_assert_eq!(Filter::from(subject).matches(&other), name == other);
            }
        }
    }
}
