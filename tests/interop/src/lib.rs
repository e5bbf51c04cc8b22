//! What the tests here share: a real log behind a real socket, a proxy that changes what it passes
//! on, and programs that others wrote.
//!
//! `log` serves a log, `programs` runs what others wrote, `tamper` is the proxy.
#![forbid(unsafe_code)]

pub mod log;
pub mod programs;
pub mod tamper;
