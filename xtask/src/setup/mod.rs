//! What this machine needs beyond Rust: to run a site, the wasm target and nats-server; to test it, much
//! more. What can lives in a folder of the project's own.

mod apt;
mod cose;
mod made_from;
mod npm;
mod pangea_sdks;
mod python;
mod running;
mod system;
mod targets;
mod testing;

use clap::Args;

pub(crate) use running::install_for_running;
pub(crate) use targets::{BARE_TARGETS, WASM_TARGET};
pub(crate) use testing::install_for_tests;

/// Whether the packages of this system may be changed.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct SystemPackages {
    /// Install missing system packages with apt-get.
    ///
    /// What that installs, upgrades and removes is shown first, and one is asked.
    #[arg(long)]
    install_system: bool,

    /// Do not ask before system packages are installed.
    #[arg(long, requires = "install_system")]
    yes: bool,
}
