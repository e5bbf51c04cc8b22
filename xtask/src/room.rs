//! Room on disks: looked at before it is needed, and named where it has run out.

use std::path::Path;

use anyhow::ensure;
use fieldledger_site::free_space;

use crate::program;

const MIB: u64 = 1 << 20;

/// What the first build writes: programs of release, with all that they are made of.
const FIRST_BUILD: u64 = 4_000 * MIB;

/// What a later one writes: the programs, and a copy of them in `build/`.
const LATER_BUILD: u64 = 500 * MIB;

/// Below this a site does not start: the log would be full within the hour.
const LEAST_FOR_SITE: u64 = 300 * MIB;

/// Below this a running site says so.
pub(crate) const LITTLE_FOR_SITE: u64 = 2_000 * MIB;

/// Below this nothing of any size can be written.
const NOTHING: u64 = 20 * MIB;

/// It is an error where there is no room for a build.
pub(crate) fn for_build(is_first: bool) -> anyhow::Result<()> {
    let (needed, what) = match is_first {
        true => (FIRST_BUILD, "the first build"),
        false => (LATER_BUILD, "a build"),
    };
    let elsewhere = "the variable CARGO_TARGET_DIR";
    enough(&program::target_folder(), needed, what, elsewhere)
}

/// It is an error where there is no room for a site's state.
pub(crate) fn for_site(state: &Path) -> anyhow::Result<()> {
    enough(state, LEAST_FOR_SITE, "a site", "`--state`")
}

fn enough(folder: &Path, needed: u64, what: &str, elsewhere: &str) -> anyhow::Result<()> {
    let free = free_space(folder)?;
    ensure!(
        free >= needed,
        "the disk of {} has {} free, and {what} needs {}; make room there, or name a folder on another \
         disk with {elsewhere}",
        folder.display(),
        spell(free),
        spell(needed)
    );
    Ok(())
}

/// Adds to an error that the disk is full, where it is.
pub(crate) fn explain(error: anyhow::Error, folder: &Path) -> anyhow::Error {
    match free_space(folder) {
        Ok(free) if free < NOTHING => error.context(format!(
            "the disk of {} is full ({} free)",
            folder.display(),
            spell(free)
        )),
        Ok(_) | Err(_) => error,
    }
}

/// A number of bytes as one says it.
pub(crate) fn spell(bytes: u64) -> String {
    let mebibytes = bytes / MIB;
    match mebibytes {
        0..1_000 => format!("{mebibytes} MB"),
        1_000.. => format!("{:.1} GB", mebibytes as f64 / 1_000.0),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn too_little_room_is_named_with_what_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let error = enough(folder.path(), u64::MAX, "a site", "`--state`").unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(&folder.path().display().to_string()),
            "{text}"
        );
        assert!(text.contains("free, and a site needs"), "{text}");
        enough(folder.path(), 1, "a site", "`--state`").unwrap();
    }

    #[test]
    fn an_error_with_room_left_stays_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let error = explain(anyhow::anyhow!("no"), folder.path());
        assert_eq!(format!("{error:#}"), "no");
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(spell(300 * MIB), "300 MB");
        assert_eq!(spell(FIRST_BUILD), "4.0 GB");
    }
}
