//! Programs that others wrote, or that are made of what others wrote.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use fieldledger_site::{DEBIAN_GO_PATH, find_cose, tools_dir};
use tokio::process::Command;
use tokio::time::timeout;

/// How long any of them may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a program that ended well printed; what it complained of is in the error otherwise.
///
/// # Errors
///
/// Where it cannot be run, does not end, or ends with a failure.
pub async fn output(command: &mut Command) -> Result<String> {
    let run = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let line = format!("{:?}", command.as_std());
    let output = timeout(PATIENCE, run)
        .await
        .with_context(|| format!("{line} does not end"))?
        .with_context(|| format!("cannot run {line}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{}: {}",
        output.status,
        complaint.trim()
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Compiles the Go program in `go/`, with Debian's packages of Go's own libraries.
///
/// # Errors
///
/// Where Go or its packages are missing; `cargo xtask setup` installs them.
pub async fn compile_logcheck(folder: &Path) -> Result<PathBuf> {
    let packages = Path::new(DEBIAN_GO_PATH);
    if !packages.join("src/golang.org/x/mod/sumdb/tlog").is_dir() {
        bail!("Go's packages for logs are not in {DEBIAN_GO_PATH}; run `cargo xtask setup`");
    }
    let program = folder.join("logcheck");
    let mut compile = Command::new("go");
    compile
        .args(["build", "-o"])
        .arg(&program)
        .arg(source("go/main.go"))
        .env("GO111MODULE", "off")
        .env("GOPATH", packages)
        .env("GOFLAGS", "")
        .env("GOCACHE", tools_dir().join("go-build"))
        .env("CGO_ENABLED", "0");
    output(&mut compile)
        .await
        .context("compiling logcheck with Go; `cargo xtask setup` installs it")?;
    Ok(program)
}

/// A command that checks a COSE receipt with pycose.
///
/// # Errors
///
/// Where pycose is missing; `cargo xtask setup` installs it.
pub fn check_receipt(receipt: &Path, leaf: &Path, key: &str) -> Result<Command> {
    let mut command = Command::new("python3");
    command
        .arg(source("python/check_receipt.py"))
        .args([receipt, leaf])
        .arg(key)
        .env("PYTHONPATH", find_cose()?)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
