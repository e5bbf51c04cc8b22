//! Who the device is to its brokers, and whom it believes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use nkeys::{KeyPair, KeyPairType};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::settings::{LoginSettings, Settings};

/// What a connection shows, and expects to be shown. It has secrets in it, and no `Debug`.
#[derive(Clone)]
pub(crate) struct Login {
    /// A broker closes the connection of whoever has the same, so it is nobody else's to know.
    pub(crate) client_id: String,
    /// User and password.
    pub(crate) password: Option<(String, String)>,
    /// The seed of the nkey.
    pub(crate) nkey: Option<String>,
    /// Whom a broker that speaks TLS must be vouched for by.
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

impl Login {
    /// Reads the files that the settings name.
    pub(crate) fn of(settings: &Settings) -> anyhow::Result<Self> {
        let LoginSettings {
            user,
            password_file,
            nkey,
        } = &settings.login;
        let password = match (user, password_file) {
            (Some(user), Some(path)) => Some((user.clone(), password(path)?)),
            _ => None,
        };
        let nkey = match nkey {
            true => {
                let seed = fieldledger_key_file::read_or_create(&settings.key)?;
                Some(KeyPair::new_from_raw(KeyPairType::User, seed)?.seed()?)
            }
            false => None,
        };
        let tls = settings.tls_ca.as_deref().map(authorities).transpose()?;
        Ok(Self {
            client_id: format!("fieldledger-device-{:032x}", rand::random::<u128>()),
            password,
            nkey,
            tls,
        })
    }
}

fn password(path: &Path) -> anyhow::Result<String> {
    let context = || format!("cannot read the password in {}", path.display());
    let mode = fs::metadata(path)
        .with_context(context)?
        .permissions()
        .mode()
        & 0o777;
    if mode & 0o077 != 0 {
        let path = path.display();
        bail!("password file {path} has mode {mode:o}; others may read it, expected 600");
    }
    let text = fs::read_to_string(path).with_context(context)?;
    let password = text.trim_end();
    ensure!(
        !password.is_empty(),
        "password file {} is empty",
        path.display()
    );
    Ok(password.to_owned())
}

fn authorities(path: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    let context = || format!("cannot read the authorities in {}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).with_context(context)? {
        let certificate = certificate.with_context(context)?;
        roots.add(certificate).with_context(context)?;
    }
    ensure!(
        !roots.is_empty(),
        "{} holds no certificate in PEM",
        path.display()
    );
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_password_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "secret\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = password(&path).unwrap_err().to_string();
        assert!(refused.contains("mode 644"), "{refused}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(password(&path).unwrap(), "secret");
        fs::write(&path, "\n").unwrap();
        assert!(password(&path).is_err());
    }

    #[test]
    fn a_file_without_authorities_vouches_for_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert!(authorities(&path).is_err());
        fs::write(&path, "nothing").unwrap();
        let refused = authorities(&path).err().unwrap().to_string();
        assert!(refused.contains("no certificate"), "{refused}");
    }
}
