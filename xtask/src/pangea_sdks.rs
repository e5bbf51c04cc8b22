//! Pangea's SDKs, which tests run unmodified against the log.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use fieldledger_site::{Artifacts, tools_dir};

use crate::program;

/// Says which lock file an installation was made from.
const MADE_FROM: &str = "made-from";

/// Installs what is missing or of another version.
pub(crate) fn install() -> anyhow::Result<()> {
    let lists = Artifacts::of_checkout().root().join("tests/interop/pangea");
    install_for_python(&lists.join("requirements.txt"))?;
    install_for_node(&lists)
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

fn install_for_node(lists: &Path) -> anyhow::Result<()> {
    let folder = tools_dir().join("pangea-node");
    let wanted = read(&lists.join("package-lock.json"))?;
    if is_made_from(&folder, &wanted) {
        println!("pangea-node-sdk: {}", folder.display());
        return Ok(());
    }
    if !program::succeeds("npm", &["--version"])? {
        bail!(
            "npm is missing, which Pangea's SDK for Node is installed with; install Node 20 or newer"
        );
    }
    println!("installing Pangea's SDK for Node into {}", folder.display());
    clear(&folder)?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for name in ["package.json", "package-lock.json"] {
        let (from, to) = (lists.join(name), folder.join(name));
        fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    let mut install = Command::new("npm");
    install
        .args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--silent",
        ])
        .current_dir(&folder);
    program::run(&mut install)?;
    note_made_from(&folder, &wanted)
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn note(folder: &Path) -> PathBuf {
    folder.join(MADE_FROM)
}

/// False also where an earlier installation was broken off.
fn is_made_from(folder: &Path, wanted: &str) -> bool {
    fs::read_to_string(note(folder)).is_ok_and(|made_from| made_from == wanted)
}

fn note_made_from(folder: &Path, wanted: &str) -> anyhow::Result<()> {
    let note = note(folder);
    fs::write(&note, wanted).with_context(|| format!("cannot write {}", note.display()))
}

fn clear(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}
