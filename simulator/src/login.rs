//! Who the sensors are to their broker.

use std::path::{Path, PathBuf};

/// User and password: `user:password`, the whole content of a file that is not for everybody.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Before the first colon.
    pub user: String,
    /// Behind it.
    pub password: String,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The file cannot be read.
    #[error("reading user and password from {path}", path = path.display())]
    Read {
        /// Where they should be.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("{path} holds no user and password with a colon between them", path = path.display())]
    Content {
        /// Where they should be.
        path: PathBuf,
    },
}

impl Login {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, or has no colon.
    pub fn read(path: &Path) -> Result<Self, LoginError> {
        let text = std::fs::read_to_string(path).map_err(|source| LoginError::Read {
            path: path.to_owned(),
            source,
        })?;
        let parts = text.trim_end().split_once(':');
        let (user, password) = parts.ok_or_else(|| LoginError::Content {
            path: path.to_owned(),
        })?;
        Ok(Self {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_hold_colons() {
        let path = std::env::temp_dir().join(format!("login-{}", std::process::id()));
        std::fs::write(&path, "press:a:b\n").unwrap();
        let login = Login::read(&path).unwrap();
        std::fs::write(&path, "press").unwrap();
        let refused = Login::read(&path);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(
            (login.user.as_str(), login.password.as_str()),
            ("press", "a:b")
        );
        assert!(matches!(refused, Err(LoginError::Content { .. })));
    }
}
