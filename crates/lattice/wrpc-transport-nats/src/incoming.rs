//! What arrives of a call: its parameters at the server, its results at the caller.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::exchange::Exchange;
use crate::pipe::{Broken, Receiver};
use crate::subjects;
use crate::switchboard::{Registration, Switchboard};

/// Parameters follow their request at once, and mostly come with it. Whoever is silent this long before
/// they are complete has died; the calls of the same function wait behind it.
const SILENCE: Duration = Duration::from_secs(5);

/// Where a byte string comes from: a pipe, and what keeps a subject registered for it.
pub(crate) struct Source {
    receiver: Receiver,
    _registered: Option<Registration>,
}

/// The asynchronous values of a call, by path.
#[derive(Clone)]
enum Nested {
    /// Over NATS: those that were announced, each taken once.
    Announced(Arc<Mutex<HashMap<Vec<usize>, Source>>>),
    /// In the process.
    Within(Exchange),
}

/// Reads the parameters or the results of one call.
pub struct Incoming {
    buffer: Bytes,
    /// None at a path that has no bytes of its own.
    source: Option<Source>,
    ended: bool,
    nested: Nested,
    path: Vec<usize>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    /// What arrives at `subject` and, for the paths of asynchronous values, below it.
    pub(crate) fn register<P: AsRef<[Option<usize>]>>(
        switchboard: &Arc<Switchboard>,
        subject: &str,
        paths: &[P],
    ) -> anyhow::Result<Self> {
        let mut announced = HashMap::new();
        for path in paths {
            // A path with an open index, an element of a list, has no subject of its own.
            let known: Option<Vec<usize>> = path.as_ref().iter().copied().collect();
            if let Some(path) = known {
                let source = Source::register(switchboard, subjects::at(subject, &path))?;
                announced.insert(path, source);
            }
        }
        let source = Source::register(switchboard, subject.to_owned())?;
        let nested = Nested::Announced(Arc::new(Mutex::new(announced)));
        Ok(Self::new(Some(source), nested, Vec::new()))
    }

    /// What comes through an exchange.
    pub(crate) fn within(exchange: &Exchange) -> Self {
        let nested = Nested::Within(exchange.clone());
        Self::new(Some(Source::within(exchange, &[])), nested, Vec::new())
    }

    fn new(source: Option<Source>, nested: Nested, path: Vec<usize>) -> Self {
        Self {
            buffer: Bytes::new(),
            source,
            ended: false,
            nested,
            path,
            deadline: None,
        }
    }

    /// With `first`, which came before the rest.
    pub(crate) fn after(mut self, first: Bytes) -> Self {
        self.buffer = first;
        self
    }

    /// Given up if the other side falls silent.
    pub(crate) fn impatient(mut self) -> Self {
        self.deadline = Some(Box::pin(tokio::time::sleep(SILENCE)));
        self
    }
}

impl Source {
    fn register(switchboard: &Arc<Switchboard>, subject: String) -> anyhow::Result<Self> {
        let (receiver, registration) = switchboard.expect_bytes(subject)?;
        Ok(Self {
            receiver,
            _registered: Some(registration),
        })
    }

    fn within(exchange: &Exchange, path: &[usize]) -> Self {
        Self {
            receiver: exchange.receiver(path),
            _registered: None,
        }
    }
}

impl AsyncRead for Incoming {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if into.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while self.buffer.is_empty() && !self.ended {
            let Some(source) = &self.source else {
                let nothing = format!("no asynchronous value was announced at {:?}", self.path);
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::NotFound, nothing)));
            };
            match source.receiver.poll_next(context) {
                Poll::Ready(Ok(Some(bytes))) => {
                    self.buffer = bytes;
                    if let Some(deadline) = &mut self.deadline {
                        deadline.as_mut().reset(Instant::now() + SILENCE);
                    }
                }
                Poll::Ready(Ok(None)) => self.ended = true,
                Poll::Ready(Err(broken)) => return Poll::Ready(Err(broken.into())),
                Poll::Pending => {
                    let Some(deadline) = &mut self.deadline else {
                        return Poll::Pending;
                    };
                    ready!(deadline.as_mut().poll(context));
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
        let path = [self.path.as_slice(), path].concat();
        let source = match &self.nested {
            Nested::Announced(announced) => announced.lock().remove(&path),
            Nested::Within(exchange) => Some(Source::within(exchange, &path)),
        };
        Ok(Self::new(source, self.nested.clone(), path))
    }
}

impl From<Broken> for io::Error {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Full => Self::other("more than 64 MiB of a call waited unread"),
            Broken::Gone => Self::new(
                io::ErrorKind::BrokenPipe,
                "the connection to nats-server ended before the call did",
            ),
        }
    }
}
