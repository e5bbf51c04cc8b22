//! The folder of a file.

use std::fs::File;
use std::io;
use std::path::Path;

/// Waits until the file's name is on the disk: it is in the folder, which is written apart from the file.
pub(crate) fn sync_folder_of(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|path| !path.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
