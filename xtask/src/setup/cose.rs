//! pycose, with which `tests/interop` reads our logs.

use std::path::PathBuf;
use std::process::Command;

use fieldledger_site::{find_cose, tools_dir};

use crate::program;

/// Packages of PyPI that check our COSE receipts; pycose does not work with a newer cbor2.
const COSE_PACKAGES: [&str; 2] = ["pycose==1.1.0", "cbor2==5.6.5"];

/// The Python packages that check COSE receipts, installed if they are missing.
pub(super) fn install() -> anyhow::Result<PathBuf> {
    if let Ok(path) = find_cose() {
        return Ok(path);
    }
    let folder = tools_dir().join("cose");
    println!(
        "installing {} from PyPI into {}",
        COSE_PACKAGES.join(", "),
        folder.display()
    );
    let mut install = Command::new("python3");
    install
        .args(["-m", "pip", "install", "--quiet", "--upgrade"])
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .args(["--disable-pip-version-check", "--target"])
        .arg(&folder)
        .args(COSE_PACKAGES);
    program::run(&mut install)?;
    Ok(find_cose()?)
}
