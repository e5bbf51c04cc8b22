//! Programs from PyPI, each in a virtual environment of its own, from a list that names every version.

use std::path::Path;
use std::process::Command;

use fieldledger_site::tools_dir;

use super::made_from::{clear, is_made_from, note_made_from, read};
use crate::program;

/// Installs what the list at `requirements` names into `folder` of the tools, unless that was made from the
/// same list.
pub(super) fn install(what: &str, requirements: &Path, folder: &str) -> anyhow::Result<()> {
    let folder = tools_dir().join(folder);
    let wanted = read(requirements)?;
    let python = folder.join("bin/python");
    if is_made_from(&folder, &wanted) && python.exists() {
        println!("{what}: {}", folder.display());
        return Ok(());
    }
    println!("installing {what} into {}", folder.display());
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
