use crate::{MAX_INBOX, SubjectError};

/// Why a session was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The inbox is too long.
    #[error("the inbox has {length} bytes, and can have {MAX_INBOX}")]
    InboxTooLong {
        /// Its bytes.
        length: usize,
    },
}

/// Why something was not queued for the server. Nothing of it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The server has not accepted the client, or there is no connection.
    #[error("the client is not connected")]
    NotConnected,
    /// The server has not said anything yet, or the client has said who it is already.
    #[error("the server awaits no CONNECT")]
    NotAwaited,
    /// The output buffer has to be emptied first. It is large enough.
    #[error("the output buffer is full")]
    Full,
    /// The output buffer is too small, however empty.
    #[error("the operation takes {needed} bytes, and the output buffer has {capacity}")]
    TooLong {
        /// Bytes of the operation.
        needed: usize,
        /// Bytes of the output buffer.
        capacity: usize,
    },
    /// The server takes no message of that size.
    #[error("the message has {length} bytes, and the server takes {max_payload}")]
    ExceedsMaxPayload {
        /// Bytes of headers and payload.
        length: usize,
        /// The server's bound for them.
        max_payload: u32,
    },
    /// The server knows no headers.
    #[error("the server takes no headers")]
    NoHeaders,
    /// A header's name is not visible ASCII without a colon, or its value has a line end.
    #[error("header {index} has a name or value that cannot be sent")]
    InvalidHeader {
        /// Its place among the headers, from 0.
        index: usize,
    },
    /// There is no message to answer, or it awaits no answer.
    #[error("there is no message that awaits an answer")]
    NothingToAnswer,
    /// The message's reply subject is none.
    #[error("the reply subject of the message is invalid")]
    InvalidReplySubject(#[source] SubjectError),
    /// There is no such subscription (any more).
    #[error("there is no such subscription")]
    NoSubscription,
}
