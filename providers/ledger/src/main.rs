//! The ledger as a wasmCloud capability provider: a thin skin over `crates/log/ledger`.
//!
//! Configuration (the provider's own, in `wadm.yaml`): see [`settings`].
#![forbid(unsafe_code)]

mod bindings;
mod exports;
mod provider;
mod settings;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    provider::run().await
}
