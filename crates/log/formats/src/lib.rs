//! How the log lies on the disk, and how it is searched: bytes and texts, without I/O.
//!
//! - [`envelope`]: the bytes around an event, whose hash the tree commits to; [`canonical`] says
//!   whether they are as the ledger writes them.
//! - [`frame`]: how an envelope lies in a segment, and what is left of one that was erased.
//! - [`packed`]: how a full segment is compressed.
//! - [`erasing`]: the plan of an erasure that a crash may interrupt.
//! - [`own`]: the entries that the ledger writes about its own log.
//! - [`checked`]: JSON after a line with its checksum, as the ledger's derived files are.
//! - [`query`]: the search language, the times in it, and the id of a result set.
//!
//! What is read here comes from files that may be damaged and from clients that may be hostile. So
//! every reader takes any bytes: it returns an error, and never panics. What one function writes its
//! counterpart reads as it was. `fuzz/` holds both against inputs that nobody would write.
#![forbid(unsafe_code)]

pub mod canonical;
pub mod checked;
pub mod envelope;
pub mod erasing;
pub mod frame;
pub mod own;
pub mod packed;
pub mod query;
