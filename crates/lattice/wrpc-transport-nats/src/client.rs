//! Makes calls and serves functions.

use std::fmt;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use async_nats::{HeaderMap, Message, Subject};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc;

use crate::exchange::Exchange;
use crate::incoming::Incoming;
use crate::outgoing::Outgoing;
use crate::subjects;
use crate::switchboard::{Call, Served, Switchboard};

/// Calls functions below a prefix, and serves them.
#[derive(Clone)]
pub struct Client {
    nats: Arc<async_nats::Client>,
    prefix: Arc<str>,
    queue_group: Option<Arc<str>>,
    switchboard: Arc<Switchboard>,
}

impl Client {
    /// A client for functions below the subject `prefix`. Servers of one `queue_group` share the calls;
    /// without one each server gets every call.
    ///
    /// # Errors
    /// Where the connection has ended.
    pub async fn new(
        nats: impl Into<Arc<async_nats::Client>>,
        prefix: impl Into<Arc<str>>,
        queue_group: Option<Arc<str>>,
    ) -> anyhow::Result<Self> {
        let nats = nats.into();
        let switchboard = Switchboard::of(&nats).await?;
        Ok(Self {
            nats,
            prefix: prefix.into(),
            queue_group,
            switchboard,
        })
    }

    /// Hands a call over in the process, where somebody serves the function there.
    fn call_within(
        &self,
        subject: &str,
        headers: &Option<HeaderMap>,
        first: &Bytes,
    ) -> Option<(Outgoing, Incoming)> {
        let service = self.switchboard.service(subject)?;
        let (parameters, results) = (Exchange::default(), Exchange::default());
        let call = Call {
            headers: headers.clone(),
            parameters: Incoming::within(&parameters).after(first.clone()),
            results: Outgoing::within(&results),
        };
        service.send(call).ok()?;
        Some((Outgoing::within(&parameters), Incoming::within(&results)))
    }

    async fn call_over_nats<P: AsRef<[Option<usize>]>>(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        mut parameters: Bytes,
        paths: &[P],
    ) -> anyhow::Result<(Outgoing, Incoming)> {
        let inbox = self.switchboard.new_inbox();
        // First where the answers arrive, then the request.
        let (acceptance, registration) = self.switchboard.expect_acceptance(&inbox)?;
        let results = subjects::of_results(&inbox);
        let results = Incoming::register(&self.switchboard, &results, paths)?;
        let headers = headers.unwrap_or_default();
        let room = self.nats.server_info().max_payload;
        let room = room.saturating_sub(length_of(&headers));
        let first = parameters.split_to(room.min(parameters.len()));
        self.nats
            .publish_with_reply_and_headers(subject.clone(), inbox, headers, first)
            .await
            .with_context(|| format!("cannot publish a call to {subject}"))?;
        let nats = (*self.nats).clone();
        let outgoing = Outgoing::once_accepted(nats, acceptance, registration, parameters);
        Ok((outgoing, results))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("prefix", &self.prefix)
            .field("queue_group", &self.queue_group)
            .finish_non_exhaustive()
    }
}

/// Bytes of headers in a message, which count with its payload (NATS client protocol, `HPUB`).
fn length_of(headers: &HeaderMap) -> usize {
    let lines = headers.iter().flat_map(|(name, values)| {
        let name: &[u8] = name.as_ref();
        let name = name.len();
        values
            .iter()
            .map(move |value| name + ": ".len() + value.as_str().len() + "\r\n".len())
    });
    "NATS/1.0\r\n\r\n".len() + lines.sum::<usize>()
}

impl wrpc_transport::Invoke for Client {
    type Context = Option<HeaderMap>;
    type Outgoing = Outgoing;
    type Incoming = Incoming;

    async fn invoke<P>(
        &self,
        headers: Self::Context,
        instance: &str,
        func: &str,
        params: Bytes,
        paths: impl AsRef<[P]> + Send,
    ) -> anyhow::Result<(Self::Outgoing, Self::Incoming)>
    where
        P: AsRef<[Option<usize>]> + Send + Sync,
    {
        let subject = subjects::of_function(&self.prefix, instance, func);
        if let Some(call) = self.call_within(&subject, &headers, &params) {
            return Ok(call);
        }
        self.call_over_nats(subject, headers, params, paths.as_ref())
            .await
    }
}

/// Takes the calls of one function.
struct Calls {
    nats: Arc<async_nats::Client>,
    switchboard: Arc<Switchboard>,
    paths: Arc<[Box<[Option<usize>]>]>,
    over_nats: async_nats::Subscriber,
    within: mpsc::UnboundedReceiver<Call>,
    /// None where each server gets every call.
    _served: Option<Served>,
}

type Taken = (Option<HeaderMap>, Outgoing, Incoming);

impl Calls {
    /// The next call; none when the connection has ended.
    async fn next(&mut self) -> Option<anyhow::Result<Taken>> {
        tokio::select! {
            request = self.over_nats.next() => Some(self.accept(request?).await),
            Some(call) = self.within.recv() => {
                Some(Ok((call.headers, call.results, call.parameters)))
            }
        }
    }

    async fn accept(&self, request: Message) -> anyhow::Result<Taken> {
        let caller = request
            .reply
            .context("a call does not say where its answer goes")?;
        let inbox = self.switchboard.new_inbox();
        // First where the parameters arrive, then that they are welcome.
        let parameters = subjects::of_parameters(&inbox);
        let parameters = Incoming::register(&self.switchboard, &parameters, &self.paths)?;
        self.nats
            .publish_with_reply(caller.clone(), inbox, Bytes::new())
            .await
            .context("cannot accept a call")?;
        let results = Subject::from(subjects::of_results(&caller));
        let results = Outgoing::to((*self.nats).clone(), results);
        let parameters = parameters.after(request.payload).impatient();
        Ok((request.headers, results, parameters))
    }
}

impl wrpc_transport::Serve for Client {
    type Context = Option<HeaderMap>;
    type Outgoing = Outgoing;
    type Incoming = Incoming;

    async fn serve(
        &self,
        instance: &str,
        func: &str,
        paths: impl Into<Arc<[Box<[Option<usize>]>]>> + Send,
    ) -> anyhow::Result<
        impl Stream<Item = anyhow::Result<(Self::Context, Self::Outgoing, Self::Incoming)>>
        + Send
        + 'static,
    > {
        let subject = subjects::of_function(&self.prefix, instance, func);
        ensure!(
            !subject.contains(['*', '>', ' ']),
            "{subject} is not a subject that a function can have"
        );
        let over_nats = match &self.queue_group {
            Some(group) => {
                self.nats
                    .queue_subscribe(subject.clone(), group.to_string())
                    .await
            }
            None => self.nats.subscribe(subject.clone()).await,
        };
        let over_nats =
            over_nats.with_context(|| format!("cannot subscribe to the calls of {subject}"))?;
        let (within, served) = match self.queue_group {
            Some(_) => {
                let (calls, served) = self.switchboard.serve(subject);
                (calls, Some(served))
            }
            None => (mpsc::unbounded_channel().1, None),
        };
        let calls = Calls {
            nats: Arc::clone(&self.nats),
            switchboard: Arc::clone(&self.switchboard),
            paths: paths.into(),
            over_nats,
            within,
            _served: served,
        };
        Ok(stream::unfold(calls, |mut calls| async move {
            Some((calls.next().await?, calls))
        }))
    }
}
