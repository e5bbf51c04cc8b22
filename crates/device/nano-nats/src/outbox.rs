//! Bytes on their way to the server.

use crate::EncodeError;
use crate::encode::ClientOperation;

/// Whole operations, of which the transport takes as many bytes at a time as it can.
#[derive(Debug, Clone)]
pub(crate) struct Outbox<const N: usize> {
    buffer: [u8; N],
    start: usize,
    end: usize,
}

impl<const N: usize> Outbox<N> {
    pub(crate) const fn new() -> Self {
        Self {
            buffer: [0; N],
            start: 0,
            end: 0,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Adds an operation, or nothing.
    pub(crate) fn push(&mut self, operation: &ClientOperation<'_>) -> Result<(), EncodeError> {
        let room = &mut self.buffer[self.end..];
        match operation.encode(room) {
            Ok(length) => {
                self.end += length;
                Ok(())
            }
            Err(EncodeError::NoRoom { .. }) if self.start > 0 => {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
                self.push(operation)
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn pending(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The transport took so many bytes.
    pub(crate) fn sent(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.start == self.end {
            self.clear();
        }
    }
}
