//! What is remembered of a log between two checks.

use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fieldledger_verifier::Hash;
use fieldledger_verifier::note::{self, LogKey, TreeHead};
use fieldledger_verifier::tiles::Edge;
use serde::{Deserialize, Serialize};

use crate::exit::InputError;
use crate::files;

/// A log as it was when it was checked.
#[derive(Debug)]
pub(super) struct State {
    /// The signed tree head.
    pub(super) note: String,
    /// What it says.
    pub(super) head: TreeHead,
    /// The tree, so that the next check can go on from it.
    pub(super) edge: Edge,
    /// When its last entry was received, microseconds since the Unix epoch.
    pub(super) received_at: u64,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct StateFile {
    /// The last tree head that was checked.
    checkpoint: String,
    /// The last tile of each level of its tree, base64.
    edge: Vec<String>,
    received_at: u64,
}

impl State {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    ///
    /// [`InputError`] where it is damaged, or of a log that none of `keys` signs.
    pub(super) fn read(path: &Path, keys: &[LogKey]) -> anyhow::Result<Option<Self>> {
        let Some(text) = files::read_if_there(path)? else {
            return Ok(None);
        };
        parse(&text, keys)
            .map(Some)
            .map_err(InputError)
            .with_context(|| format!("cannot go on from {}", path.display()))
    }

    /// Writes the file.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let levels = self.edge.levels().iter();
        let file = StateFile {
            checkpoint: self.note.clone(),
            edge: levels
                .map(|hashes| BASE64_STANDARD.encode(hashes.concat()))
                .collect(),
            received_at: self.received_at,
        };
        files::replace(path, serde_json::to_string_pretty(&file)?.as_bytes())
    }
}

fn parse(text: &str, keys: &[LogKey]) -> Result<State, String> {
    let file: StateFile = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let (head, _) =
        note::open_with_any(&file.checkpoint, keys).map_err(|error| error.to_string())?;
    let levels: Option<Vec<Vec<Hash>>> = file.edge.iter().map(|level| hashes(level)).collect();
    let edge = levels.ok_or("its edge is not base64 of hashes")?;
    let edge = Edge::from_levels(edge)?;
    if edge.size() != head.size || edge.root() != head.root {
        return Err("its edge is not that of the tree in its checkpoint".to_owned());
    }
    Ok(State {
        note: file.checkpoint,
        head,
        edge,
        received_at: file.received_at,
    })
}

fn hashes(text: &str) -> Option<Vec<Hash>> {
    let bytes = BASE64_STANDARD.decode(text).ok()?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| hashes.to_vec())
}
