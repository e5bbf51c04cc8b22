//! The linked component as a [`Reader`].

use std::time::Duration;

use fieldledger_contract::field::{self, PollBatch};
use fieldledger_contract::packed::Packed as _;
use futures::FutureExt;
use futures::future::BoxFuture;
use wasmcloud_provider_sdk::get_connection;
use wasmcloud_provider_sdk::provider::WrpcClient;

use super::bindings::fieldledger::field::reader;
use crate::reader::{IngestError, Ingested, Reader};

/// Calls one component. The client is kept: each one is a subscription of its own.
pub(crate) struct LinkedReader {
    client: WrpcClient,
}

impl LinkedReader {
    /// A caller of `component` whose calls end after `timeout`.
    pub(crate) async fn new(component: &str, timeout: Duration) -> anyhow::Result<Self> {
        let client = get_connection()
            .get_wrpc_client_custom(component, Some(timeout))
            .await?;
        Ok(Self { client })
    }
}

impl Reader for LinkedReader {
    fn ingest<'a>(&'a self, batch: &'a PollBatch) -> BoxFuture<'a, Result<Ingested, IngestError>> {
        async move {
            match reader::ingest(&self.client, None, &batch.packed()).await {
                Ok(Ok(ingested)) => Ok(ingested),
                Ok(Err(field::IngestError::Malformed(text))) => Err(IngestError::Malformed(text)),
                Ok(Err(field::IngestError::Ended(text))) => Err(IngestError::Ended(text)),
                Ok(Err(field::IngestError::Unavailable(text))) => {
                    Err(IngestError::Unavailable(text))
                }
                Err(error) => Err(IngestError::Failed(format!("{error:#}"))),
            }
        }
        .boxed()
    }
}
