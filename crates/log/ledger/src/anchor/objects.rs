//! An anchor in an object store: the object `checkpoint`, written conditionally on its version.

use super::error::AnchorError;
use crate::error::StoreError;
use crate::objects::{ObjectFolder, Put, Version};
use crate::store::disk::Disk;

const CHECKPOINT: &str = "checkpoint";

/// The object, and what was last seen in it.
#[derive(Debug)]
pub(crate) struct ObjectAnchor {
    disk: Disk,
    folder: ObjectFolder,
    seen: Option<(Vec<u8>, Version)>,
}

impl ObjectAnchor {
    pub(crate) fn new(folder: ObjectFolder, disk: &Disk) -> Self {
        Self {
            disk: disk.clone(),
            folder,
            seen: None,
        }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        self.folder.url(CHECKPOINT)
    }

    pub(crate) fn read(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        self.disk.request("read", &self.url())?;
        self.seen = self.folder.get(CHECKPOINT)?;
        Ok(self.seen.as_ref().map(|(note, _)| note.clone()))
    }

    pub(crate) fn swap(&mut self, expected: Option<&[u8]>, new: &[u8]) -> Result<(), AnchorError> {
        if self.seen.as_ref().map(|(note, _)| note.as_slice()) != expected {
            self.read()?;
        }
        let version = match (&self.seen, expected) {
            (None, None) => None,
            (Some((note, version)), Some(expected)) if note == expected => Some(version.clone()),
            // An earlier attempt whose answer was lost.
            (Some((note, _)), _) if note == new => return Ok(()),
            _ => return Err(self.changed(expected)),
        };
        self.disk.request("write", &self.url())?;
        let put = self.folder.put_if(CHECKPOINT, new.to_vec(), version)?;
        self.disk.request("write", &self.url())?;
        match put {
            Put::Done(version) => self.seen = Some((new.to_vec(), version)),
            // A request that was repeated, because its answer was lost, finds its own work.
            Put::Refused if self.read()?.as_deref() == Some(new) => {}
            Put::Refused => return Err(self.changed(expected)),
        }
        Ok(())
    }

    fn changed(&self, expected: Option<&[u8]>) -> AnchorError {
        AnchorError::Changed {
            place: self.url(),
            expected: expected.map(<[u8]>::to_vec),
            found: self.seen.as_ref().map(|(note, _)| note.clone()),
        }
    }
}
