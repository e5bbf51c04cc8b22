//! Whom the provider trusts to vouch for a NATS server.

use std::io;
use std::path::PathBuf;

use async_nats::rustls::pki_types::CertificateDer;
use async_nats::rustls::pki_types::pem::{self, PemObject as _};
use async_nats::rustls::{self, ClientConfig, RootCertStore};
use fieldledger_polling::config::Authorities;
use thiserror::Error;

/// Why nobody can be trusted.
#[derive(Debug, Error)]
pub(crate) enum AuthoritiesError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// As configured.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is no PEM.
    #[error("it is damaged; a PEM file begins with -----BEGIN CERTIFICATE-----")]
    Damaged(#[source] pem::Error),
    /// There is none in it.
    #[error("it holds no certificate; a PEM file begins with -----BEGIN CERTIFICATE-----")]
    Empty,
    /// One of them is none.
    #[error("it holds a certificate that cannot be used")]
    Unusable(#[source] rustls::Error),
}

/// A client that trusts these authorities and no others.
pub(crate) fn trusting(authorities: &Authorities) -> Result<ClientConfig, AuthoritiesError> {
    let text = match authorities {
        Authorities::Text(text) => text.as_bytes().to_vec(),
        Authorities::File(path) => {
            std::fs::read(path).map_err(|source| AuthoritiesError::Read {
                path: path.clone(),
                source,
            })?
        }
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(AuthoritiesError::Damaged)?;
        roots.add(certificate).map_err(AuthoritiesError::Unusable)?;
    }
    if roots.is_empty() {
        return Err(AuthoritiesError::Empty);
    }
    Ok(ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_holds_no_certificate_is_refused() {
        for (text, problem) in [
            ("a\nb", "no certificate"),
            (
                "-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n",
                "cannot be used",
            ),
            (
                "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
                "damaged",
            ),
        ] {
            let refused = trusting(&Authorities::Text(text.to_owned())).unwrap_err();
            assert!(refused.to_string().contains(problem), "{refused}");
        }
        let nowhere = trusting(&Authorities::File("/nowhere/ca.pem".into())).unwrap_err();
        assert!(nowhere.to_string().contains("/nowhere/ca.pem"), "{nowhere}");
    }
}
