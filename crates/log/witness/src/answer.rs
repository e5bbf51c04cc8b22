//! What a witness answers to `add-checkpoint`, C2SP tlog-witness.

use crate::checkpoint::{SignatureError, SignedCheckpoint};
use crate::cosignature::{Cosignature, WitnessKey};
use crate::judge::Refusal;
use crate::request::decimal;

/// The type of an answer that is a tree size.
pub const SIZE_CONTENT_TYPE: &str = "text/x.tlog.size";

/// The type of all others.
pub const TEXT_CONTENT_TYPE: &str = "text/plain; charset=utf-8";

/// Longest part of a witness's own words that is repeated, characters.
const LONGEST_QUOTE: usize = 200;

/// An answer as it goes over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Content-Type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Reply {
    /// 200 with the cosignature.
    #[must_use]
    pub fn cosigned(cosignature: &Cosignature) -> Self {
        Self::text(200, cosignature.line.clone())
    }

    /// A status with a body in words or lines.
    #[must_use]
    pub fn text(status: u16, body: String) -> Self {
        Self {
            status,
            content_type: TEXT_CONTENT_TYPE,
            body,
        }
    }
}

impl From<&Refusal> for Reply {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::OldSize { cosigned } => Self {
                status: refusal.status(),
                content_type: SIZE_CONTENT_TYPE,
                body: format!("{cosigned}\n"),
            },
            _ => Self::text(refusal.status(), format!("{refusal}\n")),
        }
    }
}

/// What a witness has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It has cosigned.
    Cosigned(Cosignature),
    /// The tree that it cosigned last has this size, not the one that the request named.
    OldSize(u64),
    /// It refuses: 422, what it cosigned is not the beginning of this tree.
    Inconsistent(String),
    /// It refuses for another reason.
    Refused {
        /// HTTP status.
        status: u16,
        /// What it said, made printable.
        reason: String,
    },
}

/// Why an answer is not what the specification has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// 200 without signature lines.
    #[error("the witness answered 200 with something other than signature lines: {0:?}")]
    NoLines(String),
    /// No line is by the configured key.
    #[error("the witness answered with no cosignature by its configured key {0}")]
    OtherKey(String),
    /// The cosignature is not one on this checkpoint.
    #[error("the witness answered with a cosignature that does not fit the checkpoint")]
    False,
    /// 409 without a size.
    #[error("the witness answered 409 without the size that it cosigned last: {0:?}")]
    NoSize(String),
}

impl Answer {
    /// Reads the answer to a request with this checkpoint, from the witness with this key.
    ///
    /// # Errors
    ///
    /// When it is not as the specification has it, or its cosignature does not verify.
    pub fn read(
        status: u16,
        content_type: &str,
        body: &[u8],
        checkpoint: &SignedCheckpoint,
        key: &WitnessKey,
    ) -> Result<Self, AnswerError> {
        match status {
            200 => Ok(Self::Cosigned(cosignature(body, checkpoint, key)?)),
            409 => {
                let size = body.strip_suffix(b"\n").and_then(decimal);
                let size = size.filter(|_| media_type(content_type) == SIZE_CONTENT_TYPE);
                size.map(Self::OldSize)
                    .ok_or_else(|| AnswerError::NoSize(quote(body)))
            }
            422 => Ok(Self::Inconsistent(quote(body))),
            _ => Ok(Self::Refused {
                status,
                reason: quote(body),
            }),
        }
    }
}

fn cosignature(
    body: &[u8],
    checkpoint: &SignedCheckpoint,
    key: &WitnessKey,
) -> Result<Cosignature, AnswerError> {
    let no_lines = || AnswerError::NoLines(quote(body));
    if body.is_empty() {
        return Err(no_lines());
    }
    // The specification's own way: the answer appended to the checkpoint, read as a note.
    let note = [checkpoint.text().as_bytes(), b"\n", body].concat();
    let cosigned = SignedCheckpoint::parse(&note).map_err(|_| no_lines())?;
    // An answer with an empty line would move the end of the text.
    if cosigned.text() != checkpoint.text() {
        return Err(no_lines());
    }
    key.cosignature_on(&cosigned).map_err(|error| match error {
        SignatureError::Unsigned => AnswerError::OtherKey(key.to_string()),
        SignatureError::False => AnswerError::False,
    })
}

/// The type without its parameters, in lower case.
fn media_type(content_type: &str) -> String {
    let end = content_type.find(';').unwrap_or(content_type.len());
    content_type[..end].trim().to_ascii_lowercase()
}

/// The start of what somebody else wrote, without what could upset a terminal.
fn quote(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * LONGEST_QUOTE)]);
    let printable = text.chars();
    let printable = printable.map(|char| if char.is_control() { ' ' } else { char });
    let printable: String = printable.collect();
    printable.trim().chars().take(LONGEST_QUOTE).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::WitnessSigner;
    use fieldledger_chance::proptest_config;
    use fieldledger_tlog::Hash;
    use proptest::prelude::*;

    fn checkpoint(size: u64) -> SignedCheckpoint {
        let log = fieldledger_tlog::LogKey::from_seed("example.com/log", &[7; 32]).unwrap();
        let note = log.sign(size, Hash([9; 32])).unwrap();
        SignedCheckpoint::parse(note.as_bytes()).unwrap()
    }

    fn witness(seed: u8) -> WitnessSigner {
        WitnessSigner::from_seed("example.org/witness", &[seed; 32]).unwrap()
    }

    fn read(status: u16, content_type: &str, body: &str) -> Result<Answer, AnswerError> {
        let (checkpoint, witness) = (checkpoint(1), witness(1));
        let body = body.as_bytes();
        Answer::read(status, content_type, body, &checkpoint, witness.key())
    }

    #[test]
    fn a_cosignature_among_others_is_found() {
        let ours = witness(1).cosign(&checkpoint(1), 5);
        let other = witness(2).cosign(&checkpoint(1), 5);
        for body in [
            ours.line.clone(),
            format!("{}{}", other.line, ours.line),
            format!("{}\u{2014} x AAAAAAAAAAAA\n", ours.line),
        ] {
            assert_eq!(read(200, "", &body), Ok(Answer::Cosigned(ours.clone())));
        }
    }

    #[test]
    fn wrong_cosignatures_are_told_apart() {
        let other_key = witness(2).cosign(&checkpoint(1), 5).line;
        let error = read(200, "", &other_key).unwrap_err();
        assert!(matches!(error, AnswerError::OtherKey(_)));
        let other_tree = witness(1).cosign(&checkpoint(2), 5).line;
        assert_eq!(read(200, "", &other_tree), Err(AnswerError::False));
        let ours = witness(1).cosign(&checkpoint(1), 5).line;
        for garbage in [
            String::new(),
            "\n".to_owned(),
            "<html>".to_owned(),
            ours.trim_end().to_owned(),
            format!("{ours}\n"),
            format!("{ours}\n{ours}"),
            format!("{ours}nonsense\n"),
        ] {
            let error = read(200, "", &garbage).unwrap_err();
            assert!(matches!(error, AnswerError::NoLines(_)), "{garbage:?}");
        }
    }

    #[test]
    fn sizes_are_read_strictly() {
        let size = |body| read(409, SIZE_CONTENT_TYPE, body);
        assert_eq!(size("17\n"), Ok(Answer::OldSize(17)));
        assert_eq!(size("0\n"), Ok(Answer::OldSize(0)));
        for body in ["", "\n", "17", "017\n", "17\n\n", "-1\n", "17 \n", "x\n"] {
            assert!(
                matches!(size(body), Err(AnswerError::NoSize(_))),
                "{body:?}"
            );
        }
        assert!(read(409, "Text/X.tlog.size; charset=utf-8", "17\n").is_ok());
        assert!(read(409, "text/plain", "17\n").is_err());
    }

    #[test]
    fn what_a_witness_says_is_quoted_shortly_and_printably() {
        let body = format!("\u{1b}[31mno\u{0}{}", "x".repeat(10_000));
        let Ok(Answer::Refused { status, reason }) = read(503, "", &body) else {
            panic!("a refusal");
        };
        assert_eq!((status, reason.chars().count()), (503, LONGEST_QUOTE));
        assert!(reason.starts_with("[31mno x"));
        assert!(matches!(read(422, "", "fork"), Ok(Answer::Inconsistent(said)) if said == "fork"));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn any_answer_is_read_or_refused(status in 100_u16..600, kind: String, body: Vec<u8>) {
            let (checkpoint, witness) = (checkpoint(1), witness(1));
            let read = Answer::read(status, &kind, &body, &checkpoint, witness.key());
            prop_assert!(!matches!(read, Ok(Answer::Cosigned(_))));
        }
    }
}
