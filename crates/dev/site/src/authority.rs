//! The authority that vouches for the field's servers, where those speak TLS.
//!
//! A site has one of its own, because no public authority vouches for `localhost` or for an address of a
//! plant's network, and devices need trust nobody else. It is made once and does not end: whoever has its
//! certificate would have to be visited to be given another. A server's certificate is made at each of its
//! starts, for the names and addresses that the machine has then, so nobody has to renew it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::ConnectOptions;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};

use crate::access::secret;
use crate::error::SiteError;
use crate::process::file_error;

/// A server that runs for longer without a restart has missed five years of fixes.
const SERVER_LASTS: Duration = Duration::from_secs(5 * 365 * 24 * 60 * 60);

/// Certificate and key of the server in this folder.
pub(crate) fn server_files(server: &Path) -> (PathBuf, PathBuf) {
    (server.join("server.pem"), server.join("server.key"))
}

/// A site's authority, in a folder of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldAuthority {
    folder: PathBuf,
}

impl FieldAuthority {
    /// The authority in `folder`, such as `state/authority`.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Its certificate, in PEM: what everybody who connects has to trust.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// Who has it can pass for a server.
    fn key(&self) -> PathBuf {
        self.folder.join("authority.key")
    }

    /// Makes it where there is none yet.
    ///
    /// # Errors
    ///
    /// [`SiteError::File`], or [`SiteError::Authority`] for one that cannot be used.
    pub fn prepare(&self) -> Result<(), SiteError> {
        self.issuer().map(drop)
    }

    /// A client that speaks TLS only, and with servers that this authority vouches for only.
    #[must_use]
    pub fn required_by(&self, client: ConnectOptions) -> ConnectOptions {
        client
            .require_tls(true)
            .add_root_certificates(self.certificate())
    }

    /// The text of its certificate.
    pub(crate) fn pem(&self) -> Result<String, SiteError> {
        read(&self.certificate())
    }

    /// Writes a new certificate, and its key, for the server in the folder `server` that is reached under
    /// these names and addresses.
    pub(crate) fn vouch_for(&self, server: &Path, names: Vec<String>) -> Result<(), SiteError> {
        let (issuer, issuer_key) = self.issuer()?;
        let signed = || -> Result<_, rcgen::Error> {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::new(names)?;
            params.distinguished_name = called("Fieldledger field server");
            // A device whose clock has not been set yet must get in as well.
            params.not_before = date_time_ymd(1970, 1, 1);
            params.not_after = date_time_ymd(1970, 1, 1) + since_1970() + SERVER_LASTS;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.use_authority_key_identifier_extension = true;
            Ok((params.signed_by(&key, &issuer, &issuer_key)?, key))
        };
        let (certificate, key) = signed().map_err(|error| self.unusable(&error))?;
        let (certificate_file, key_file) = server_files(server);
        secret::write(&key_file, &key.serialize_pem())?;
        secret::write(&certificate_file, &certificate.pem())
    }

    /// The key is the authority. The certificate is written from it each time, and always means the same:
    /// who trusts an earlier one trusts this one.
    fn issuer(&self) -> Result<(Certificate, KeyPair), SiteError> {
        let (path, certificate_file) = (self.key(), self.certificate());
        let unusable = |error| self.unusable(&error);
        let key = match (path.exists(), certificate_file.exists()) {
            (true, _) => KeyPair::from_pem(&read(&path)?).map_err(unusable)?,
            (false, false) => {
                // The certificate is for everybody; the key has a mode of its own.
                fs::create_dir_all(&self.folder)
                    .map_err(|source| file_error("create", &self.folder, source))?;
                let key = KeyPair::generate().map_err(unusable)?;
                secret::write(&path, &key.serialize_pem())?;
                key
            }
            // Devices trust this one. A new one in its place would lock them all out without a word.
            (false, true) => {
                return Err(self.unusable(
                    &"its key is gone; put authority.key back, or delete authority.pem for a new \
                      authority, of which every device must then be told",
                ));
            }
        };
        let certificate = params(&key).self_signed(&key).map_err(unusable)?;
        secret::write_for_all(&certificate_file, &certificate.pem())?;
        Ok((certificate, key))
    }

    fn unusable(&self, problem: &dyn std::fmt::Display) -> SiteError {
        SiteError::Authority {
            path: self.folder.clone(),
            problem: problem.to_string(),
        }
    }
}

fn params(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    // A name of its own: a device may trust the authorities of several sites. The first byte says only
    // how the others are to be read.
    let bytes = key.public_key_raw().iter().skip(1).take(4);
    let name: String = bytes.map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name = called(&format!("Fieldledger field authority {name}"));
    params.not_before = date_time_ymd(1970, 1, 1);
    // What RFC 5280 has for "never", but for the time of day.
    params.not_after = date_time_ymd(9999, 12, 31);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    called
}

fn since_1970() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

fn read(path: &Path) -> Result<String, SiteError> {
    fs::read_to_string(path).map_err(|source| file_error("read", path, source))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt as _;

    use async_nats::rustls::RootCertStore;
    use async_nats::rustls::client::WebPkiServerVerifier;
    use async_nats::rustls::client::danger::ServerCertVerifier as _;
    use async_nats::rustls::pki_types::pem::PemObject as _;
    use async_nats::rustls::pki_types::{CertificateDer, ServerName, UnixTime};

    use super::*;

    /// What a client that believes the authority says of the server under a name, so long after 1970.
    fn verdict(authority: &Path, server: &Path, name: &str, at: Duration) -> Result<(), String> {
        let certificate = |path: &Path| CertificateDer::from_pem_file(path).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate(authority)).unwrap();
        let verifier = WebPkiServerVerifier::builder(roots.into()).build().unwrap();
        let verified = verifier.verify_server_cert(
            &certificate(&server_files(server).0),
            &[],
            &ServerName::try_from(name.to_owned()).unwrap(),
            &[],
            UnixTime::since_unix_epoch(at),
        );
        verified.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn it_vouches_for_its_servers_under_their_names_and_for_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let [ours, others] = ["ours", "others"].map(|name| folder.path().join(name));
        let [server, impostor] = ["server", "impostor"].map(|name| folder.path().join(name));
        let names = || vec!["press-hall".to_owned(), "10.0.0.7".to_owned()];
        for (authority, server) in [(&ours, &server), (&others, &impostor)] {
            fs::create_dir(server).unwrap();
            FieldAuthority::of(authority)
                .vouch_for(server, names())
                .unwrap();
        }
        let known = FieldAuthority::of(&ours).certificate();
        // A clock that was never set, and one that is right.
        for at in [Duration::from_secs(60), since_1970()] {
            for name in names() {
                assert_eq!(verdict(&known, &server, &name, at), Ok(()));
                assert!(verdict(&known, &impostor, &name, at).is_err());
            }
            for name in ["boiler-hall", "10.0.0.8"] {
                assert!(verdict(&known, &server, name, at).is_err());
            }
        }
        let late = since_1970() + SERVER_LASTS + Duration::from_secs(60);
        let expired = verdict(&known, &server, "10.0.0.7", late).unwrap_err();
        assert!(expired.contains("expired"), "{expired}");
    }

    #[test]
    fn who_believes_it_believes_every_later_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let authority = FieldAuthority::of(&folder.path().join("authority"));
        authority.prepare().unwrap();
        let copy = folder.path().join("copy.pem");
        fs::copy(authority.certificate(), &copy).unwrap();
        for _start in 0..2 {
            let names = vec!["localhost".to_owned()];
            authority.vouch_for(folder.path(), names).unwrap();
            let verdict = verdict(&copy, folder.path(), "localhost", since_1970());
            assert_eq!(verdict, Ok(()));
        }
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(authority.key()), 0o600);
        assert_eq!(mode(server_files(folder.path()).1), 0o600);
        assert_eq!(mode(authority.certificate()) & 0o444, 0o444);
    }

    #[test]
    fn one_without_its_key_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let authority = FieldAuthority::of(folder.path());
        authority.prepare().unwrap();
        let certificate = authority.pem().unwrap();
        fs::remove_file(authority.key()).unwrap();
        let refused = authority.prepare().unwrap_err().to_string();
        assert!(refused.contains("its key is gone"), "{refused}");
        assert_eq!(authority.pem().unwrap(), certificate);
        fs::write(authority.key(), "no key").unwrap();
        let refused = authority.prepare().unwrap_err().to_string();
        let path = folder.path().display().to_string();
        assert!(refused.contains(&path), "{refused}");
    }
}
