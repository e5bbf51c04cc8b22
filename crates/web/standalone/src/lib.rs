//! The HTTP interface straight over a ledger in the same process, without a lattice: for
//! `fieldledger serve`, and for tests that need a real log behind a real socket.
//!
//! [`OverLedger`] is all parts of the API in one, over a ledger; [`Standalone`] serves them. The
//! calls may block, so every request is answered on a thread where that is allowed.
//!
//! No sensors are polled here: a request for them is answered with that.
//!
//! | module | holds |
//! |---|---|
//! | `over_ledger` | the parts of the API, answered from a ledger in this process |
//! | `server` | the server's life; connections are those of `fieldledger-edge` |
//! | `blocking` | lets handlers block, as the calls behind the API do |
//!
//! **Invariants.** A client that is slow is given up in bounded time.
#![forbid(unsafe_code)]

mod blocking;
mod over_ledger;
mod server;

pub use over_ledger::OverLedger;
pub use server::{Standalone, StandaloneError};
