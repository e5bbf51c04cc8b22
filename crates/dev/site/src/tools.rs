//! Programs that are not ours.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::SiteError;
use crate::nats_version::{NatsVersion, OLDEST_NATS};

/// Where `cargo xtask setup` installs programs: `FIELDLEDGER_TOOLS`, or `fieldledger/tools` in the
/// user's cache folder, so that it outlives a site's state and serves every checkout.
#[must_use]
pub fn tools_dir() -> PathBuf {
    if let Some(folder) = env::var_os("FIELDLEDGER_TOOLS") {
        return PathBuf::from(folder);
    }
    let cache = match (env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")) {
        (Some(cache), _) => PathBuf::from(cache),
        (None, Some(home)) => PathBuf::from(home).join(".cache"),
        (None, None) => env::temp_dir(),
    };
    cache.join("fieldledger").join("tools")
}

impl NatsVersion {
    /// Asks the program at `path`.
    ///
    /// # Errors
    ///
    /// [`SiteError::Start`] if it cannot be run, [`SiteError::NotNatsServer`] if it prints
    /// something else, [`SiteError::NatsTooOld`] below [`OLDEST_NATS`].
    pub fn of_usable(path: &Path) -> Result<Self, SiteError> {
        let output = Command::new(path).arg("--version").output();
        let output = output.map_err(|source| SiteError::Start {
            name: path.display().to_string(),
            source,
        })?;
        let text = String::from_utf8_lossy(&output.stdout);
        let found = Self::parse(&text).ok_or_else(|| SiteError::NotNatsServer {
            path: path.to_owned(),
            output: text.trim().to_owned(),
        })?;
        match found >= OLDEST_NATS {
            true => Ok(found),
            false => Err(SiteError::NatsTooOld {
                path: path.to_owned(),
                found,
            }),
        }
    }
}

/// A nats-server that is new enough: the one `FIELDLEDGER_NATS_SERVER` names, else on `PATH`, else
/// in [`tools_dir`].
///
/// # Errors
///
/// [`SiteError::NoNatsServer`] if there is none, and where all there are do not serve, why the
/// first does not.
pub fn find_nats_server() -> Result<PathBuf, SiteError> {
    if let Some(path) = env::var_os("FIELDLEDGER_NATS_SERVER") {
        let path = PathBuf::from(path);
        NatsVersion::of_usable(&path)?;
        return Ok(path);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|folder| folder.join("nats-server"));
    let installed = tools_dir().join("bin").join("nats-server");
    let mut first_problem = None;
    for candidate in on_path.chain([installed]).filter(|file| file.is_file()) {
        match NatsVersion::of_usable(&candidate) {
            Ok(_) => return Ok(candidate),
            Err(problem) => first_problem = first_problem.or(Some(problem)),
        }
    }
    Err(first_problem.unwrap_or_else(|| SiteError::NoNatsServer { tools: tools_dir() }))
}

/// Moto's server, which speaks S3, in [`tools_dir`].
///
/// # Errors
///
/// [`SiteError::NoTool`] if it is not there.
pub fn find_moto_server() -> Result<PathBuf, SiteError> {
    installed(&["moto", "bin", "moto_server"])
}

/// The independent witness `witness-log`, in [`tools_dir`].
///
/// # Errors
///
/// [`SiteError::NoTool`] if it is not there.
pub fn find_witness_log() -> Result<PathBuf, SiteError> {
    installed(&["bin", "witness-log"])
}

/// The emulator of Arm machines, on `PATH`.
///
/// # Errors
///
/// [`SiteError::NoTool`] if it is not there.
pub fn find_qemu_arm() -> Result<PathBuf, SiteError> {
    let name = "qemu-system-arm";
    let path = env::var_os("PATH").unwrap_or_default();
    let mut candidates = env::split_paths(&path).map(|folder| folder.join(name));
    let found = candidates.find(|file| file.is_file());
    found.ok_or_else(|| SiteError::NoTool { path: name.into() })
}

/// MicroPython as WebAssembly, a module for Node, in [`tools_dir`].
///
/// # Errors
///
/// [`SiteError::NoTool`] if it is not there.
pub fn find_micropython() -> Result<PathBuf, SiteError> {
    installed(&[
        "micropython",
        "node_modules",
        "@micropython",
        "micropython-webassembly-pyscript",
        "micropython.mjs",
    ])
}

/// The file at this place in [`tools_dir`].
fn installed(place: &[&str]) -> Result<PathBuf, SiteError> {
    let path: PathBuf = place
        .iter()
        .fold(tools_dir(), |folder, name| folder.join(name));
    match path.is_file() {
        true => Ok(path),
        false => Err(SiteError::NoTool { path }),
    }
}

/// Where Debian puts the source of Go packages, golang.org/x/mod among them.
pub const DEBIAN_GO_PATH: &str = "/usr/share/gocode";

/// The folder of Python packages with pycose, in [`tools_dir`].
///
/// # Errors
///
/// [`SiteError::NoTool`] if it is not there.
pub fn find_cose() -> Result<PathBuf, SiteError> {
    let path = tools_dir().join("cose");
    match path.join("pycose").is_dir() {
        true => Ok(path),
        false => Err(SiteError::NoTool { path }),
    }
}
