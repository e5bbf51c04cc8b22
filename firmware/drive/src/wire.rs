//! One connection's state without I/O, whatever is spoken on it.

mod mqtt;
mod nats;

use embassy_time::{Duration, Instant};
use fieldledger_device::incoming::MAX_INCOMING_BYTES;
use fieldledger_device::topics::MAX_TOPIC_BYTES;
use nano_nats::{SendError, ServerErrorKind, SubjectError, SubscribeError};
use thiserror::Error;

use crate::address::Protocol;
use crate::client::Client;
use crate::mqtt::{NoRoom, ProtocolError};
use mqtt::MqttWire;
use nats::NatsWire;

/// What a message takes beside its topics and its payload, at most.
const AROUND_BYTES: usize = 32;

/// The room for whatever a device looks at; what is longer is skipped. Over NATS a message has two subjects.
const INCOMING_BYTES: usize = MAX_INCOMING_BYTES + 2 * MAX_TOPIC_BYTES + AROUND_BYTES;

/// After so long without a packet in one direction the broker is asked whether it is there.
const PING_AFTER: Duration = Duration::from_secs(5);

/// After so many such times without a word from it the broker is given up.
const MAX_SILENT_TIMES: u8 = 3;

/// The room that a device with messages of `message` bytes needs for those that leave.
#[must_use]
pub const fn outgoing_bytes(message: usize) -> usize {
    message + MAX_TOPIC_BYTES + AROUND_BYTES
}

/// What a device with so many sensors subscribes to: two topics of each, and two of its own.
#[must_use]
pub const fn subscriptions(sensors: usize) -> usize {
    2 * sensors + 2
}

/// Why a broker is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum WireError {
    #[error("broker refused the device with code {0}")]
    Refused(u8),
    #[error("broker said something else before it took the device")]
    NoWelcome,
    #[error("broker took the device twice")]
    SecondWelcome,
    #[error("broker refused a subscription")]
    NotGranted,
    #[error("broker fell silent")]
    Silent,
    #[error("broker wants TLS, which no board speaks")]
    Tls,
    #[error(
        "broker knows no nkeys, and does not let everybody in; expected a login with a password"
    )]
    NoNonce,
    #[error(transparent)]
    Mqtt(#[from] ProtocolError),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    #[error(transparent)]
    Nats(#[from] nano_nats::ProtocolError),
    #[error(transparent)]
    Server(#[from] ServerErrorKind),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
    #[error(transparent)]
    Subject(#[from] SubjectError),
    #[error("topic is longer than {MAX_TOPIC_BYTES} bytes")]
    LongTopic,
}

/// What a broker says, as far as it matters to a device.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard<'a> {
    /// It takes the device.
    Welcome,
    /// Somebody published.
    Message {
        /// Where, with slashes between the levels.
        topic: &'a str,
        /// Where an answer is awaited, over NATS.
        reply: Option<&'a str>,
        payload: &'a [u8],
    },
    /// A message that was too long, and was skipped.
    TooLong { bytes: usize },
    /// Something between it and this module.
    Other,
}

/// What a connection makes of bytes, and of what a device says.
pub(crate) trait Wire {
    /// Says who the device is, once, as soon as the broker listens.
    fn introduce(&mut self, client: &Client<'_>) -> Result<(), WireError>;

    /// Listens to a topic, which has slashes between its levels.
    fn subscribe(&mut self, topic: &str) -> Result<(), WireError>;

    /// Publishes to a topic, or to where a message awaited its answer.
    fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), WireError>;

    /// Says goodbye, where there is a word for it.
    fn leave(&mut self) -> Result<(), WireError>;

    /// Asks whether the broker is there, where it is time to.
    fn keep_alive(&mut self, now: Instant) -> Result<(), WireError>;

    /// What is to leave.
    fn output(&mut self) -> &[u8];

    /// So many bytes of it have left.
    fn sent(&mut self, bytes: usize, now: Instant);

    /// Where the next bytes go; not empty once [`Wire::hear`] had nothing more to tell.
    fn room(&mut self) -> &mut [u8];

    /// So many bytes have arrived there.
    fn arrived(&mut self, bytes: usize, now: Instant);

    /// What the broker says next, if all of it has arrived.
    fn hear(&mut self) -> Result<Option<Heard<'_>>, WireError>;
}

/// The memory of one connection at a time: `OUT` bytes of messages that leave ([`outgoing_bytes`]), and
/// so many [`subscriptions`].
#[derive(Debug, Default)]
pub struct Traffic<const OUT: usize, const SUBSCRIPTIONS: usize>(Spoken<OUT, SUBSCRIPTIONS>);

#[derive(Debug, Default)]
#[expect(
    clippy::large_enum_variant,
    reason = "a board has no heap, and one connection at a time"
)]
enum Spoken<const OUT: usize, const SUBSCRIPTIONS: usize> {
    #[default]
    Nothing,
    Mqtt(MqttWire<OUT, INCOMING_BYTES>),
    Nats(NatsWire<INCOMING_BYTES, OUT, SUBSCRIPTIONS>),
}

impl<const OUT: usize, const SUBSCRIPTIONS: usize> Traffic<OUT, SUBSCRIPTIONS> {
    /// Before the first connection.
    #[must_use]
    pub const fn new() -> Self {
        Self(Spoken::Nothing)
    }

    /// Begins with another connection, of which nothing has arrived yet.
    pub(crate) fn begin(&mut self, protocol: Protocol) -> &mut dyn Wire {
        self.0 = match protocol {
            Protocol::Mqtt => Spoken::Mqtt(MqttWire::new(Instant::now())),
            Protocol::Nats => Spoken::Nats(NatsWire::new()),
        };
        match &mut self.0 {
            Spoken::Mqtt(wire) => wire,
            Spoken::Nats(wire) => wire,
            Spoken::Nothing => unreachable!("it was just replaced"),
        }
    }
}
