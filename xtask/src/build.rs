//! `cargo xtask build`: everything a site runs, and the program for devices, into `build/`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use fieldledger_site::Artifacts;

use crate::costs::Costs;
use crate::progress::Steps;
use crate::screen::Screen;
use crate::setup::WASM_TARGET;
use crate::{artifacts, pack, program, room};

/// Native programs. Always built together: another set of packages would unite other features of
/// their dependencies and compile the wasmCloud host, ten minutes, a second time.
pub(crate) const NATIVE: [&str; 6] = [
    "fieldledger-cli",
    "fieldledger-host",
    "fieldledger-provider-http-edge",
    "fieldledger-provider-nats-polling",
    "fieldledger-provider-ledger",
    "fieldledger-simulator",
];

/// The program for devices that run Linux. Built by itself: MQTT with TLS would unite other features with
/// those of [`NATIVE`]. A site runs without it.
const DEVICE: &str = "fieldledger-device-linux";

/// Components.
pub(crate) const COMPONENTS: [&str; 5] = [
    "fieldledger-audit-api",
    "fieldledger-event-logger",
    "fieldledger-http-gateway",
    "fieldledger-sensor-reader",
    "fieldledger-ui",
];

/// The profile of all that runs.
const RELEASE: &str = "release";

/// How many steps [`site`] has.
pub(crate) const STEPS_OF_SITE: usize = 2;

/// Builds all and leaves it in `build/`.
pub(crate) async fn build_all() -> anyhow::Result<()> {
    let screen = Screen::new();
    let mut steps = Steps::new(&screen, STEPS_OF_SITE + 1);
    site(&mut steps).await?;
    device(&mut steps).await
}

/// Builds what a site runs.
pub(crate) async fn build_site() -> anyhow::Result<Artifacts> {
    let screen = Screen::new();
    site(&mut Steps::new(&screen, STEPS_OF_SITE)).await
}

/// Builds it with symbols and line numbers, for a profiler.
pub(crate) async fn build_site_with_symbols() -> anyhow::Result<Artifacts> {
    let screen = Screen::new();
    let destination = Artifacts::of_checkout().with_symbols();
    let steps = &mut Steps::new(&screen, STEPS_OF_SITE);
    site_in(destination, "profiling", steps).await
}

/// As [`build_site`], as steps of something larger.
pub(crate) async fn site(steps: &mut Steps<'_>) -> anyhow::Result<Artifacts> {
    site_in(Artifacts::of_checkout(), RELEASE, steps).await
}

async fn site_in(
    destination: Artifacts,
    profile: &'static str,
    steps: &mut Steps<'_>,
) -> anyhow::Result<Artifacts> {
    let folder = destination.folder();
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let is_first = !destination.host().is_file();
    room::for_build(is_first)?;
    if is_first {
        println!(
            "the first build takes about 25 minutes on two cores, most of it the wasmCloud host; \
             later ones build what has changed"
        );
    }

    let mut native = cargo_build(profile);
    native.args(packages(&NATIVE));
    if profile != RELEASE {
        // A profiler finds callers by them.
        native.env("RUSTFLAGS", "-C force-frame-pointers=yes");
    }
    let costs = Costs::of_native(is_first);
    for (name, file) in build(native, steps, "host and providers", costs).await? {
        match name.as_str() {
            "host" => copy(&file, &destination.host())?,
            "fieldledger" => copy(&file, &destination.command_line())?,
            "simulator" => copy(&file, &destination.simulator())?,
            "rawrate" => copy(&file, &destination.rawrate())?,
            provider => pack::pack(provider, &file, &destination.provider(provider)).await?,
        }
    }

    // Compiled by the host when they are loaded: their own symbols are of no use to a profiler.
    let mut components = cargo_build(RELEASE);
    components.args(["--target", WASM_TARGET]);
    components.args(packages(&COMPONENTS));
    let costs = Costs::of_little();
    for (name, file) in build(components, steps, "components", costs).await? {
        copy(&file, &destination.component(&name))?;
    }
    Ok(destination.complete()?)
}

async fn device(steps: &mut Steps<'_>) -> anyhow::Result<()> {
    let destination = Artifacts::of_checkout();
    let mut device = cargo_build(RELEASE);
    device.args(packages(&[DEVICE]));
    let costs = Costs::of_little();
    for (_, file) in build(device, steps, "program for devices", costs).await? {
        copy(&file, &destination.device())?;
    }
    Ok(())
}

fn cargo_build(profile: &str) -> std::process::Command {
    let mut cargo = program::cargo();
    cargo.args(["build", "--locked", "--profile", profile]);
    cargo
}

/// Runs it as the next step. A full disk is what a build is most likely to fail of, and the least likely to
/// be understood.
async fn build(
    cargo: std::process::Command,
    steps: &mut Steps<'_>,
    name: &str,
    costs: Costs,
) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let built = artifacts::build_shown(cargo, steps.next(name, costs)).await;
    built.map_err(|error| room::explain(error, &program::target_folder()))
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
