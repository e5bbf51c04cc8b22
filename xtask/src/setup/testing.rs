//! What the tests need beside what running needs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use fieldledger_site::{Artifacts, find_moto_server, find_witness_log, tools_dir};

use super::{
    BARE_TARGETS, SystemPackages, cose, install_for_running, npm, pangea_sdks, python, system,
    targets,
};
use crate::program;

/// The package of PyPI with a server that speaks S3, for tests of anchor and archive.
const MOTO_PACKAGE: &str = "moto[s3,server]==5.2.5";

/// The package of crates.io with an independent witness, and its version. Half of what it would
/// compile is TLS, which nobody needs on loopback: without, it takes a minute of one core.
const WITNESS_LOG: (&str, &str) = ("witness-log-cli", "0.6.1");

/// Installs what is missing. Before anything is downloaded, it is an error where system packages are
/// missing that may not be installed.
pub(crate) async fn install_for_tests(system_packages: SystemPackages) -> anyhow::Result<()> {
    system::provide(system_packages)?;
    install_for_running().await?;
    targets::install(&BARE_TARGETS).await?;
    println!("moto: {}", install_moto()?.display());
    println!("pycose: {}", cose::install()?.display());
    let witness_log = install_witness_log()?;
    println!("witness-log {}: {}", WITNESS_LOG.1, witness_log.display());
    pangea_sdks::install()?;
    let artifacts = Artifacts::of_checkout();
    let list = artifacts
        .root()
        .join("tests/interop/openapi/requirements.txt");
    python::install("schemathesis", &list, "schemathesis")?;
    let lists = artifacts.root().join("tests/pico-w");
    npm::install("MicroPython as WebAssembly", &lists, "micropython")
}

/// Moto's server, in a virtual environment of its own: it brings much along.
fn install_moto() -> anyhow::Result<PathBuf> {
    if let Ok(path) = find_moto_server() {
        return Ok(path);
    }
    let folder = tools_dir().join("moto");
    println!(
        "installing {MOTO_PACKAGE} from PyPI into {}",
        folder.display()
    );
    program::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))
        .context("cannot make the virtual environment of moto")?;
    let mut install = Command::new(folder.join("bin").join("python"));
    install
        .args(["-m", "pip", "install", "--quiet"])
        .args(["--disable-pip-version-check", MOTO_PACKAGE]);
    program::run(&mut install)?;
    Ok(find_moto_server()?)
}

/// The witness that our tests are cosigned by.
fn install_witness_log() -> anyhow::Result<PathBuf> {
    if let Ok(path) = find_witness_log() {
        return Ok(path);
    }
    let (package, version) = WITNESS_LOG;
    let tools = tools_dir();
    println!(
        "compiling {package} {version} from crates.io into {}",
        tools.display()
    );
    let mut install = program::cargo();
    install
        .args(["install", "--quiet", "--locked", "--no-default-features"])
        .args(["--version", version, "--root"])
        .arg(&tools)
        .arg(package)
        // Not among our own packages: it has other versions of everything.
        .env_remove("CARGO_TARGET_DIR");
    program::run(&mut install)?;
    Ok(find_witness_log()?)
}
