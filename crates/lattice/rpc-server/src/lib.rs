//! Takes a provider's calls from the lattice, and works on them.
//!
//! [`server`] is what the generated bindings serve on, [`work_on`] does what they yield. The SDK has a
//! function for the second too; it keeps the result of each call until the provider ends.
#![forbid(unsafe_code)]

use std::future::Future;
use std::pin::Pin;

use anyhow::Context as _;
use futures::stream::select_all;
use futures::{Stream, StreamExt as _};
use tokio::task::JoinSet;
use tracing::{debug, warn};
use wasmcloud_provider_sdk::ProviderConnection;
use wasmcloud_provider_sdk::provider::WrpcClient;

/// Calls of each function, as the bindings that wit-bindgen-wrpc generates yield them.
pub type Invocations = Vec<(
    &'static str,
    &'static str,
    Pin<Box<dyn Stream<Item = Accepted> + Send>>,
)>;

/// A call that was taken: the rest of the work on it.
pub type Accepted = anyhow::Result<Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>>;

/// Takes the calls that are meant for the provider of this connection. Clones of one provider share
/// them.
///
/// # Errors
/// Where the connection has ended.
pub async fn server(connection: &ProviderConnection) -> anyhow::Result<WrpcClient> {
    connection
        .get_wrpc_client(connection.provider_key())
        .await
        .context("cannot take calls from the lattice")
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
                        // Nearly always its caller has gone, as a client of HTTP does that hangs up. A
                        // caller that is there sees the failure, and tells of it.
                        if let Err(error) = work.await {
                            debug!(interface, function, error = format!("{error:#}"), "call not answered");
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
