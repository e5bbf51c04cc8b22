//! Room on disks.

use std::path::Path;

use rustix::fs::statvfs;

use crate::error::SiteError;
use crate::process::file_error;

/// Bytes that may yet be written to the disk of `path`, which need not exist yet.
///
/// # Errors
///
/// [`SiteError::File`] where the system does not say.
pub fn free_space(path: &Path) -> Result<u64, SiteError> {
    let failed = |source| file_error("find the room on the disk of", path, source);
    let whole = std::path::absolute(path).map_err(failed)?;
    let there = whole.ancestors().find(|folder| folder.exists());
    let disk = statvfs(there.unwrap_or(&whole)).map_err(|error| failed(error.into()))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_is_on_the_disk_of_the_one_it_will_be_in() {
        let folder = tempfile::tempdir().unwrap();
        let room = free_space(&folder.path().join("a/b")).unwrap();
        assert!(room > 0);
        // Others write to it too, but not the half of it between two looks.
        assert!(free_space(folder.path()).unwrap() > room / 2);
    }
}
