//! The HTTP edge as a wasmCloud capability provider: a thin skin over `crates/web/edge`, before the host's
//! builtin HTTP server.
//!
//! Configuration (the provider's own, in `wadm.yaml`): see [`settings`].
//!
//! | module | holds |
//! |---|---|
//! | `provider` | listen, serve, stop |
//! | `settings` | what `wadm.yaml` can set of an edge |
//!
//! **Invariants.** It gives nothing to the lattice and calls nobody there. An address that cannot be listened
//! on is tried again for as long as the provider runs.
#![forbid(unsafe_code)]

mod provider;
mod settings;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    provider::run().await
}
