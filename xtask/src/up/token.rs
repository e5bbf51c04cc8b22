//! The token with which the operator of a site may do everything: made once, kept in a file that
//! only they can read.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use fieldledger_api::{Scope, Tokens};
use rand::Rng as _;

/// Name of the file in the site's folder.
const FILE: &str = "operator.token";

/// Whose token it is.
const HOLDER: &str = "operator";

/// The shape that Pangea's tokens have.
const PREFIX: &str = "pts_";
const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const LENGTH: usize = 32;

/// Where the token of the site in `folder` lies.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// The gateway's setting that lets the operator's token do everything. Makes the token where the
/// site has none yet.
pub(super) fn setting(folder: &Path) -> anyhow::Result<String> {
    let path = path(folder);
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    match made {
        Ok(mut file) => writeln!(file, "{}", new_token())
            .and_then(|()| file.sync_all())
            .with_context(|| format!("cannot write {}", path.display()))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => {
            return Err(error).with_context(|| format!("cannot create {}", path.display()));
        }
    }
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let token = text.trim();
    ensure!(
        !token.is_empty(),
        "{} is empty; delete it, and a new token is made",
        path.display()
    );
    Ok(Tokens::setting(HOLDER, &Scope::ALL, token))
}

fn new_token() -> String {
    let mut random = rand::rng();
    let letters = (0..LENGTH).map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())]));
    PREFIX.chars().chain(letters).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_site_keeps_its_token() {
        let folder = tempfile::tempdir().unwrap();
        let first = setting(folder.path()).unwrap();
        assert_eq!(setting(folder.path()).unwrap(), first);
        let file = path(folder.path());
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let token = std::fs::read_to_string(file).unwrap();
        let tokens = Tokens::parse(&first).unwrap();
        for scope in Scope::ALL {
            assert_eq!(tokens.holder(token.trim(), scope).unwrap(), HOLDER);
        }
    }
}
