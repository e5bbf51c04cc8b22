//! What nats-server says in `-ERR`.

/// An error that the server reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerError<'a> {
    /// Which of the known ones it is.
    pub kind: ServerErrorKind,
    /// The server's own words, without the quotes; those that the input buffer does not hold are
    /// missing at the end.
    pub text: &'a str,
}

/// The errors of nats-server that a client can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerErrorKind {
    /// User, password, token, nkey or JWT is wrong or missing.
    #[error("the server refused the credentials")]
    AuthorizationViolation,
    /// The client did not authenticate in time.
    #[error("the server waited too long for the credentials")]
    AuthenticationTimeout,
    /// The credentials have expired, or were revoked.
    #[error("the credentials have expired or were revoked")]
    AuthenticationExpired,
    /// This client may not publish to the subject that the text names. The connection goes on.
    #[error("the server does not let this client publish to a subject")]
    PublishPermission,
    /// This client may not subscribe to the subject that the text names. The connection goes on.
    #[error("the server does not let this client subscribe to a subject")]
    SubscribePermission,
    /// A subject is malformed. The connection goes on.
    #[error("the server takes a subject for malformed")]
    InvalidSubject,
    /// A message was larger than the server's `max_payload`.
    #[error("a message was larger than the server takes")]
    MaxPayloadExceeded,
    /// A command line was longer than the server takes.
    #[error("a command was longer than the server takes")]
    MaxControlLineExceeded,
    /// There are too many connections, or too many of this account.
    #[error("the server has too many connections")]
    MaxConnectionsExceeded,
    /// This client has too many subscriptions.
    #[error("the server lets this client have no more subscriptions")]
    MaxSubscriptionsExceeded,
    /// The server heard nothing for too long.
    #[error("the server heard nothing for too long")]
    StaleConnection,
    /// The client read too slowly.
    #[error("the client read too slowly for the server")]
    SlowConsumer,
    /// The server wants TLS, and the transport has none.
    #[error("the server wants TLS")]
    TlsRequired,
    /// The server did not understand what it was sent.
    #[error("the server did not understand a command")]
    ProtocolViolation,
    /// Another one.
    #[error("the server reported an error")]
    Other,
}

/// How the texts begin, in lower case. From the constants in nats-server's `server/errors.go` and
/// `server/client.go`.
const BEGINNINGS: [(&str, ServerErrorKind); 20] = [
    (
        "authorization violation",
        ServerErrorKind::AuthorizationViolation,
    ),
    (
        "authentication timeout",
        ServerErrorKind::AuthenticationTimeout,
    ),
    (
        "user authentication expired",
        ServerErrorKind::AuthenticationExpired,
    ),
    (
        "user authentication revoked",
        ServerErrorKind::AuthenticationExpired,
    ),
    (
        "account authentication expired",
        ServerErrorKind::AuthenticationExpired,
    ),
    (
        "permissions violation for publish",
        ServerErrorKind::PublishPermission,
    ),
    (
        "permissions violation for subscription",
        ServerErrorKind::SubscribePermission,
    ),
    ("invalid publish subject", ServerErrorKind::InvalidSubject),
    ("invalid subject", ServerErrorKind::InvalidSubject),
    ("maximum payload", ServerErrorKind::MaxPayloadExceeded),
    (
        "maximum control line",
        ServerErrorKind::MaxControlLineExceeded,
    ),
    (
        "maximum connections",
        ServerErrorKind::MaxConnectionsExceeded,
    ),
    (
        "maximum account active connections",
        ServerErrorKind::MaxConnectionsExceeded,
    ),
    (
        "maximum subscriptions",
        ServerErrorKind::MaxSubscriptionsExceeded,
    ),
    ("stale connection", ServerErrorKind::StaleConnection),
    ("slow consumer", ServerErrorKind::SlowConsumer),
    (
        "secure connection - tls required",
        ServerErrorKind::TlsRequired,
    ),
    (
        "unknown protocol operation",
        ServerErrorKind::ProtocolViolation,
    ),
    ("parser error", ServerErrorKind::ProtocolViolation),
    (
        "invalid client protocol",
        ServerErrorKind::ProtocolViolation,
    ),
];

impl<'a> ServerError<'a> {
    pub(crate) fn from_text(quoted: &'a str) -> Self {
        let text = quoted.trim();
        let text = text.strip_prefix('\'').unwrap_or(text);
        let text = text.strip_suffix('\'').unwrap_or(text);
        let known = BEGINNINGS.iter().find(|(beginning, _)| {
            let start = text.as_bytes().get(..beginning.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(beginning.as_bytes()))
        });
        Self {
            kind: known.map_or(ServerErrorKind::Other, |(_, kind)| *kind),
            text,
        }
    }

    /// The subject that a permission is missing for.
    #[must_use]
    pub fn subject(&self) -> Option<&'a str> {
        let is_about_one = matches!(
            self.kind,
            ServerErrorKind::PublishPermission | ServerErrorKind::SubscribePermission
        );
        let (_, after) = self.text.split_once('"').filter(|_| is_about_one)?;
        after.split('"').next()
    }
}

impl ServerErrorKind {
    /// Whether the server closes the connection after it.
    #[must_use]
    pub const fn closes_connection(self) -> bool {
        !matches!(
            self,
            Self::PublishPermission | Self::SubscribePermission | Self::InvalidSubject
        )
    }

    /// Whether the same credentials will fail again, so that an attempt to reconnect can wait long.
    #[must_use]
    pub const fn is_about_credentials(self) -> bool {
        matches!(
            self,
            Self::AuthorizationViolation | Self::AuthenticationExpired
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_texts() {
        let error = ServerError::from_text("'Permissions Violation for Publish to \"a.b\"'");
        assert_eq!(error.kind, ServerErrorKind::PublishPermission);
        assert_eq!(error.subject(), Some("a.b"));
        assert!(!error.kind.closes_connection());

        let text = "'Permissions Violation for Subscription to \"a.>\" using queue \"q\"'";
        let error = ServerError::from_text(text);
        assert_eq!(error.kind, ServerErrorKind::SubscribePermission);
        assert_eq!(error.subject(), Some("a.>"));

        let error = ServerError::from_text("'Authorization Violation'");
        assert_eq!(error.kind, ServerErrorKind::AuthorizationViolation);
        assert_eq!(error.text, "Authorization Violation");
        assert!(error.kind.closes_connection() && error.kind.is_about_credentials());
    }

    #[test]
    fn unknown_texts() {
        for text in ["", "'", "''", "Something \"new\"", "ä"] {
            let error = ServerError::from_text(text);
            assert_eq!(error.kind, ServerErrorKind::Other);
            assert_eq!(error.subject(), None);
        }
    }
}
