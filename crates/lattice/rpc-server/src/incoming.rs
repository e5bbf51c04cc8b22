//! The parameters of a call.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_nats::Subscriber;
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Parameters follow their request at once, a batch of a thousand results within milliseconds.
/// Whoever is silent this long has died; others wait behind it for their turn.
const SILENCE: Duration = Duration::from_secs(2);

/// Reads the parameters of one call.
pub struct Incoming {
    buffer: Bytes,
    messages: Subscriber,
    ended: bool,
    deadline: Pin<Box<Sleep>>,
}

impl Incoming {
    /// `first` came with the request, the rest comes as `messages`.
    pub(crate) fn new(first: Bytes, messages: Subscriber) -> Self {
        let deadline = Box::pin(tokio::time::sleep(SILENCE));
        Self {
            buffer: first,
            messages,
            ended: false,
            deadline,
        }
    }
}

impl AsyncRead for Incoming {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.buffer.is_empty() && !self.ended {
            match self.messages.poll_next_unpin(context) {
                Poll::Ready(Some(message)) => {
                    self.ended = message.payload.is_empty();
                    self.buffer = message.payload;
                    self.deadline.as_mut().reset(Instant::now() + SILENCE);
                }
                Poll::Ready(None) => self.ended = true,
                Poll::Pending => {
                    ready!(self.deadline.as_mut().poll(context));
                    let silent = format!("the caller sent no parameters for {SILENCE:?}");
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, silent)));
                }
            }
        }
        let length = self.buffer.len().min(into.remaining());
        into.put_slice(&self.buffer.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl wrpc_transport::Index<Self> for Incoming {
    fn index(&self, path: &[usize]) -> anyhow::Result<Self> {
        anyhow::bail!("no asynchronous parameter at {path:?}")
    }
}
