//! Packages of Debian.

use std::process::Command;

use anyhow::bail;

use crate::program;

/// Installs packages with apt-get, where there is one.
pub(crate) fn install(packages: &[&str]) -> anyhow::Result<()> {
    if !program::succeeds("apt-get", &["--version"])? {
        bail!(
            "there is no apt-get to install {} with",
            packages.join(", ")
        );
    }
    println!("installing {} with apt-get", packages.join(", "));
    let install = || {
        let mut install = Command::new("apt-get");
        install
            .args(["install", "--yes", "--no-install-recommends", "--quiet"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive");
        program::run(&mut install)
    };
    // The lists of packages may be missing or old.
    if install().is_ok() {
        return Ok(());
    }
    program::run(Command::new("apt-get").args(["update", "--quiet"]))?;
    install()
}
