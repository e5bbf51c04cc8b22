//! Streams of a server that had no accounts.

use std::fs;
use std::path::Path;

use crate::error::SiteError;
use crate::process::file_error;

/// nats-server's name of the account of those who name none.
const NO_ACCOUNT: &str = "$G";

/// The field's account.
const FIELD: &str = "FIELD";

/// What belongs to the field: batches on their way to the log and known sensors, and what MQTT keeps.
/// The rest is the lattice's, which is built anew at every start.
const FIELDS_OWN: [&str; 3] = ["FIELDLEDGER_", "KV_FIELDLEDGER_", "$MQTT_"];

/// Moves the field's streams into its account, where `streams` is of a server that had none: batches in
/// them are acknowledged, and must not be left behind. To be called while no server runs there.
pub(crate) fn adopt_streams(streams: &Path) -> Result<(), SiteError> {
    // nats-server puts a folder of this name into the one that it is told.
    let accounts = streams.join("jetstream");
    let from = accounts.join(NO_ACCOUNT).join("streams");
    let to = accounts.join(FIELD).join("streams");
    if !from.is_dir() {
        return Ok(());
    }
    let failed = |source| file_error("list", &from, source);
    for entry in fs::read_dir(&from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let is_fields = |prefix: &str| name.to_string_lossy().starts_with(prefix);
        let target = to.join(&name);
        if !FIELDS_OWN.iter().any(|prefix| is_fields(prefix)) || target.exists() {
            continue;
        }
        fs::create_dir_all(&to).map_err(|source| file_error("create", &to, source))?;
        fs::rename(entry.path(), &target)
            .map_err(|source| file_error("move to the field's account", &target, source))?;
    }
    Ok(())
}
