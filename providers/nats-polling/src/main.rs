//! The polling provider's program. See the library beside it.
#![forbid(unsafe_code)]

use fieldledger_lifeline::Parent;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    fieldledger_provider_nats_polling::wasmcloud::run(Parent::now()).await
}
