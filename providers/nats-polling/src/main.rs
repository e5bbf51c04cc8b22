//! The polling provider's program. See the library beside it.
#![forbid(unsafe_code)]

use fieldledger_lifeline::Parent;
use mimalloc::MiMalloc;

/// An answer's texts are made by the loop that polls and freed by the tasks that store and deliver its batch,
/// as in the ledger provider.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    fieldledger_provider_nats_polling::wasmcloud::run(Parent::now()).await
}
