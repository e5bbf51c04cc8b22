//! A session over a transport.

use embedded_io_async::{Read, Write};

use crate::encode::{Connect, Publish};
use crate::session::{Event, Found, SendError, Session};
use crate::{
    Filter, Identity, Message, NO_RESPONDERS, ProtocolError, RequestId, ServerErrorKind, Subject,
    SubscribeError, SubscriptionId, Unresponsive,
};

/// Why a connection does not go on, or something was not sent. `E` is the transport's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError<E> {
    /// The transport failed.
    #[error("the transport failed: {0:?}")]
    Transport(E),
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// What came is not what a NATS server sends.
    #[error("the server broke the protocol")]
    Protocol(#[source] ProtocolError),
    /// The server reported an error during the handshake.
    #[error("the server refused the client")]
    Refused(#[source] ServerErrorKind),
    /// The server wants a nonce signed, but sent none.
    #[error("the server sent no nonce to sign")]
    NoNonce,
    /// The server wants TLS, and the transport is said to have none.
    #[error("the server wants TLS")]
    TlsRequired,
    /// Something cannot be sent. The connection goes on.
    #[error("nothing was sent")]
    Send(#[source] SendError),
    /// The server has not answered in time.
    #[error("the server does not answer")]
    Unresponsive(#[source] Unresponsive),
    /// Nobody subscribes to the subject of a request. The connection goes on.
    #[error("nobody answers requests to this subject")]
    NoResponders,
    /// The answer to a request is longer than the input buffer. The connection goes on.
    #[error("the answer has {length} bytes, more than the input buffer holds")]
    ReplyTooLong {
        /// Bytes of its headers and payload.
        length: usize,
    },
}

impl<E> ClientError<E> {
    /// Whether the connection can still be used.
    #[must_use]
    pub const fn leaves_connection(&self) -> bool {
        matches!(
            self,
            Self::Send(_) | Self::NoResponders | Self::ReplyTooLong { .. }
        )
    }
}

/// How to introduce the client to a server.
#[derive(Debug, Clone, Copy)]
pub struct Introduction<'a> {
    /// A name that shows in the server's monitoring.
    pub name: &'a str,
    /// Whether messages that this client publishes come to its own subscriptions.
    pub echo: bool,
    /// Who the client is.
    pub identity: Identity<'a>,
    /// Whether the transport is encrypted, so that a server that wants TLS is no reason to leave.
    pub transport_is_encrypted: bool,
}

/// A connection to a server.
///
/// One task owns it: it awaits [`next`](Self::next), and calls everything else in between. Its
/// futures can be dropped, such as by a timeout or a `select`, without losing a byte, given that
/// those of the transport's `read` and `write` can, as embassy-net's and Tokio's are; a message is
/// then either queued as a whole, and sent by the next call, or not at all. Only a
/// [`connect`](Self::connect) that is dropped takes its transport with it.
///
/// There is no timer in it. The caller bounds waiting by the time that
/// [`keep_alive`](Self::keep_alive) returns.
#[derive(Debug)]
pub struct Client<
    's,
    T,
    const IN: usize,
    const OUT: usize,
    const SUBSCRIPTIONS: usize,
    const SUBJECT: usize,
> {
    transport: T,
    session: &'s mut Session<IN, OUT, SUBSCRIPTIONS, SUBJECT>,
    /// What the transport gave: `input[start..end]` was not looked at yet.
    input: &'s mut [u8],
    start: usize,
    end: usize,
    needs_flush: bool,
}

impl<'s, T, const IN: usize, const OUT: usize, const SUBSCRIPTIONS: usize, const SUBJECT: usize>
    Client<'s, T, IN, OUT, SUBSCRIPTIONS, SUBJECT>
where
    T: Read + Write,
{
    /// Introduces the client over a transport on which nothing was received yet, and waits until
    /// the server has accepted it. Then the server knows of all subscriptions that the session has.
    ///
    /// `input` is where the transport reads to; more bytes than in a message or two only help a
    /// client that receives a lot.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; [`ClientError::Refused`] tells wrong credentials, and an empty `input` is a
    /// connection that is [`ClientError::Closed`] at once.
    pub async fn connect(
        transport: T,
        session: &'s mut Session<IN, OUT, SUBSCRIPTIONS, SUBJECT>,
        input: &'s mut [u8],
        introduction: &Introduction<'_>,
    ) -> Result<Self, ClientError<T::Error>> {
        session.reset();
        let mut client = Self {
            transport,
            session,
            input,
            start: 0,
            end: 0,
            needs_flush: false,
        };
        // The first answer is awaited here, every later event by the caller.
        loop {
            match client.advance().await? {
                Found::Info if !client.session.is_awaiting_connect() => {}
                Found::Info => client.introduce(introduction)?,
                Found::Connected => break,
                Found::ServerError => {
                    let error = client.session.server_error();
                    return Err(ClientError::Refused(error.kind));
                }
                _ => {}
            }
        }
        client.flush().await?;
        Ok(client)
    }

    fn introduce(&mut self, introduction: &Introduction<'_>) -> Result<(), ClientError<T::Error>> {
        let info = self.session.info();
        if info.tls_required && !introduction.transport_is_encrypted {
            return Err(ClientError::TlsRequired);
        }
        let mut signature = heapless::String::new();
        let identity = &introduction.identity;
        let credentials = identity.credentials(info.nonce.as_deref(), &mut signature);
        let connect = Connect {
            name: introduction.name,
            echo: introduction.echo,
            credentials: credentials.ok_or(ClientError::NoNonce)?,
        };
        self.session.connect(&connect).map_err(ClientError::Send)
    }

    /// The session, for what needs no waiting.
    #[must_use]
    pub const fn session(&self) -> &Session<IN, OUT, SUBSCRIPTIONS, SUBJECT> {
        self.session
    }

    /// Waits for the next event, and sends what is queued meanwhile.
    ///
    /// # Errors
    ///
    /// [`ClientError`], of which none leaves the connection usable.
    pub async fn next(&mut self) -> Result<Event<'_>, ClientError<T::Error>> {
        let found = self.advance().await?;
        Ok(self.session.view(found))
    }

    async fn advance(&mut self) -> Result<Found, ClientError<T::Error>> {
        loop {
            let input = self.input.get(self.start..self.end).unwrap_or_default();
            let (taken, found) = self.session.advance(input).map_err(ClientError::Protocol)?;
            self.start += taken;
            if let Some(found) = found {
                return Ok(found);
            }
            self.flush().await?;
            let count = self.transport.read(self.input).await;
            self.start = 0;
            self.end = 0;
            self.end = count.map_err(ClientError::Transport)?;
            if self.end == 0 {
                return Err(ClientError::Closed);
            }
        }
    }

    /// Sends what is queued.
    ///
    /// # Errors
    ///
    /// [`ClientError::Transport`] or [`ClientError::Closed`].
    pub async fn flush(&mut self) -> Result<(), ClientError<T::Error>> {
        loop {
            let pending = self.session.output();
            if pending.is_empty() {
                break;
            }
            let written = self.transport.write(pending).await;
            let written = written.map_err(ClientError::Transport)?;
            if written == 0 {
                return Err(ClientError::Closed);
            }
            self.session.sent(written);
            self.needs_flush = true;
        }
        if self.needs_flush {
            let flushed = self.transport.flush().await;
            flushed.map_err(ClientError::Transport)?;
            self.needs_flush = false;
        }
        Ok(())
    }

    /// Tells the time, in milliseconds of a clock that never goes back, sends a `PING` where one is
    /// due, and returns when to call it next, at the latest.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unresponsive`] if the server has not answered for too long, and those of the
    /// transport.
    pub async fn keep_alive(&mut self, now_ms: u64) -> Result<u64, ClientError<T::Error>> {
        let next = self.session.tick(now_ms);
        let next = next.map_err(ClientError::Unresponsive)?;
        self.flush().await?;
        Ok(next)
    }

    /// Subscribes, on this connection and those that the session has later.
    ///
    /// The server is told by the next call that sends.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`] if the session's table has no room.
    pub fn subscribe(
        &mut self,
        filter: Filter<'_>,
        queue: Option<Subject<'_>>,
    ) -> Result<SubscriptionId, SubscribeError> {
        self.session.subscribe(filter, queue)
    }

    /// Ends a subscription. Messages that are on their way no longer arrive.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn unsubscribe(&mut self, id: SubscriptionId) -> Result<(), ClientError<T::Error>> {
        self.queue(|session| session.unsubscribe(id)).await?;
        self.flush().await
    }

    /// Ends a subscription after so many further messages.
    ///
    /// # Errors
    ///
    /// [`SendError::NoSubscription`].
    pub fn unsubscribe_after(
        &mut self,
        id: SubscriptionId,
        messages: u32,
    ) -> Result<(), SendError> {
        self.session.unsubscribe_after(id, messages)
    }

    /// Publishes a message, and waits until the transport has taken it.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn publish(&mut self, publish: &Publish<'_>) -> Result<(), ClientError<T::Error>> {
        self.feed(publish).await?;
        self.flush().await
    }

    /// Queues a message. The transport gets it with the next call that sends, or when the output
    /// buffer is full: many small messages then share a packet.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn feed(&mut self, publish: &Publish<'_>) -> Result<(), ClientError<T::Error>> {
        self.queue(|session| session.publish(publish)).await
    }

    /// Answers the message that [`next`](Self::next) returned last.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn respond(
        &mut self,
        headers: &[(&str, &str)],
        payload: &[u8],
    ) -> Result<(), ClientError<T::Error>> {
        self.queue(|session| session.respond(headers, payload))
            .await?;
        self.flush().await
    }

    /// Sends a request. Its answer is among what [`next`](Self::next) returns.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn start_request(
        &mut self,
        subject: Subject<'_>,
        headers: &[(&str, &str)],
        payload: &[u8],
    ) -> Result<RequestId, ClientError<T::Error>> {
        let id = self
            .queue(|session| session.request(subject, headers, payload))
            .await?;
        self.flush().await?;
        Ok(id)
    }

    /// Sends a request and waits for its answer, as long as the caller lets it. What arrives
    /// before is handed to `others`, answers to earlier requests among it.
    ///
    /// If the future is dropped, the request may have been sent, and its answer then comes as
    /// [`Event::Reply`].
    ///
    /// # Errors
    ///
    /// [`ClientError`]; [`ClientError::NoResponders`] if nobody can answer.
    /// [`ClientError::ReplyTooLong`] if what the inbox got meanwhile did not fit.
    pub async fn request(
        &mut self,
        subject: Subject<'_>,
        headers: &[(&str, &str)],
        payload: &[u8],
        mut others: impl FnMut(Event<'_>),
    ) -> Result<Message<'_>, ClientError<T::Error>> {
        let request = self.start_request(subject, headers, payload).await?;
        loop {
            match self.advance().await? {
                Found::Reply(id) if id == request => break,
                Found::Skipped if self.session.skipped_request() == Some(request) => {
                    let length = self.session.skipped_length();
                    return Err(ClientError::ReplyTooLong { length });
                }
                found => others(self.session.view(found)),
            }
        }
        let message = self.session.message();
        match message.headers.status() {
            Some(NO_RESPONDERS) => Err(ClientError::NoResponders),
            _ => Ok(message),
        }
    }

    /// Queues something, sending what is queued before it where there is no room.
    async fn queue<R>(
        &mut self,
        mut queue: impl FnMut(&mut Session<IN, OUT, SUBSCRIPTIONS, SUBJECT>) -> Result<R, SendError>,
    ) -> Result<R, ClientError<T::Error>> {
        loop {
            match queue(self.session) {
                Err(SendError::Full) => self.flush().await?,
                done => return done.map_err(ClientError::Send),
            }
        }
    }

    /// Gives the transport back, for closing it.
    pub fn into_transport(self) -> T {
        self.transport
    }
}
