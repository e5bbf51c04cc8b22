//! The HTTP edge: what stands between clients and those who answer.
//!
//! A client may be slow, rude or gone, and there may be a thousand of it. Nothing of that is felt behind the
//! edge: it hands over a request only once it is there as a whole and may be one, as many at a time as there
//! are places, and takes the answer as fast as it comes.
//!
//! ```text
//! client ──▶ connections ──▶ head ──▶ body ──▶ places ──▶ relay ──▶ Backend
//!                                                           │
//!        ◀────────────────── finish (gzip, Range, HEAD) ◀───┘
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `rules` | every bound, with its reason |
//! | `serve` | the server's life: listen, take connections, stop |
//! | `connection` | one connection, and what becomes of a request on it |
//! | `waiting` | connections from which something is still to come; the oldest makes room for a new one |
//! | `patient` | a stream whose writes do not wait for ever |
//! | `head` | whether a head will do, and the head that is handed on |
//! | `prefix` | the path below which a proxy shows the site |
//! | `body` | a body, whole and in time |
//! | `class`, `places` | what kind of work a request is, and how much of it may be done at a time |
//! | `relay` | the call, which is ended properly even if nobody waits for it any more |
//! | `finish` | what is made of an answer: gzip, ranges, HEAD |
//! | `refusal` | errors of the edge, of the same shape as those of the API |
//! | `backend` | who answers: a gateway over HTTP, or anything else that can |
//! | `descriptors` | how many files this process may open |
//!
//! **Invariants.** Behind the edge nobody waits for a client. A call that was begun is not broken off by its
//! client. What one kind of request waits for takes no place of another kind.
#![forbid(unsafe_code)]

mod backend;
mod body;
mod class;
mod connection;
mod descriptors;
mod finish;
mod head;
mod patient;
mod places;
mod prefix;
mod refusal;
mod relay;
mod rules;
mod serve;
mod waiting;

pub use backend::{Backend, BackendError, Calling, Gateway};
pub use descriptors::{connections_possible, raise_limit};
pub use prefix::{Prefix, PrefixError};
pub use rules::Rules;
pub use serve::{Edge, ListenError};
