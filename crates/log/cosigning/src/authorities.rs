//! Certificate authorities of a site's own, for witnesses that no public one vouches for.

use reqwest::Certificate;

/// Authorities that are believed beside the public ones.
#[derive(Debug, Clone, Default)]
pub struct Authorities(Vec<Certificate>);

/// Why a text gives no authorities.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// There is none in it.
    #[error("it holds no certificate; a PEM file begins with -----BEGIN CERTIFICATE-----")]
    Empty,
    /// One of them is none.
    #[error("it holds a certificate that cannot be used")]
    Unusable(#[source] reqwest::Error),
}

impl Authorities {
    /// Reads certificates in PEM (RFC 7468), one after the other.
    ///
    /// # Errors
    ///
    /// Where there is none, or one cannot be used.
    pub fn parse(pem: &[u8]) -> Result<Self, AuthoritiesError> {
        let certificates = Certificate::from_pem_bundle(pem);
        let certificates = certificates.map_err(AuthoritiesError::Unusable)?;
        if certificates.is_empty() {
            return Err(AuthoritiesError::Empty);
        }
        let authorities = Self(certificates);
        // What is in the certificates is only read when they are put to use.
        let tried = authorities.trusted_by(reqwest::Client::builder()).build();
        match tried {
            Ok(_) => Ok(authorities),
            Err(error) => Err(AuthoritiesError::Unusable(error)),
        }
    }

    /// A client that believes them.
    pub(crate) fn trusted_by(&self, client: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        let certificates = self.0.iter().cloned();
        certificates.fold(client, reqwest::ClientBuilder::add_root_certificate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_no_certificate_is_refused() {
        for (pem, problem) in [
            ("", "no certificate"),
            ("quorum none\n", "no certificate"),
            (
                "-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n",
                "cannot be used",
            ),
            (
                "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
                "cannot be used",
            ),
        ] {
            let refused = Authorities::parse(pem.as_bytes());
            assert!(
                refused
                    .as_ref()
                    .is_err_and(|error| error.to_string().contains(problem)),
                "{pem:?}: {refused:?}"
            );
        }
    }
}
