//! The files that `cargo xtask build` leaves for a site to run.

use std::env;
use std::path::{Path, PathBuf};

use crate::error::SiteError;

/// Components of the application, by the names of their folders.
const COMPONENTS: [&str; 5] = [
    "audit-api",
    "event-logger",
    "http-gateway",
    "sensor-reader",
    "ui",
];

/// Providers of the application, by the names of their folders.
const PROVIDERS: [&str; 3] = ["http-edge", "ledger", "nats-polling"];

/// A checkout whose `build` folder holds everything a site runs.
#[derive(Debug, Clone)]
pub struct Artifacts {
    root: PathBuf,
    build: PathBuf,
}

impl Artifacts {
    /// The `build` folder of this checkout.
    ///
    /// # Errors
    ///
    /// [`SiteError::NotBuilt`] if anything is missing there.
    pub fn locate() -> Result<Self, SiteError> {
        Self::of_checkout().complete()
    }

    /// These, if all of them are there.
    ///
    /// # Errors
    ///
    /// [`SiteError::NotBuilt`] with those that are missing.
    pub fn complete(self) -> Result<Self, SiteError> {
        let mut missing = self.files();
        missing.retain(|file| !file.is_file());
        match missing.is_empty() {
            true => Ok(self),
            false => Err(SiteError::NotBuilt { missing }),
        }
    }

    /// The same, whether or not it has been built.
    #[must_use]
    pub fn of_checkout() -> Self {
        // Asked at run time: checkouts may share a target folder, and with it this program.
        let from = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(env::current_dir, |folder| Ok(folder.into()));
        let from = from.unwrap_or_default();
        let root = from
            .ancestors()
            .find(|folder| folder.join("wadm.yaml").is_file());
        Self::at(root.unwrap_or(&from))
    }

    /// Those of the checkout at `root`, whether or not it has been built.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            build: root.join("build"),
        }
    }

    /// The same programs with their symbols, for a profiler, in a folder beside the others.
    #[must_use]
    pub fn with_symbols(mut self) -> Self {
        self.build.push("with-symbols");
        self
    }

    /// The checkout.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.build
    }

    /// The application's manifest.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.root.join("wadm.yaml")
    }

    /// The host's program.
    #[must_use]
    pub fn host(&self) -> PathBuf {
        self.build.join("fieldledger-host")
    }

    /// The simulator's program.
    #[must_use]
    pub fn simulator(&self) -> PathBuf {
        self.build.join("fieldledger-simulator")
    }

    /// The program `fieldledger`.
    #[must_use]
    pub fn command_line(&self) -> PathBuf {
        self.build.join("fieldledger")
    }

    /// The program of a device that runs Linux.
    #[must_use]
    pub fn device(&self) -> PathBuf {
        self.build.join("fieldledger-device")
    }

    /// The program that measures plain NATS, for the benchmark.
    #[must_use]
    pub fn rawrate(&self) -> PathBuf {
        self.build.join("fieldledger-rawrate")
    }

    /// The program for an emulated microcontroller, which `cargo xtask firmware` builds.
    #[must_use]
    pub fn emulated_firmware(&self) -> PathBuf {
        self.build.join("fieldledger-emulated.elf")
    }

    /// The wasm file of the component in `actors/<name>`.
    #[must_use]
    pub fn component(&self, name: &str) -> PathBuf {
        self.build.join(format!("{name}.wasm"))
    }

    /// The archive of the provider in `providers/<name>`.
    #[must_use]
    pub fn provider(&self, name: &str) -> PathBuf {
        self.build.join(format!("{name}.par.gz"))
    }

    /// Every file a site needs.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let components = COMPONENTS.iter().map(|name| self.component(name));
        let providers = PROVIDERS.iter().map(|name| self.provider(name));
        let programs = [
            self.host(),
            self.simulator(),
            self.command_line(),
            self.manifest(),
        ];
        components.chain(providers).chain(programs).collect()
    }
}
