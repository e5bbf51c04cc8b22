//! What every command is given.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use crate::client::Client;
use crate::exit::InputError;
use crate::globals::Globals;
use crate::output::Output;

/// Where a command writes to, and how it reaches the server.
#[derive(Debug)]
pub(crate) struct Context {
    /// For results, notes and progress.
    pub(crate) output: Output,
    url: String,
    token_file: Option<PathBuf>,
    token: Option<String>,
    timeout: Duration,
}

impl Context {
    pub(crate) fn new(globals: &Globals) -> Self {
        Self {
            output: Output::new(globals.json, globals.quiet, globals.color.into()),
            url: globals.url.clone(),
            token_file: globals.token_file.clone(),
            token: globals.token.clone(),
            timeout: Duration::from_secs(globals.timeout),
        }
    }

    /// A client for the server at `--url`.
    ///
    /// # Errors
    ///
    /// Where the URL or the token cannot be used.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        self.client_of(&self.url)
    }

    /// A client for the server at this URL; what is behind `/log`, where tools for tile logs look, is
    /// the same server's.
    ///
    /// # Errors
    ///
    /// As [`Context::client`].
    pub(crate) fn client_of(&self, url: &str) -> anyhow::Result<Client> {
        let url = url.trim_end_matches('/');
        let url = url.strip_suffix("/log").unwrap_or(url);
        let token = match (&self.token_file, &self.token) {
            (Some(path), _) => {
                let text = fs::read_to_string(path)
                    .map_err(|error| InputError(error.to_string()))
                    .with_context(|| format!("cannot read the token file {}", path.display()))?;
                Some(text.lines().next().unwrap_or_default().trim().to_owned())
            }
            (None, Some(token)) => Some(token.trim().to_owned()),
            (None, None) => None,
        };
        Client::new(url, token.as_deref(), self.timeout)
    }
}
