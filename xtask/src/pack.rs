//! Packs a provider's program into the archive that a wasmCloud host takes.

use std::env::consts::{ARCH, OS};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use nkeys::KeyPair;
use provider_archive::ProviderArchive;

/// Packs `program` into `archive` unless that already holds it.
///
/// The host insists on a signature but trusts any, so each archive is signed with keys that are
/// thrown away. Packing takes seconds, hence the note beside the archive of what went into it.
pub(crate) async fn pack(name: &str, program: &Path, archive: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let digest = format!("{} {:016x}\n", bytes.len(), hasher.finish());
    let note = archive.with_extension("gz.content");
    let unchanged = fs::read_to_string(&note).is_ok_and(|former| former == digest);
    if unchanged && archive.is_file() {
        return Ok(());
    }

    println!("packing {}", archive.display());
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let mut contents = ProviderArchive::new(name, "Fieldledger", Some(0), Some(version));
    let target = format!("{ARCH}-{OS}");
    let fail = |error| anyhow!("cannot pack {}: {error}", archive.display());
    contents.add_library(&target, &bytes).map_err(fail)?;
    let (issuer, subject) = (KeyPair::new_account(), KeyPair::new_service());
    // Under another name first: a host may be reading the former one.
    let fresh = archive.with_extension("new.gz");
    contents
        .write(&fresh, &issuer, &subject, true)
        .await
        .map_err(fail)?;
    fs::rename(&fresh, archive).with_context(|| format!("cannot write {}", archive.display()))?;
    fs::write(&note, digest).with_context(|| format!("cannot write {}", note.display()))
}
