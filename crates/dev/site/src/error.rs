//! What can go wrong with a site.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use crate::listener::Listener;
use crate::nats_version::{NatsVersion, OLDEST_NATS};

/// Why a site could not be brought where it should be. Texts say what to do where that is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SiteError {
    /// A file or folder of the site.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// What was tried, such as "read".
        operation: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },

    /// `cargo xtask build` has not been run, or not to its end.
    #[error("not built yet: {}; run `cargo xtask build`", list(missing))]
    NotBuilt {
        /// Files that should be there.
        missing: Vec<PathBuf>,
    },

    /// No nats-server on this machine.
    #[error("nats-server was not found on PATH nor in {}; run `cargo xtask setup`", tools.display())]
    NoNatsServer {
        /// Where it would have been installed.
        tools: PathBuf,
    },

    /// A program that tests need is not on this machine.
    #[error("{} is missing; run `cargo xtask setup`", path.display())]
    NoTool {
        /// Where it would have been installed.
        path: PathBuf,
    },

    /// A nats-server that cannot serve wadm.
    #[error(
        "{} is version {found}, but wadm needs {OLDEST_NATS} or newer; \
         run `cargo xtask setup`, or put a newer one on PATH",
        path.display()
    )]
    NatsTooOld {
        /// The binary.
        path: PathBuf,
        /// Its version.
        found: NatsVersion,
    },

    /// A program that does not print a version as nats-server does.
    #[error("{} does not look like a nats-server: `--version` printed `{output}`", path.display())]
    NotNatsServer {
        /// The binary.
        path: PathBuf,
        /// What it printed.
        output: String,
    },

    /// Another program listens where the site wants to.
    #[error(
        "{address} is in use{}, needed for {purpose}; stop what listens there or choose another port",
        by(listener.as_ref())
    )]
    PortInUse {
        /// What the site needs the port for.
        purpose: &'static str,
        /// The address.
        address: SocketAddr,
        /// Who listens there, if that is known.
        listener: Option<Listener>,
    },

    /// Nobody could listen where the site wants to.
    #[error("cannot listen on {address}, needed for {purpose}")]
    CannotListen {
        /// What the site needs the address for.
        purpose: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },

    /// No free port could be had from the system.
    #[error("the system gave no free port")]
    NoFreePort {
        /// Why not.
        source: io::Error,
    },

    /// A process could not be started.
    #[error("cannot start {name}")]
    Start {
        /// Which process.
        name: String,
        /// Why not.
        source: io::Error,
    },

    /// A process ended before it served.
    #[error("{name} ended ({status}) before it was ready; the end of {}:\n{tail}", log.display())]
    Ended {
        /// Which process.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },

    /// A process lives, but does not serve.
    #[error("{name} was not ready in {} s; the end of {}:\n{tail}", waited.as_secs(), log.display())]
    NotReady {
        /// Which process.
        name: String,
        /// How long it was waited for.
        waited: Duration,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },

    /// A manifest that is no OAM application.
    #[error("manifest {}: {problem}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },

    /// A setting that the manifest does not have.
    #[error("the manifest has no setting `{property}` for `{component}`; it has: {known}")]
    UnknownSetting {
        /// The component of the application.
        component: String,
        /// The setting asked for.
        property: String,
        /// Those there are, separated by commas.
        known: String,
    },

    /// A secret could not be made.
    #[error("cannot {operation}: {problem}")]
    Secret {
        /// What was tried.
        operation: &'static str,
        /// Why not.
        problem: String,
    },

    /// An authority for the field's servers that cannot be used.
    #[error("authority in {}: {problem}", path.display())]
    Authority {
        /// Its folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },

    /// A user of the field's server that cannot be.
    #[error("user `{name}`: {problem}")]
    User {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },

    /// A request to the lattice or to JetStream failed.
    #[error("cannot {operation}: {problem}")]
    Lattice {
        /// What was tried.
        operation: String,
        /// Why not.
        problem: String,
    },

    /// The application did not come up.
    #[error("application `{application}` is not deployed after {} s: {state}", waited.as_secs())]
    NotDeployed {
        /// Its name.
        application: String,
        /// How long it was waited for.
        waited: Duration,
        /// wadm's last word, with each part that is not deployed.
        state: String,
    },
}

fn by(listener: Option<&Listener>) -> String {
    listener.map_or(String::new(), |listener| format!(" by {listener}"))
}

fn list(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    names.join(", ")
}
