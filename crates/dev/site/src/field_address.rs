//! Where devices reach a field's server, in a file beside its configuration: for the commands that tell
//! an operator what a device has to be told.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::access::secret;
use crate::authority::FieldAuthority;
use crate::error::SiteError;
use crate::nats_options::NatsOptions;
use crate::process::file_error;

/// Where devices reach a field's server as it was started last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldAddress {
    /// Over NATS.
    pub nats: String,
    /// Over MQTT.
    pub mqtt: Option<String>,
    /// The certificate of the authority that vouches for it, where it speaks TLS only.
    pub tls_ca: Option<PathBuf>,
}

impl FieldAddress {
    pub(crate) fn of(server: &NatsOptions) -> Self {
        Self {
            nats: server.url(),
            mqtt: server.mqtt_url(),
            tls_ca: server.tls.as_ref().map(FieldAuthority::certificate),
        }
    }

    /// That of the server whose folder is `server`, such as `state/nats`; `None` where none was started
    /// there yet.
    ///
    /// # Errors
    ///
    /// [`SiteError::File`] for a file that cannot be read, or holds something else.
    pub fn read(server: &Path) -> Result<Option<Self>, SiteError> {
        let path = file(server);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(file_error("read", &path, source)),
        };
        let address = serde_json::from_str(&text);
        address
            .map(Some)
            .map_err(|error| file_error("understand", &path, error.into()))
    }

    pub(crate) fn store(&self, server: &Path) -> Result<(), SiteError> {
        let text =
            serde_json::to_string_pretty(self).expect("an address is texts, which JSON can hold");
        secret::write(&file(server), &text)
    }
}

fn file(server: &Path) -> PathBuf {
    server.join("address.json")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn it_is_what_the_last_start_said() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(FieldAddress::read(folder.path()).unwrap(), None);
        let address = FieldAddress {
            nats: "tls://127.0.0.1:4222".to_owned(),
            mqtt: None,
            tls_ca: Some("/state/authority/authority.pem".into()),
        };
        address.store(folder.path()).unwrap();
        let read = FieldAddress::read(folder.path()).unwrap();
        assert_eq!(read, Some(address));
        fs::write(file(folder.path()), "{").unwrap();
        let refused = FieldAddress::read(folder.path()).unwrap_err();
        assert!(refused.to_string().contains("address.json"), "{refused}");
    }
}
