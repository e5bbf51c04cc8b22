//! The brokers that were sent last, in a file, for the next start.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::folder::sync_folder_of;

/// Where they are.
#[derive(Debug)]
pub(crate) struct SentBrokers(PathBuf);

impl SentBrokers {
    /// Beside the file of held readings.
    pub(crate) fn beside(waiting: &Path) -> Self {
        Self(waiting.with_extension("brokers"))
    }

    /// The list as it was kept, or none.
    pub(crate) fn read(&self) -> Option<Vec<u8>> {
        match fs::read(&self.0) {
            Ok(list) => Some(list),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let path = self.0.display();
                tracing::warn!(%path, %error, "cannot read the brokers that were sent");
                None
            }
        }
    }

    /// Keeps a list. A device that cannot obeys it until it is restarted.
    pub(crate) fn keep(&self, list: &[u8]) {
        if let Err(error) = self.replace(list) {
            let path = self.0.display();
            tracing::warn!(%path, %error, "the brokers that were sent do not survive a restart");
        }
    }

    /// The old list or the new one, whenever the power fails.
    fn replace(&self, list: &[u8]) -> io::Result<()> {
        let new = self.0.with_extension("brokers.new");
        let mut file = File::create(&new)?;
        file.write_all(list)?;
        file.sync_all()?;
        fs::rename(&new, &self.0)?;
        sync_folder_of(&self.0)
    }
}
