//! Where an anchor is.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::objects::ObjectFolder;

/// Where a ledger's newest signed tree head is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AnchorPlace {
    /// In a folder beside the ledger's, of the same name with `-anchor` after it.
    #[default]
    Beside,
    /// In this folder: best on another disk, or another machine's.
    Folder(PathBuf),
    /// In an object store that can write an object conditionally on its version.
    Objects(ObjectFolder),
}

impl AnchorPlace {
    /// The folder, for a ledger in `data`; none where it is not a folder or has no name of its own.
    pub(crate) fn folder(&self, data: &Path) -> Option<PathBuf> {
        match self {
            Self::Folder(folder) => Some(folder.clone()),
            Self::Objects(_) => None,
            Self::Beside => {
                let mut name = data.file_name()?.to_owned();
                name.push("-anchor");
                Some(data.with_file_name(name))
            }
        }
    }
}

impl FromStr for AnchorPlace {
    type Err = String;

    /// Reads a folder's path, or the URL of a folder or of S3 ([`ObjectFolder::open`]); nothing means
    /// [`AnchorPlace::Beside`].
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            _ if text.is_empty() => Ok(Self::Beside),
            None => Ok(Self::Folder(text.into())),
            Some(("file", path)) if path.starts_with('/') => Ok(Self::Folder(path.into())),
            Some(("file", _)) => Err(format!(
                "{text:?} is not a folder; right would be file:///folder"
            )),
            Some(_) => Ok(Self::Objects(text.parse()?)),
        }
    }
}
