//! NATS credentials: a user's JWT and the key that answers the server's challenge.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use nkeys::KeyPair;

/// A user's JWT and key.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) jwt: String,
    pub(crate) key: Arc<KeyPair>,
}

impl Credentials {
    /// From a credentials file, or a JWT and seed; `None` if neither is given.
    pub(crate) fn from_options(
        file: Option<&Path>,
        jwt: Option<&str>,
        seed: Option<&str>,
    ) -> anyhow::Result<Option<Self>> {
        match (file, jwt, seed) {
            (Some(file), _, _) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read credentials {}", file.display()))?;
                let credentials = Self::parse(&text)
                    .with_context(|| format!("{} is no credentials file", file.display()))?;
                Ok(Some(credentials))
            }
            (None, Some(jwt), Some(seed)) => Self::new(jwt, seed).map(Some),
            _ => Ok(None),
        }
    }

    fn new(jwt: &str, seed: &str) -> anyhow::Result<Self> {
        let key = KeyPair::from_seed(seed).context("the seed of the NATS user is not valid")?;
        Ok(Self {
            jwt: jwt.to_owned(),
            key: Arc::new(key),
        })
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let jwt = block(text, "NATS USER JWT").context("no block `NATS USER JWT`")?;
        let seed = block(text, "USER NKEY SEED").context("no block `USER NKEY SEED`")?;
        Self::new(jwt, seed)
    }
}

/// The line after `-----BEGIN <name>-----`.
fn block<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let begin = format!("-----BEGIN {name}-----");
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| *line == begin)?;
    lines.find(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_credentials_file_yields_jwt_and_key() {
        let key = KeyPair::new_user();
        let text = format!(
            "-----BEGIN NATS USER JWT-----\neyJ0.a.b\n------END NATS USER JWT------\n\n\
             ************************* IMPORTANT *************************\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            key.seed().unwrap()
        );
        let credentials = Credentials::parse(&text).unwrap();
        assert_eq!(credentials.jwt, "eyJ0.a.b");
        assert_eq!(credentials.key.public_key(), key.public_key());
    }

    #[test]
    fn a_file_without_seed_is_refused() {
        assert!(Credentials::parse("-----BEGIN NATS USER JWT-----\nx\n").is_err());
    }
}
