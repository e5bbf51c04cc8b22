//! What the tests here share: a real log behind a real socket, a proxy that changes what it passes
//! on, and programs that others wrote.
#![forbid(unsafe_code)]

pub mod log;
pub mod programs;
pub mod tamper;
