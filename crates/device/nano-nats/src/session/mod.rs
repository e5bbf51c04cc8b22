//! A connection's state, and what outlives it: subscriptions and the inbox.

mod error;
mod event;

pub use error::{SendError, SettingsError};
pub use event::Event;

use crate::encode::{ClientOperation, Connect, EncodeError, Publish};
use crate::inbox::Inbox;
use crate::keepalive::Watch;
use crate::outbox::Outbox;
use crate::parser::{Parser, Ready, ServerOperation};
use crate::subscriptions::{INBOX_SID, Subscriptions};
use crate::{
    Filter, Keepalive, ProtocolError, RequestId, ServerError, ServerErrorKind, ServerInfo, Subject,
    SubscribeError, SubscriptionId, Unresponsive,
};

/// The client's side of the protocol, without I/O and without a clock.
///
/// The caller hands it what arrives ([`receive`](Self::receive)) and the time
/// ([`tick`](Self::tick)), and sends what it has to say ([`output`](Self::output),
/// [`sent`](Self::sent)). When a connection is lost, [`reset`](Self::reset) makes it ready for the
/// next; subscriptions stay, and the next server is told of them. What was published and not sent
/// by then is lost, as NATS promises delivery at most once.
///
/// Its memory is fixed:
/// * `IN`: bytes of the input buffer. Subjects, headers and payload of a message fit in it
///   together, or the message is passed over ([`Event::Skipped`]).
/// * `OUT`: bytes of the output buffer, which holds whole operations. `CONNECT` takes about 200
///   and the credentials, at most 100 more for an nkey, a JWT's length for a JWT.
/// * `SUBSCRIPTIONS`: rows of the table of subscriptions.
/// * `SUBJECT`: bytes of the longest filter, and of the longest name of a queue group, in it.
///
/// ```
/// use nano_nats::{Connect, Credentials, Event, Keepalive, Session, Subject};
///
/// let inbox = Subject::new("_INBOX.2mZkq8")?;
/// let mut session = Session::<512, 512, 4, 48>::new(inbox, Keepalive::default())?;
///
/// let from_server = b"INFO {\"max_payload\":1048576,\"headers\":true}\r\n";
/// let (_, event) = session.receive(from_server)?;
/// assert!(matches!(event, Some(Event::Info(_))));
///
/// session.connect(&Connect { name: "pump", echo: false, credentials: Credentials::None })?;
/// assert!(session.output().starts_with(b"CONNECT {"));
/// let count = session.output().len(); // as many as the transport takes
/// session.sent(count);
///
/// let (_, event) = session.receive(b"PONG\r\n")?;
/// assert_eq!(event, Some(Event::Connected));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Session<
    const IN: usize,
    const OUT: usize,
    const SUBSCRIPTIONS: usize,
    const SUBJECT: usize,
> {
    parser: Parser<IN>,
    outbox: Outbox<OUT>,
    subscriptions: Subscriptions<SUBSCRIPTIONS, SUBJECT>,
    inbox: Inbox,
    watch: Watch,
    phase: Phase,
    /// Answers that the output buffer had no room for.
    pongs_due: u8,
    pings_due: u8,
    /// Whether the input buffer holds the message that was delivered last.
    holds_message: bool,
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The server has not said anything.
    AwaitingInfo,
    /// The caller has not said who it is.
    AwaitingConnect,
    /// `CONNECT` and `PING` are on their way.
    AwaitingPong,
    /// The server answered.
    Connected,
}

/// What [`Session::advance`] found; the parts are still in the input buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found {
    Info,
    Connected,
    Message(SubscriptionId),
    Reply(RequestId),
    Skipped,
    Pong,
    ServerError,
}

impl<const IN: usize, const OUT: usize, const SUBSCRIPTIONS: usize, const SUBJECT: usize>
    Session<IN, OUT, SUBSCRIPTIONS, SUBJECT>
{
    /// Before the first connection.
    ///
    /// `inbox` is the subject below which the answers to this client's requests arrive, by custom
    /// `_INBOX.` and random characters. It must be this client's alone: whoever knows it can read
    /// the answers, and give them.
    ///
    /// # Errors
    ///
    /// [`SettingsError::InboxTooLong`].
    pub fn new(inbox: Subject<'_>, keepalive: Keepalive) -> Result<Self, SettingsError> {
        let length = inbox.as_str().len();
        Ok(Self {
            parser: Parser::new(),
            outbox: Outbox::new(),
            subscriptions: Subscriptions::new(),
            inbox: Inbox::new(inbox).ok_or(SettingsError::InboxTooLong { length })?,
            watch: Watch::new(keepalive),
            phase: Phase::AwaitingInfo,
            pongs_due: 0,
            pings_due: 0,
            holds_message: false,
        })
    }

    /// Makes ready for the next connection, of which nothing was received yet.
    pub fn reset(&mut self) {
        self.parser.reset();
        self.outbox.clear();
        self.subscriptions.reset();
        self.inbox.is_announced = false;
        self.watch.reset();
        self.phase = Phase::AwaitingInfo;
        self.pongs_due = 0;
        self.pings_due = 0;
        self.holds_message = false;
    }

    /// Whether the server has accepted the client.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.phase == Phase::Connected
    }

    /// What the server last said of itself.
    #[must_use]
    pub const fn info(&self) -> &ServerInfo {
        self.parser.info()
    }

    /// Takes bytes up to the next event, and returns how many, and the event.
    ///
    /// Without an event all bytes are taken; the caller passes the others again. `PING`s are
    /// answered, which shows in [`output`](Self::output).
    ///
    /// # Errors
    ///
    /// [`ProtocolError`], and the same one at every call until [`reset`](Self::reset): these were
    /// not the bytes of a NATS server.
    pub fn receive(&mut self, input: &[u8]) -> Result<(usize, Option<Event<'_>>), ProtocolError> {
        let (taken, found) = self.advance(input)?;
        Ok((taken, found.map(|found| self.view(found))))
    }

    pub(crate) fn advance(
        &mut self,
        input: &[u8],
    ) -> Result<(usize, Option<Found>), ProtocolError> {
        let mut taken = 0;
        loop {
            let rest = input.get(taken..).unwrap_or_default();
            if !rest.is_empty() {
                self.holds_message = false;
            }
            let (count, ready) = self.parser.advance(rest)?;
            taken += count;
            let Some(ready) = ready else {
                return Ok((taken, None));
            };
            if let Some(found) = self.take(ready) {
                return Ok((taken, Some(found)));
            }
        }
    }

    fn take(&mut self, ready: Ready) -> Option<Found> {
        match ready {
            Ready::Info => {
                if self.phase == Phase::AwaitingInfo {
                    self.phase = Phase::AwaitingConnect;
                }
                Some(Found::Info)
            }
            Ready::Message => {
                let found = match self.parser.last_sid() {
                    INBOX_SID => {
                        let request = self.inbox.request(self.parser.message().subject);
                        request.map(Found::Reply)
                    }
                    // There may be messages on their way for a subscription that has ended.
                    sid => self.subscriptions.received(sid).map(Found::Message),
                };
                self.holds_message = found.is_some();
                found
            }
            Ready::Skipped => {
                let sid = self.parser.last_sid();
                let is_ours = sid == INBOX_SID || self.subscriptions.received(sid).is_some();
                is_ours.then_some(Found::Skipped)
            }
            Ready::Ping => {
                self.pongs_due = self.pongs_due.saturating_add(1);
                self.announce();
                None
            }
            Ready::Pong => {
                self.watch.answered();
                if self.phase == Phase::AwaitingPong {
                    self.phase = Phase::Connected;
                    self.announce();
                    return Some(Found::Connected);
                }
                Some(Found::Pong)
            }
            Ready::Ok => None,
            Ready::Error => Some(Found::ServerError),
        }
    }

    pub(crate) fn view(&self, found: Found) -> Event<'_> {
        match found {
            Found::Info => Event::Info(self.parser.info()),
            Found::Connected => Event::Connected,
            Found::Message(subscription) => Event::Message {
                subscription,
                message: self.parser.message(),
            },
            Found::Reply(request) => Event::Reply {
                request,
                message: self.parser.message(),
            },
            Found::Skipped => Event::Skipped(self.parser.skipped()),
            Found::Pong => Event::Pong,
            Found::ServerError => Event::ServerError(self.server_error()),
        }
    }

    /// The message that was delivered last.
    #[cfg(feature = "async")]
    pub(crate) fn message(&self) -> crate::Message<'_> {
        self.parser.message()
    }

    /// The request whose answer was passed over last, where it was one.
    #[cfg(feature = "async")]
    pub(crate) fn skipped_request(&self) -> Option<RequestId> {
        let is_reply = self.parser.last_sid() == INBOX_SID;
        is_reply.then(|| self.inbox.request(self.parser.skipped().subject))?
    }

    /// The length of the message that was passed over last, in bytes.
    #[cfg(feature = "async")]
    pub(crate) fn skipped_length(&self) -> usize {
        self.parser.skipped().length
    }

    /// Whether [`connect`](Self::connect) is due.
    #[must_use]
    pub fn is_awaiting_connect(&self) -> bool {
        self.phase == Phase::AwaitingConnect
    }

    /// The error that was delivered last.
    pub(crate) fn server_error(&self) -> ServerError<'_> {
        match self.parser.view(Ready::Error) {
            ServerOperation::Error(text) => ServerError::from_text(text),
            _ => ServerError {
                kind: ServerErrorKind::Other,
                text: "",
            },
        }
    }

    /// Says who the client is, in answer to the first [`Event::Info`]. [`Event::Connected`] is the
    /// server's answer, or [`Event::ServerError`].
    ///
    /// Where the server wants TLS, the transport has to begin with it before what this queues is
    /// sent.
    ///
    /// # Errors
    ///
    /// [`SendError::NotAwaited`], or [`SendError::TooLong`] if the output buffer is too small for it.
    pub fn connect(&mut self, connect: &Connect<'_>) -> Result<(), SendError> {
        if self.phase != Phase::AwaitingConnect {
            return Err(SendError::NotAwaited);
        }
        self.push(&ClientOperation::Connect(*connect))?;
        self.phase = Phase::AwaitingPong;
        self.pings_due = 1;
        self.announce();
        Ok(())
    }

    /// What is to be sent to the server; [`sent`](Self::sent) tells how much of it was.
    pub fn output(&mut self) -> &[u8] {
        self.announce();
        self.outbox.pending()
    }

    /// The transport took so many bytes of [`output`](Self::output).
    pub fn sent(&mut self, count: usize) {
        self.outbox.sent(count);
        self.announce();
    }

    /// Tells the time, in milliseconds of a clock that never goes back, and returns when to tell it
    /// next, at the latest.
    ///
    /// # Errors
    ///
    /// [`Unresponsive`] if the server has not answered for too long: the connection is to be
    /// closed.
    pub fn tick(&mut self, now_ms: u64) -> Result<u64, Unresponsive> {
        let due = self.watch.tick(now_ms, self.is_connected())?;
        if due.is_ping_due {
            self.ping();
        }
        Ok(due.next)
    }

    /// Asks the server for a sign of life. [`Event::Pong`] means that all that was queued before
    /// has been read by the server.
    pub fn ping(&mut self) {
        self.pings_due = self.pings_due.saturating_add(1);
        self.announce();
    }

    /// Subscribes, on this connection and all that follow. Members of the same `queue` group share
    /// the messages.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`] if the table has no room.
    pub fn subscribe(
        &mut self,
        filter: Filter<'_>,
        queue: Option<Subject<'_>>,
    ) -> Result<SubscriptionId, SubscribeError> {
        let id = self.subscriptions.add(filter, queue)?;
        self.announce();
        Ok(id)
    }

    /// Ends a subscription. Messages that are on their way no longer arrive.
    ///
    /// # Errors
    ///
    /// [`SendError::NoSubscription`], and [`SendError::Full`], with which the subscription goes on.
    pub fn unsubscribe(&mut self, id: SubscriptionId) -> Result<(), SendError> {
        match self.subscriptions.is_announced(id) {
            None => return Err(SendError::NoSubscription),
            Some(true) => self.push(&ClientOperation::Unsubscribe {
                sid: id.0,
                after: None,
            })?,
            Some(false) => {}
        }
        self.subscriptions.remove(id);
        Ok(())
    }

    /// Ends a subscription after so many further messages, at least one, over reconnects too.
    ///
    /// # Errors
    ///
    /// [`SendError::NoSubscription`].
    pub fn unsubscribe_after(
        &mut self,
        id: SubscriptionId,
        messages: u32,
    ) -> Result<(), SendError> {
        match self.subscriptions.limit(id, messages) {
            true => {
                self.announce();
                Ok(())
            }
            false => Err(SendError::NoSubscription),
        }
    }

    /// Queues a message, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`SendError`]; after [`SendError::Full`] it can be tried again.
    pub fn publish(&mut self, publish: &Publish<'_>) -> Result<(), SendError> {
        self.can_publish(publish)?;
        self.push(&ClientOperation::Publish(*publish))
    }

    /// Queues a message that awaits an answer ([`Event::Reply`]).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn request(
        &mut self,
        subject: Subject<'_>,
        headers: &[(&str, &str)],
        payload: &[u8],
    ) -> Result<RequestId, SendError> {
        self.inbox.is_used = true;
        let reply_subject = self.inbox.reply_subject();
        let reply_to = Subject::new(&reply_subject).map_err(SendError::InvalidReplySubject)?;
        self.publish(&Publish {
            subject,
            reply_to: Some(reply_to),
            headers,
            payload,
        })?;
        Ok(self.inbox.taken())
    }

    /// Queues an answer to the message that [`receive`](Self::receive) returned last. Nothing may
    /// have been received since.
    ///
    /// # Errors
    ///
    /// [`SendError::NothingToAnswer`], and as [`publish`](Self::publish).
    pub fn respond(&mut self, headers: &[(&str, &str)], payload: &[u8]) -> Result<(), SendError> {
        self.announce();
        let reply_subject = match self.holds_message {
            true => self.parser.reply_subject(),
            false => None,
        };
        let reply_subject = reply_subject.ok_or(SendError::NothingToAnswer)?;
        let subject = Subject::new(reply_subject).map_err(SendError::InvalidReplySubject)?;
        let publish = Publish {
            subject,
            reply_to: None,
            headers,
            payload,
        };
        self.can_publish(&publish)?;
        push(&mut self.outbox, &ClientOperation::Publish(publish))
    }

    fn can_publish(&self, publish: &Publish<'_>) -> Result<(), SendError> {
        if self.phase != Phase::Connected {
            return Err(SendError::NotConnected);
        }
        let info = self.parser.info();
        if !publish.headers.is_empty() && !info.headers {
            return Err(SendError::NoHeaders);
        }
        let length = publish.body_length();
        let max_payload = info.max_payload;
        match u32::try_from(length).is_ok_and(|length| length <= max_payload) {
            true => Ok(()),
            false => Err(SendError::ExceedsMaxPayload {
                length,
                max_payload,
            }),
        }
    }

    /// Queues an operation after all that is due before it.
    fn push(&mut self, operation: &ClientOperation<'_>) -> Result<(), SendError> {
        match self.announce() {
            true => push(&mut self.outbox, operation),
            false => Err(SendError::Full),
        }
    }

    /// Queues what is due as far as there is room for it. Whether that was all.
    fn announce(&mut self) -> bool {
        if matches!(self.phase, Phase::AwaitingInfo | Phase::AwaitingConnect) {
            return true;
        }
        let outbox = &mut self.outbox;
        let mut send = |operation: &ClientOperation<'_>| outbox.push(operation).is_ok();
        while self.pongs_due > 0 {
            if !send(&ClientOperation::Pong) {
                return false;
            }
            self.pongs_due -= 1;
        }
        // Before the server has accepted the client, only the handshake's own `PING` is sent.
        if self.phase == Phase::Connected {
            if self.inbox.is_used && !self.inbox.is_announced {
                let filter = self.inbox.filter();
                let Ok(filter) = Filter::new(&filter) else {
                    return false;
                };
                if !send(&ClientOperation::Subscribe {
                    filter,
                    queue: None,
                    sid: INBOX_SID,
                }) {
                    return false;
                }
                self.inbox.is_announced = true;
            }
            if !self.subscriptions.announce(&mut send) {
                return false;
            }
        }
        while self.pings_due > 0 {
            if !send(&ClientOperation::Ping) {
                return false;
            }
            self.pings_due -= 1;
        }
        true
    }
}

fn push<const N: usize>(
    outbox: &mut Outbox<N>,
    operation: &ClientOperation<'_>,
) -> Result<(), SendError> {
    outbox.push(operation).map_err(|error| match error {
        EncodeError::NoRoom { needed, .. } if needed <= N => SendError::Full,
        EncodeError::NoRoom { needed, .. } => SendError::TooLong {
            needed,
            capacity: N,
        },
        EncodeError::InvalidHeader { index } => SendError::InvalidHeader { index },
    })
}
