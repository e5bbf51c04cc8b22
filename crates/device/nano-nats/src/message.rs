//! Messages that arrive, and those that were too much.

use crate::Headers;

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Where it was published to.
    pub subject: &'a str,
    /// Where an answer is awaited.
    pub reply_to: Option<&'a str>,
    /// Its headers; empty where it has none.
    pub headers: Headers<'a>,
    /// What it carries.
    pub payload: &'a [u8],
}

/// A message that was not kept. Its bytes are passed over; the connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped<'a> {
    /// Where it was published to, as far as the buffer holds it and it is UTF-8.
    pub subject: &'a str,
    /// Bytes of its headers and payload.
    pub length: usize,
    /// Why it was not kept.
    pub reason: SkipReason,
}

/// Why a message was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// Subject, reply subject, headers and payload are longer than the input buffer.
    TooLong {
        /// Bytes of the input buffer.
        capacity: usize,
    },
    /// Subject or reply subject is not UTF-8.
    NotUtf8,
}
