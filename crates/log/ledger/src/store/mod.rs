//! The ledger's folder: one module for each kind of file in it.

pub(crate) mod archive;
pub(crate) mod disk;
pub(crate) mod faults;
pub(crate) mod key_file;
pub(crate) mod lock;
pub(crate) mod offsets;
pub(crate) mod packed;
pub(crate) mod reader;
pub(crate) mod scan;
pub(crate) mod segment;
pub(crate) mod segments;
pub(crate) mod snapshot;
pub(crate) mod tile_files;
pub(crate) mod tiles;
