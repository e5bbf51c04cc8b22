use crate::{Message, RequestId, ServerError, ServerInfo, Skipped, SubscriptionId};

/// What a caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The server said something of itself: at first, which is when [`Session::connect`] is due,
    /// and whenever it changes, such as before the server stops ([`ServerInfo::lame_duck`]).
    ///
    /// [`Session::connect`]: crate::Session::connect
    Info(&'a ServerInfo),
    /// The server accepted the client.
    Connected,
    /// A message for a subscription.
    Message {
        /// The subscription.
        subscription: SubscriptionId,
        /// The message.
        message: Message<'a>,
    },
    /// An answer to a request, or the server's word that nobody can give one
    /// ([`NO_RESPONDERS`](crate::NO_RESPONDERS)). There can be several.
    Reply {
        /// The request.
        request: RequestId,
        /// The answer.
        message: Message<'a>,
    },
    /// A message that was too much, for a subscription or as an answer. It is lost.
    Skipped(Skipped<'a>),
    /// The server answered a `PING`.
    Pong,
    /// The server reported an error. Where it closes the connection, the transport ends next.
    ServerError(ServerError<'a>),
}
