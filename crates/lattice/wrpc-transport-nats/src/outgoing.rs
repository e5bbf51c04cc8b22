//! What leaves of a call: its parameters from the caller, its results from the server.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_nats::{PublishMessage, Subject};
use bytes::Bytes;
use futures::future::{BoxFuture, Shared};
use futures::{FutureExt as _, SinkExt as _};
use tokio::io::AsyncWrite;
use tokio::sync::oneshot;

use crate::exchange::Exchange;
use crate::pipe::Sender;
use crate::subjects;
use crate::switchboard::{Acceptance, Refusal, Registration};

/// What a server will say to a request; none where the connection ended before.
type Accepting = Shared<BoxFuture<'static, Option<Acceptance>>>;

enum Way {
    /// To whoever accepts the request. Until then nobody knows where.
    Accepting(Accepting),
    /// To a subject.
    Subject { root: Subject, subject: Subject },
    /// To the other end in this process.
    Within { exchange: Exchange, sender: Sender },
}

/// Writes the parameters or the results of one call. An asynchronous value has a writer of its own, by
/// its path.
pub struct Outgoing {
    /// None within the process.
    nats: Option<async_nats::Client>,
    way: Way,
    path: Vec<usize>,
    /// Goes before all else.
    first: Bytes,
    ended: bool,
}

impl Outgoing {
    /// Parameters, once the request was accepted; `first` is what had no room in it.
    pub(crate) fn once_accepted(
        nats: async_nats::Client,
        acceptance: oneshot::Receiver<Acceptance>,
        registration: Registration,
        first: Bytes,
    ) -> Self {
        let accepting = async move {
            let acceptance = acceptance.await.ok();
            drop(registration);
            acceptance
        };
        Self::new(
            Some(nats),
            Way::Accepting(accepting.boxed().shared()),
            Vec::new(),
            first,
        )
    }

    /// To `root`, and below it for asynchronous values.
    pub(crate) fn to(nats: async_nats::Client, root: Subject) -> Self {
        let subject = root.clone();
        let way = Way::Subject { root, subject };
        Self::new(Some(nats), way, Vec::new(), Bytes::new())
    }

    /// Through an exchange.
    pub(crate) fn within(exchange: &Exchange) -> Self {
        let way = Way::within(exchange, &[]);
        Self::new(None, way, Vec::new(), Bytes::new())
    }

    fn new(nats: Option<async_nats::Client>, way: Way, path: Vec<usize>, first: Bytes) -> Self {
        Self {
            nats,
            way,
            path,
            first,
            ended: false,
        }
    }

    /// Waits until it is known where the bytes go, and sends those that go first.
    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Way::Accepting(accepting) = &mut self.way {
            let inbox = match ready!(accepting.poll_unpin(context)) {
                Some(Ok(inbox)) => inbox,
                Some(Err(refusal)) => return Poll::Ready(Err(refusal.into())),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            };
            let root = Subject::from(subjects::of_parameters(&inbox));
            let subject = Subject::from(subjects::at(&root, &self.path));
            self.way = Way::Subject { root, subject };
        }
        while !self.first.is_empty() {
            let first = self.first.clone();
            let sent = ready!(self.poll_send(context, &first))?;
            self.first = self.first.split_off(sent);
        }
        Poll::Ready(Ok(()))
    }

    /// Sends as much as one message takes; how much that was.
    fn poll_send(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Way::Within { sender, .. } = &self.way {
            return match ready!(sender.poll_push(context, bytes)) {
                true => Poll::Ready(Ok(bytes.len())),
                false => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            };
        }
        let Some(nats) = &self.nats else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let length = bytes.len().min(nats.server_info().max_payload);
        if length == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        ready!(self.poll_publish(context, Bytes::copy_from_slice(&bytes[..length])))?;
        Poll::Ready(Ok(length))
    }

    fn poll_publish(&mut self, context: &mut Context<'_>, payload: Bytes) -> Poll<io::Result<()>> {
        let (Some(nats), Way::Subject { subject, .. }) = (&mut self.nats, &self.way) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        ready!(nats.poll_ready_unpin(context)).map_err(io::Error::other)?;
        let message = PublishMessage {
            subject: subject.clone(),
            payload,
            reply: None,
            headers: None,
        };
        Poll::Ready(nats.start_send_unpin(message).map_err(io::Error::other))
    }
}

impl Way {
    fn within(exchange: &Exchange, path: &[usize]) -> Self {
        Self::Within {
            exchange: exchange.clone(),
            sender: exchange.sender(path),
        }
    }
}

impl AsyncWrite for Outgoing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(context))?;
        if bytes.is_empty() {
            // An empty message would be the end.
            return Poll::Ready(Ok(0));
        }
        self.poll_send(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_open(context))?;
        match &mut self.nats {
            Some(nats) => nats.poll_flush_unpin(context).map_err(io::Error::other),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_open(context))?;
        if !self.ended {
            match &self.way {
                Way::Within { sender, .. } => sender.end(),
                _ => ready!(self.poll_publish(context, Bytes::new()))?,
            }
            self.ended = true;
        }
        self.poll_flush(context)
    }
}

impl Drop for Outgoing {
    /// Whoever reads the other end must not wait for more.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        match (&self.way, self.nats.take()) {
            (Way::Within { sender, .. }, _) => sender.end(),
            (Way::Subject { subject, .. }, Some(nats)) => {
                let subject = subject.clone();
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(async move { nats.publish(subject, Bytes::new()).await });
                }
            }
            _ => {}
        }
    }
}

impl wrpc_transport::Index<Self> for Outgoing {
    fn index(&self, path: &[usize]) -> anyhow::Result<Self> {
        let path = [self.path.as_slice(), path].concat();
        let way = match &self.way {
            Way::Accepting(accepting) => Way::Accepting(accepting.clone()),
            Way::Subject { root, .. } => Way::Subject {
                root: root.clone(),
                subject: Subject::from(subjects::at(root, &path)),
            },
            Way::Within { exchange, .. } => Way::within(exchange, &path),
        };
        Ok(Self::new(self.nats.clone(), way, path, Bytes::new()))
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NobodyServes => Self::new(
                io::ErrorKind::NotConnected,
                "nobody serves this function at present",
            ),
            Refusal::Odd(what) => Self::new(io::ErrorKind::InvalidData, what),
        }
    }
}
