//! Files that only help: the search index.

use std::path::Path;

use crate::index;

/// Why the index in the folder cannot be used for a log of `size` entries; none if it can, or if
/// there is none.
pub(crate) fn problem_with_index(folder: &Path, size: u64) -> Option<String> {
    if !folder.is_dir() {
        return None;
    }
    index::verify(folder, size).err()
}
