//! The results of a call.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_nats::{Client, PublishMessage, Subject};
use bytes::Bytes;
use futures::SinkExt as _;
use tokio::io::AsyncWrite;

/// Writes the results of one call.
pub struct Outgoing {
    nats: Client,
    subject: Subject,
    ended: bool,
}

impl Outgoing {
    pub(crate) fn new(nats: Client, subject: Subject) -> Self {
        Self {
            nats,
            subject,
            ended: false,
        }
    }

    fn poll_publish(&mut self, context: &mut Context<'_>, payload: Bytes) -> Poll<io::Result<()>> {
        ready!(self.nats.poll_ready_unpin(context)).map_err(io::Error::other)?;
        let message = PublishMessage {
            subject: self.subject.clone(),
            payload,
            reply: None,
            headers: None,
        };
        Poll::Ready(
            self.nats
                .start_send_unpin(message)
                .map_err(io::Error::other),
        )
    }
}

impl AsyncWrite for Outgoing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            // An empty message would end the results.
            return Poll::Ready(Ok(0));
        }
        let length = bytes.len().min(self.nats.server_info().max_payload);
        ready!(self.poll_publish(context, Bytes::copy_from_slice(&bytes[..length])))?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.nats
            .poll_flush_unpin(context)
            .map_err(io::Error::other)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ended {
            ready!(self.poll_publish(context, Bytes::new()))?;
            self.ended = true;
        }
        self.poll_flush(context)
    }
}

impl Drop for Outgoing {
    /// Where the work on a call failed half way, its caller must not wait for the rest.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (nats, subject) = (self.nats.clone(), self.subject.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { nats.publish(subject, Bytes::new()).await });
        }
    }
}

impl wrpc_transport::Index<Self> for Outgoing {
    fn index(&self, path: &[usize]) -> anyhow::Result<Self> {
        anyhow::bail!("no asynchronous result at {path:?}")
    }
}
