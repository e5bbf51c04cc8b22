//! What `tests/interop` runs: programs of others that read our logs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use fieldledger_site::{DEBIAN_GO_PATH, find_cose, tools_dir};

use crate::{debian, program};

/// Packages of Debian with Go and its packages for notes and logs.
const GO_PACKAGES: [&str; 2] = ["golang-go", "golang-golang-x-mod-dev"];

/// Packages of PyPI that check our COSE receipts; pycose does not work with a newer cbor2.
const COSE_PACKAGES: [&str; 2] = ["pycose==1.1.0", "cbor2==5.6.5"];

/// Installs what is missing, and says what there is.
pub(crate) fn install_missing() -> anyhow::Result<()> {
    println!("go with golang.org/x/mod: {}", install_go()?);
    println!("pycose: {}", install_cose()?.display());
    Ok(())
}

/// Go, and Debian's source of golang.org/x/mod; returns Go's version.
fn install_go() -> anyhow::Result<String> {
    let packages = Path::new(DEBIAN_GO_PATH).join("src/golang.org/x/mod/sumdb/tlog");
    if !packages.is_dir() || !program::succeeds("go", &["version"])? {
        let advice = format!(
            "install Debian's packages {} by hand: nothing else provides both",
            GO_PACKAGES.join(" and ")
        );
        debian::install(&GO_PACKAGES).with_context(|| advice)?;
    }
    let version = program::output(Command::new("go").arg("version"))?;
    Ok(version.trim().to_owned())
}

/// The Python packages that check COSE receipts.
fn install_cose() -> anyhow::Result<PathBuf> {
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
