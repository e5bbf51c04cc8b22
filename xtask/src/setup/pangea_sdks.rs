//! Pangea's SDKs, which tests run unmodified against the log.

use std::path::Path;
use std::process::Command;

use fieldledger_site::{Artifacts, tools_dir};

use super::made_from::{clear, is_made_from, note_made_from, read};
use super::npm;
use crate::program;

/// Installs what is missing or of another version.
pub(super) fn install() -> anyhow::Result<()> {
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
