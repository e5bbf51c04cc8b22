//! The lattice's side of the provider.

mod bindings;
mod linked_reader;
mod provider;
mod registry;
mod shown;

pub use provider::run;
