//! How many files, and so connections, this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are needed otherwise: connections to the gateway and the lattice, logs, libraries.
const OTHERWISE: u64 = 256;

/// Raises the limit on open files to the highest that this process may set. Most systems begin with 1,024,
/// which a thousand half-open connections would use up.
pub fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let highest = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, highest) {
        tracing::warn!(%error, "the limit on open files stays as it is");
    }
}

/// As many of the wanted connections as the limit on open files has room for.
#[must_use]
pub fn connections_possible(wanted: usize) -> usize {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return wanted;
    };
    // A limit below what is needed otherwise is shared with it.
    let room = limit.saturating_sub(OTHERWISE).max(limit / 2);
    wanted
        .min(usize::try_from(room).unwrap_or(usize::MAX))
        .max(1)
}
