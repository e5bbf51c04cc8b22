//! Serves a provider's functions to the lattice.
//!
//! The transport that comes with wRPC can lose a call: its server notes the subject of a call's
//! parameters in one task and reads all messages in another, and where the machine is busy the
//! message can be read first. It is dropped then, and because the parameters of a function's calls
//! are read one after the other, that function answers nobody any more until the provider is
//! started again. Here every call has a NATS subscription of its own, made before the caller is
//! told where to send, so the server has it in order; and a caller that falls silent is given up.
//!
//! The protocol is wRPC 0.0.1 over NATS, without asynchronous parameters, which our contracts do
//! not have: a request names the caller's inbox and may carry the first bytes of the parameters;
//! the answer to it names ours; the rest arrives at `<ours>.params`, the results leave for
//! `<theirs>.results`, and an empty message ends either. `incoming` reads the parameters of a call, `outgoing`
//! writes its results.
//!
//! **Invariants.** We listen for a call's parameters before its caller learns where to send them. A caller
//! that falls silent delays the others for a bounded time only.
#![forbid(unsafe_code)]

mod incoming;
mod outgoing;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::Context as _;
use async_nats::{Message, Subject};
use futures::stream::select_all;
use futures::{Stream, StreamExt as _};
use tokio::task::JoinSet;
use tracing::warn;
use wasmcloud_provider_sdk::provider::{ProviderConnection, invocation_context};
use wrpc_transport::Serve;

pub use incoming::Incoming;
pub use outgoing::Outgoing;

/// Calls of each function, as the bindings that wit-bindgen-wrpc generates yield them.
pub type Invocations = Vec<(
    &'static str,
    &'static str,
    Pin<Box<dyn Stream<Item = Accepted> + Send>>,
)>;

/// A call that was taken: the rest of the work on it.
pub type Accepted = anyhow::Result<Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>>;

/// Takes the calls that are meant for one provider.
#[derive(Debug, Clone)]
pub struct Server {
    nats: Arc<async_nats::Client>,
    prefix: String,
}

impl Server {
    /// A server for the provider of this connection.
    #[must_use]
    pub fn of(connection: &ProviderConnection) -> Self {
        let prefix = format!("{}.{}", connection.lattice, connection.provider_key());
        Self::new(Arc::clone(&connection.nats), prefix)
    }

    /// A server for calls to subjects below `prefix`.
    fn new(nats: Arc<async_nats::Client>, prefix: String) -> Self {
        Self { nats, prefix }
    }
}

/// Works on all calls, each in a task of its own. Never returns; drop it to stop.
pub async fn work_on(invocations: Invocations) {
    let mut calls =
        select_all(invocations.into_iter().map(|(interface, function, calls)| {
            calls.map(move |call| (interface, function, call))
        }));
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            Some((interface, function, call)) = calls.next() => match call {
                Ok(work) => {
                    tasks.spawn(async move {
                        if let Err(error) = work.await {
                            warn!(interface, function, error = format!("{error:#}"), "call not answered");
                        }
                    });
                }
                Err(error) => {
                    warn!(interface, function, error = format!("{error:#}"), "call not taken");
                }
            },
            Some(_) = tasks.join_next() => {}
            else => std::future::pending::<()>().await,
        }
    }
}

impl Serve for Server {
    type Context = Option<wasmcloud_provider_sdk::Context>;
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
        anyhow::ensure!(
            paths.into().is_empty(),
            "{instance}.{func} has asynchronous parameters, which are not served"
        );
        let subject = format!("{}.wrpc.0.0.1.{instance}.{func}", self.prefix);
        // Clones of one provider share its calls, as with the SDK's own server.
        let requests = self
            .nats
            .queue_subscribe(subject, self.prefix.clone())
            .await
            .with_context(|| format!("cannot subscribe to the calls of {instance}.{func}"))?;
        let nats = Arc::clone(&self.nats);
        Ok(requests.then(move |request| accept(Arc::clone(&nats), request)))
    }
}

async fn accept(
    nats: Arc<async_nats::Client>,
    request: Message,
) -> anyhow::Result<(Option<wasmcloud_provider_sdk::Context>, Outgoing, Incoming)> {
    let theirs = request.reply.context("a call names no inbox")?;
    let ours = nats.new_inbox();
    let parameters = nats
        .subscribe(format!("{ours}.params"))
        .await
        .context("cannot subscribe to parameters")?;
    nats.publish_with_reply(theirs.clone(), ours, bytes::Bytes::new())
        .await
        .context("cannot answer a call")?;
    let context = request.headers.as_ref().map(invocation_context);
    let results = Subject::from(format!("{theirs}.results"));
    Ok((
        context,
        Outgoing::new((*nats).clone(), results),
        Incoming::new(request.payload, parameters),
    ))
}

#[cfg(test)]
mod tests;
