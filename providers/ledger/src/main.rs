//! The ledger as a wasmCloud capability provider: a thin skin over `crates/log/ledger`.
//!
//! Configuration (the provider's own, in `wadm.yaml`): see [`settings`].
//!
//! | module | holds |
//! |---|---|
//! | `provider` | open the ledger, serve it, close it |
//! | `settings` | what `wadm.yaml` can set of a ledger |
//! | `exports` | the interfaces of `fieldledger:ledger`, each function handed to the ledger |
//!
//! **Invariants.** A ledger that cannot be opened refuses calls with the reason, and the provider stays up. What waits is
//! committed before the folder is released.
#![forbid(unsafe_code)]

mod bindings;
mod exports;
mod provider;
mod settings;

use mimalloc::MiMalloc;

/// An event's texts are made by the thread that takes the call, and freed by the commit thread. glibc's
/// allocator takes a third of both threads' time for that, and keeps what it has in many arenas.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    provider::run().await
}
