//! Whether the lock files of the workspaces beside the main one are true. Their crates depend on the
//! main workspace's, whose dependencies change without them.

use std::path::Path;

use anyhow::ensure;

use crate::program;

/// Workspaces of their own.
const WORKSPACES: [&str; 6] = [
    "bench",
    "bench/devices",
    "bench/devices/firmware",
    "firmware/emulated",
    "firmware/pico-w",
    "fuzz",
];

/// Names every lock file that is stale, and what makes it true.
pub(crate) fn check() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut stale = Vec::new();
    for workspace in WORKSPACES {
        let mut command = program::cargo();
        command
            .current_dir(&root)
            .args(["metadata", "--locked", "--format-version", "1"])
            .args(["--manifest-path", &format!("{workspace}/Cargo.toml")]);
        if let Err(error) = program::output(&mut command) {
            eprintln!("{error:#}");
            stale.push(workspace);
        }
    }
    let repair =
        |workspace: &&str| format!("cargo metadata --manifest-path {workspace}/Cargo.toml");
    let repairs: Vec<String> = stale.iter().map(repair).collect();
    ensure!(
        stale.is_empty(),
        "stale lock files: {}; `{}` makes them true",
        stale.join(", "),
        repairs.join("`, `")
    );
    Ok(())
}
