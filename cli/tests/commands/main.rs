//! The program as a process, against a real log behind a real socket.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod exporting;
mod hostile;
mod live;
mod proofs;
mod proxy;
mod reading;
mod served;
mod site;
mod witnessed;
