//! `cargo xtask build`: everything a site runs, into `build/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use fieldledger_site::Artifacts;

use crate::setup::WASM_TARGET;
use crate::{artifacts, pack, program};

/// Native programs. Always built together: another set of packages would unite other features of
/// their dependencies and compile the wasmCloud host, ten minutes, a second time.
pub(crate) const NATIVE: [&str; 5] = [
    "fieldledger-cli",
    "fieldledger-host",
    "fieldledger-provider-nats-polling",
    "fieldledger-provider-ledger",
    "fieldledger-simulator",
];

/// The program for devices that run Linux. Built by itself: MQTT with TLS would unite other features with
/// those of [`NATIVE`].
const DEVICE: &str = "fieldledger-device-linux";

/// Components.
pub(crate) const COMPONENTS: [&str; 5] = [
    "fieldledger-audit-api",
    "fieldledger-event-logger",
    "fieldledger-http-gateway",
    "fieldledger-sensor-reader",
    "fieldledger-ui",
];

/// Builds all and leaves it in `build/`.
pub(crate) async fn build_all() -> anyhow::Result<()> {
    let destination = Artifacts::of_checkout();
    let folder = destination.folder();
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    if !destination.host().is_file() {
        println!("building; the first time this takes 10 to 20 minutes, most of it the host");
    }

    let mut native = program::cargo();
    native.args(["build", "--release", "--locked"]);
    native.args(packages(&NATIVE));
    for (name, file) in artifacts::build(&mut native)? {
        match name.as_str() {
            "host" => copy(&file, &destination.host())?,
            "fieldledger" => copy(&file, &destination.command_line())?,
            "simulator" => copy(&file, &destination.simulator())?,
            "rawrate" => copy(&file, &destination.rawrate())?,
            provider => pack::pack(provider, &file, &destination.provider(provider)).await?,
        }
    }

    let mut device = program::cargo();
    device.args(["build", "--release", "--locked"]);
    device.args(packages(&[DEVICE]));
    for (_, file) in artifacts::build(&mut device)? {
        copy(&file, &destination.device())?;
    }

    let mut components = program::cargo();
    components.args(["build", "--release", "--locked", "--target", WASM_TARGET]);
    components.args(packages(&COMPONENTS));
    for (name, file) in artifacts::build(&mut components)? {
        copy(&file, &destination.component(&name))?;
    }
    Artifacts::locate()?;
    Ok(())
}

/// The arguments that choose `names`.
pub(crate) fn packages(names: &[&'static str]) -> impl Iterator<Item = &'static str> {
    names.iter().flat_map(|name| ["--package", name])
}

/// Copies by way of another name, because a program that runs cannot be written to.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut name = to.as_os_str().to_owned();
    name.push(".new");
    let fresh = PathBuf::from(name);
    fs::copy(from, &fresh)
        .and_then(|_| fs::rename(&fresh, to))
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}
