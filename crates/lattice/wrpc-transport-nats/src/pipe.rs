//! A pipe of byte strings between two tasks, bounded in bytes.
//!
//! Each pipe serves one direction of one call. Its writer is either the switchboard, which must not
//! wait for anyone and so ends a pipe that is full ([`Sender::push`]), or the other end of a call in
//! the same process, which waits until there is room ([`Sender::poll_push`]).

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;

/// What may wait unread before a writer waits: room for two messages of the usual largest size, 1 MiB.
const ROOM: usize = 2 * 1024 * 1024;

/// What may wait unread where the writer cannot wait. Far more than any answer here (a page of a search
/// has 1 MiB), so only a reader that has stopped reading gets there.
const MOST: usize = 64 * 1024 * 1024;

/// How a pipe ended before its writer said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// More than [`MOST`] bytes waited unread.
    Full,
    /// The writer is gone.
    Gone,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Bytes>,
    bytes: usize,
    ended: bool,
    broken: Option<Broken>,
    /// The reader is gone.
    unread: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl State {
    fn put(&mut self, bytes: Bytes) {
        self.bytes += bytes.len();
        self.waiting.push_back(bytes);
        self.wake_reader();
    }

    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// Writes; dropped without [`Sender::end`], the reader gets [`Broken::Gone`].
pub(crate) struct Sender(Arc<Mutex<State>>);

/// Reads.
pub(crate) struct Receiver(Arc<Mutex<State>>);

/// A new pipe.
pub(crate) fn pipe() -> (Sender, Receiver) {
    let state = Arc::new(Mutex::new(State::default()));
    (Sender(Arc::clone(&state)), Receiver(state))
}

impl Sender {
    /// Puts a byte string in; breaks the pipe where too much waits already.
    pub(crate) fn push(&self, bytes: Bytes) {
        let mut state = self.0.lock();
        if state.unread || state.ended || state.broken.is_some() {
            return;
        }
        if state.bytes + bytes.len() > MOST {
            state.broken = Some(Broken::Full);
            state.waiting.clear();
            state.bytes = 0;
            state.wake_reader();
            return;
        }
        state.put(bytes);
    }

    /// Puts a byte string in as soon as there is room. False where nobody reads.
    pub(crate) fn poll_push(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<bool> {
        let mut state = self.0.lock();
        if state.unread {
            return Poll::Ready(false);
        }
        if state.bytes >= ROOM {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        state.put(Bytes::copy_from_slice(bytes));
        Poll::Ready(true)
    }

    /// Says that nothing follows.
    pub(crate) fn end(&self) {
        let mut state = self.0.lock();
        state.ended = true;
        state.wake_reader();
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if !state.ended && state.broken.is_none() {
            state.broken = Some(Broken::Gone);
        }
        state.wake_reader();
    }
}

impl Receiver {
    /// The next byte string, none at the end. What was written before a pipe broke for want of its
    /// writer comes first.
    pub(crate) fn poll_next(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Broken>> {
        let mut state = self.0.lock();
        if let Some(bytes) = state.waiting.pop_front() {
            state.bytes -= bytes.len();
            if state.bytes < ROOM
                && let Some(writer) = state.writer.take()
            {
                writer.wake();
            }
            return Poll::Ready(Ok(Some(bytes)));
        }
        if state.ended {
            return Poll::Ready(Ok(None));
        }
        if let Some(broken) = state.broken {
            return Poll::Ready(Err(broken));
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.unread = true;
        state.waiting.clear();
        state.bytes = 0;
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::future::poll_fn;
    use std::task::Waker;

    use super::*;

    fn next(receiver: &Receiver) -> Poll<Result<Option<Bytes>, Broken>> {
        receiver.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn what_was_written_is_read_in_order_and_then_the_end() {
        let (sender, receiver) = pipe();
        sender.push("one".into());
        sender.push("two".into());
        sender.end();
        drop(sender);
        assert_eq!(next(&receiver), Poll::Ready(Ok(Some("one".into()))));
        assert_eq!(next(&receiver), Poll::Ready(Ok(Some("two".into()))));
        assert_eq!(next(&receiver), Poll::Ready(Ok(None)));
        assert_eq!(next(&receiver), Poll::Ready(Ok(None)));
    }

    #[test]
    fn a_writer_that_goes_without_a_word_breaks_the_pipe_behind_what_it_wrote() {
        let (sender, receiver) = pipe();
        sender.push("one".into());
        drop(sender);
        assert_eq!(next(&receiver), Poll::Ready(Ok(Some("one".into()))));
        assert_eq!(next(&receiver), Poll::Ready(Err(Broken::Gone)));
    }

    #[test]
    fn whoever_cannot_wait_breaks_a_pipe_that_nobody_reads() {
        let (sender, receiver) = pipe();
        let megabyte = Bytes::from(vec![0; 1024 * 1024]);
        for _ in 0..MOST / megabyte.len() {
            sender.push(megabyte.clone());
        }
        assert_eq!(next(&receiver), Poll::Ready(Ok(Some(megabyte.clone()))));
        sender.push(megabyte.clone());
        sender.push("too much".into());
        assert_eq!(next(&receiver), Poll::Ready(Err(Broken::Full)));
    }

    #[tokio::test]
    async fn whoever_can_wait_goes_on_when_there_is_room_or_nobody_reads() {
        let (sender, receiver) = pipe();
        let megabyte = vec![0; 1024 * 1024];
        for _ in 0..ROOM / megabyte.len() {
            assert!(poll_fn(|context| sender.poll_push(context, &megabyte)).await);
        }
        let waits = tokio::spawn(async move {
            let room = poll_fn(|context| sender.poll_push(context, b"last")).await;
            (room, sender)
        });
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        assert!(next(&receiver).is_ready());
        let (went_in, sender) = waits.await.unwrap();
        assert!(went_in);

        assert!(poll_fn(|context| sender.poll_push(context, &megabyte)).await);
        let waits =
            tokio::spawn(
                async move { poll_fn(|context| sender.poll_push(context, b"never")).await },
            );
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        drop(receiver);
        assert!(!waits.await.unwrap());
    }
}
