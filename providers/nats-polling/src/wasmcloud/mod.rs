//! The lattice's side of the provider.

mod bindings;
mod convert;
mod linked_reader;
mod provider;
mod registry;

pub use provider::run;
