//! What the tests share.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod operations;
pub(crate) mod server;
