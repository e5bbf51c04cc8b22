//! Pangea's SDKs, which tests run unmodified against the log.

use std::path::Path;
use std::process::Command;

use anyhow::bail;
use fieldledger_site::{Artifacts, tools_dir};

use crate::made_from::{clear, is_made_from, note_made_from, read};
use crate::{npm, program};

/// Installs what is missing or of another version.
pub(crate) fn install() -> anyhow::Result<()> {
    let lists = Artifacts::of_checkout().root().join("tests/interop/pangea");
    install_for_python(&lists.join("requirements.txt"))?;
    npm::install("Pangea's SDK for Node", &lists, "pangea-node")
}

fn install_for_python(requirements: &Path) -> anyhow::Result<()> {
    let folder = tools_dir().join("pangea-python");
    let wanted = read(requirements)?;
    let python = folder.join("bin/python");
    if is_made_from(&folder, &wanted) && python.exists() {
        println!("pangea-sdk for Python: {}", folder.display());
        return Ok(());
    }
    if !program::succeeds("python3", &["-m", "venv", "--help"])? {
        bail!("python3 has no venv, which Pangea's SDK is installed in; install python3-venv");
    }
    println!(
        "installing Pangea's SDK for Python into {}",
        folder.display()
    );
    clear(&folder)?;
    program::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let mut install = Command::new(&python);
    install
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .arg("--requirement")
        .arg(requirements);
    program::run(&mut install)?;
    note_made_from(&folder, &wanted)
}
