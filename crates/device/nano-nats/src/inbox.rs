//! Where answers arrive, and which request they belong to.

use core::fmt::Write as _;

use heapless::String;

use crate::{Filter, Subject};

/// Bytes of the longest inbox.
pub const MAX_INBOX: usize = 48;

/// Bytes of an inbox with a dot and the longest number behind it.
const MAX_REPLY_SUBJECT: usize = MAX_INBOX + 11;

/// A request. Numbers begin anew with each session, not with each connection, so that a late answer
/// to an earlier connection's request is not taken for another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub(crate) u32);

/// A subject of which each request has a part for itself.
#[derive(Debug, Clone)]
pub(crate) struct Inbox {
    prefix: String<MAX_INBOX>,
    next: u32,
    pub(crate) is_used: bool,
    pub(crate) is_announced: bool,
}

impl Inbox {
    pub(crate) fn new(prefix: Subject<'_>) -> Option<Self> {
        Some(Self {
            prefix: String::try_from(prefix.as_str()).ok()?,
            next: 0,
            is_used: false,
            is_announced: false,
        })
    }

    /// What the inbox is subscribed with.
    pub(crate) fn filter(&self) -> String<MAX_REPLY_SUBJECT> {
        self.with(format_args!("*"))
    }

    /// The subject that the answer to the next request comes to.
    pub(crate) fn reply_subject(&self) -> String<MAX_REPLY_SUBJECT> {
        self.with(format_args!("{}", self.next))
    }

    /// A request was sent.
    pub(crate) fn taken(&mut self) -> RequestId {
        let id = RequestId(self.next);
        self.next = self.next.wrapping_add(1);
        id
    }

    /// The request that an answer's subject names.
    pub(crate) fn request(&self, subject: &str) -> Option<RequestId> {
        let number = subject
            .strip_prefix(self.prefix.as_str())?
            .strip_prefix('.')?;
        number.parse().ok().map(RequestId)
    }

    fn with(&self, last: core::fmt::Arguments<'_>) -> String<MAX_REPLY_SUBJECT> {
        let mut subject = String::new();
        // Never fails: the longest prefix, a dot and ten digits have room.
        write!(subject, "{}.{last}", self.prefix).ok();
        debug_assert!(Filter::new(&subject).is_ok());
        subject
    }
}
