//! The HTTP interface straight over a ledger in the same process, without a lattice: for
//! `fieldledger serve`, and for tests that need a real log behind a real socket.
//!
//! [`OverLedger`] answers the calls behind the API from the ledger, [`Standalone`] serves them. The
//! calls may block, so every request is answered on a thread where that is allowed.
//!
//! No sensors are polled here: a request for them is answered with that.
#![forbid(unsafe_code)]

mod backend;
mod blocking;
mod connections;
mod convert;
mod gaps;
mod server;

pub use backend::OverLedger;
pub use server::{Standalone, StandaloneError};
