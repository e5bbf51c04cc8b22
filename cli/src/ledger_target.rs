//! What a command changes: the ledger of a server, or a ledger's folder that no server holds.

use std::path::PathBuf;

use clap::Args;
use fieldledger_contract::Error;
use fieldledger_ledger::{AnchorPlace, Config, DEFAULT_ORIGIN, Ledger, ObjectFolder};

use crate::client::Client;
use crate::context::Context;
use crate::exit::InputError;

/// Options that say which ledger.
#[derive(Debug, Args)]
pub(crate) struct LedgerTarget {
    /// Change the ledger in this folder, which no server may hold, instead of asking a server.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,

    /// With --folder: the log's name in its checkpoints.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_ORIGIN)]
    origin: String,

    /// With --folder: where the log's newest signed tree head is kept, if not beside it.
    #[arg(long, value_name = "PLACE", requires = "folder")]
    anchor: Option<AnchorPlace>,

    /// With --folder: where the log's full segments are archived, if anywhere.
    #[arg(long, value_name = "URL", requires = "folder")]
    archive: Option<ObjectFolder>,

    /// With --folder: who does this, for the log; a server takes it from the token.
    #[arg(
        long,
        value_name = "NAME",
        requires = "folder",
        default_value = "command line"
    )]
    actor: String,
}

/// The ledger that is meant.
pub(crate) enum Target {
    /// That of a server.
    Server(Client),
    /// One that is open here, and who changes it.
    Folder(Ledger, String),
}

impl LedgerTarget {
    /// A way to the ledger.
    ///
    /// # Errors
    ///
    /// Where there is none.
    pub(crate) fn open(&self, context: &Context) -> anyhow::Result<Target> {
        let Some(folder) = &self.folder else {
            return Ok(Target::Server(context.client()?));
        };
        if !folder.join("segments").is_dir() {
            let problem = format!("--folder {} holds no ledger", folder.display());
            return Err(InputError(problem).into());
        }
        let mut config = Config::new(folder);
        config.origin.clone_from(&self.origin);
        config.anchor = self.anchor.clone().unwrap_or_default();
        config.archive.clone_from(&self.archive);
        // So that nothing is left in the index of what is erased.
        config.index = folder.join("index").is_dir();
        Ok(Target::Folder(Ledger::open(config)?, self.actor.clone()))
    }
}

/// The outcome of a change, with the exit code for why there is none.
pub(crate) fn changed<T>(outcome: Result<T, Error>) -> anyhow::Result<T> {
    outcome.map_err(|error| match error {
        Error::Unavailable(_) => error.into(),
        wrong => InputError(wrong.to_string()).into(),
    })
}
