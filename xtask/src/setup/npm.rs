//! Packages of npm that tests run, each list in a folder of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use fieldledger_site::tools_dir;

use super::made_from::{clear, is_made_from, note_made_from, read};
use crate::program;

/// Installs what the lock file in `lists` says into the folder `name` of the tools, where it is not
/// there yet.
pub(super) fn install(what: &str, lists: &Path, name: &str) -> anyhow::Result<()> {
    let folder = tools_dir().join(name);
    let wanted = read(&lists.join("package-lock.json"))?;
    if is_made_from(&folder, &wanted) {
        println!("{what}: {}", folder.display());
        return Ok(());
    }
    println!("installing {what} into {}", folder.display());
    clear(&folder)?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for file in ["package.json", "package-lock.json"] {
        let (from, to) = (lists.join(file), folder.join(file));
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
