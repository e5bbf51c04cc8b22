//! Who a client is, before the server has said what to sign.

use core::fmt;

use heapless::String;

use crate::Credentials;
#[cfg(feature = "nkey")]
use crate::NkeyPair;

/// Characters of a signature in base64.
const SIGNATURE_LENGTH: usize = 86;

/// Who a client is. [`fmt::Debug`] shows no secrets.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Identity<'a> {
    /// Credentials that do not depend on the server's nonce.
    Fixed(Credentials<'a>),
    /// An nkey that the server's configuration lists.
    #[cfg(feature = "nkey")]
    Nkey(&'a NkeyPair),
    /// A JWT, and the key that it was issued for.
    #[cfg(feature = "nkey")]
    Jwt {
        /// The JWT.
        jwt: &'a str,
        /// The key.
        key: &'a NkeyPair,
    },
}

impl Identity<'_> {
    /// The credentials for a nonce; none if one is needed and missing.
    #[cfg_attr(
        not(feature = "nkey"),
        allow(unused_variables, clippy::unnecessary_wraps)
    )]
    pub(crate) fn credentials<'c>(
        &'c self,
        nonce: Option<&str>,
        signature: &'c mut String<SIGNATURE_LENGTH>,
    ) -> Option<Credentials<'c>> {
        match self {
            Self::Fixed(credentials) => Some(*credentials),
            #[cfg(feature = "nkey")]
            Self::Nkey(key) => {
                *signature = key.sign(nonce?);
                let nkey = Some(key.public_key());
                Some(Credentials::Signature {
                    nkey,
                    jwt: None,
                    signature,
                })
            }
            #[cfg(feature = "nkey")]
            Self::Jwt { jwt, key } => {
                *signature = key.sign(nonce?);
                Some(Credentials::Signature {
                    nkey: None,
                    jwt: Some(jwt),
                    signature,
                })
            }
        }
    }
}

impl fmt::Debug for Identity<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(credentials) => credentials.fmt(formatter),
            #[cfg(feature = "nkey")]
            Self::Nkey(key) => key.fmt(formatter),
            #[cfg(feature = "nkey")]
            Self::Jwt { key, .. } => write!(formatter, "Jwt(…, {key:?})"),
        }
    }
}
