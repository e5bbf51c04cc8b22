//! Which lock file a folder of tools was installed from, so that a newer one is seen.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The file in the folder that says it.
const MADE_FROM: &str = "made-from";

/// The text of a lock file.
pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// False also where an earlier installation was broken off.
pub(super) fn is_made_from(folder: &Path, wanted: &str) -> bool {
    fs::read_to_string(note(folder)).is_ok_and(|made_from| made_from == wanted)
}

/// Says that the installation is complete.
pub(super) fn note_made_from(folder: &Path, wanted: &str) -> anyhow::Result<()> {
    let note = note(folder);
    fs::write(&note, wanted).with_context(|| format!("cannot write {}", note.display()))
}

/// Removes what an earlier installation left.
pub(super) fn clear(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

fn note(folder: &Path) -> PathBuf {
    folder.join(MADE_FROM)
}
