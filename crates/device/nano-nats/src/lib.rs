//! A NATS client for machines without an operating system: no allocation, no I/O of its own, fixed
//! memory, no `unsafe`.
//!
//! Three layers, each of which can be used without the one above it:
//!
//! * [`Parser`] and [`ClientOperation`]: bytes to what the server says, what the client says to
//!   bytes.
//! * [`Session`]: the state of a connection, the subscriptions that outlive it, requests, keepalive.
//!   It is handed bytes and the time, and says what to send.
//! * [`Client`] (feature `async`): a session over any transport that implements the
//!   traits of [embedded-io-async](https://docs.rs/embedded-io-async), such as the sockets of
//!   embassy-net.
//!
//! # A connection
//!
//! ```no_run
//! # #[cfg(feature = "async")]
//! # async fn example<T: embedded_io_async::Read + embedded_io_async::Write>(
//! #     transport: T,
//! #     now_ms: impl Fn() -> u64,
//! # ) -> Result<(), Box<dyn std::error::Error>> where T::Error: 'static {
//! use nano_nats::{
//!     Client, Credentials, Event, Filter, Identity, Introduction, Keepalive, Publish, Session,
//!     Subject,
//! };
//!
//! // Once for the device's life: subscriptions stay when a connection is lost.
//! let inbox = Subject::new("_INBOX.2mZkq8Pf")?; // random characters
//! let mut session = Session::<1024, 1024, 4, 64>::new(inbox, Keepalive::default())?;
//! let polls = session.subscribe(Filter::new("sensor.poll.7")?, None)?;
//!
//! // For each connection.
//! let mut input = [0; 512];
//! let introduction = Introduction {
//!     name: "boiler 7",
//!     echo: false,
//!     identity: Identity::Fixed(Credentials::Token("s3cret")),
//!     transport_is_encrypted: false,
//! };
//! let mut client = Client::connect(transport, &mut session, &mut input, &introduction).await?;
//! client.publish(&Publish::new(Subject::new("sensor.heartbeat")?, b"{}")).await?;
//! loop {
//!     // Bound the wait for the next event by this time, with the platform's timer.
//!     let _deadline_ms = client.keep_alive(now_ms()).await?;
//!     match client.next().await? {
//!         Event::Message { subscription, .. } if subscription == polls => {
//!             client.respond(&[], b"21.37").await?;
//!         }
//!         Event::ServerError(error) => println!("{}", error.text),
//!         _ => {}
//!     }
//! }
//! # }
//! ```
//!
//! # What it leaves to others
//!
//! * **TLS** is the transport's: for a server that speaks TLS from the first byte
//!   (`handshake_first: true` in nats-server) wrap the socket and connect over it. Where the server
//!   sends `INFO` in the clear first, use [`Session`]: read `INFO`, begin with TLS, then
//!   [`Session::connect`].
//! * **Reconnecting** is the caller's policy: which server, how long to wait. The example
//!   `ranked_brokers` has a list of servers and waits with jitter.
//! * **Delivery** is at most once, as in core NATS. There is no JetStream interface, but its
//!   acknowledgements and publishes are requests and answers.
//!
//! # Memory
//!
//! A message must fit in the session's input buffer as a whole. One that does not is reported
//! ([`Event::Skipped`]) and passed over, and the connection goes on. The `INFO` line, which can be
//! long in a cluster, is read without being kept. Nothing that a server sends makes anything grow.
//!
//! # Modules
//!
//! | module | holds |
//! |---|---|
//! | `parser`, `info`, `server_error` | from bytes to what the server says |
//! | `encode`, `headers`, `outbox` | what the client says, as bytes on their way |
//! | `session`, `keepalive`, `subscriptions`, `inbox` | a connection's state, and what outlives it |
//! | `message` | messages that arrive, and those that were too long |
//! | `subject` | names to publish to, and patterns to subscribe to |
//! | `identity`, `nkey` | who a client is, and how it proves that |
//! | `client` | a session over a transport |
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

#[cfg(feature = "async")]
mod client;
mod encode;
mod headers;
#[cfg(feature = "async")]
mod identity;
mod inbox;
mod info;
mod keepalive;
mod message;
#[cfg(feature = "nkey")]
mod nkey;
mod outbox;
mod parser;
mod server_error;
mod session;
mod subject;
mod subscriptions;

#[cfg(feature = "async")]
pub use client::{Client, ClientError, Introduction};
pub use encode::{ClientOperation, Connect, Credentials, EncodeError, Publish};
pub use headers::{Headers, NO_RESPONDERS};
#[cfg(feature = "async")]
pub use identity::Identity;
pub use inbox::{MAX_INBOX, RequestId};
pub use info::{MAX_NONCE, MAX_VERSION, ServerInfo};
pub use keepalive::{Keepalive, Unresponsive};
pub use message::{Message, SkipReason, Skipped};
#[cfg(feature = "nkey")]
pub use nkey::{NkeyError, NkeyPair};
pub use parser::{Parser, ProtocolError, ServerOperation};
pub use server_error::{ServerError, ServerErrorKind};
pub use session::{Event, SendError, Session, SettingsError};
pub use subject::{Filter, Subject, SubjectError};
pub use subscriptions::{SubscribeError, SubscriptionId};

/// Compiles the example of the README.
#[cfg(all(doctest, feature = "async"))]
#[doc = include_str!("../README.md")]
mod readme {}
