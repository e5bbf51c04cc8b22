//! What the programs share: a transport that the compiler knows nothing about, and an executor.
#![no_std]

use core::convert::Infallible;
use core::hint::black_box;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embedded_io_async::{ErrorType, Read, Write};

/// A transport that is always ready.
#[derive(Debug)]
pub struct Registers;

impl ErrorType for Registers {
    type Error = Infallible;
}

impl Read for Registers {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        black_box(&mut *buffer);
        Ok(black_box(buffer.len()))
    }
}

impl Write for Registers {
    async fn write(&mut self, buffer: &[u8]) -> Result<usize, Infallible> {
        Ok(black_box(buffer).len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Polls until it is done.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
    }
}
