//! Entries with their proofs. Every proof is verified against the signed root before it is handed
//! out, so a damaged tile is noticed here and computed again.

use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fieldledger_contract::audit::{Entry, Removal, RemovalKind};
use fieldledger_formats::envelope::Envelope;
use fieldledger_formats::own::{self, OwnKind};
use fieldledger_tlog::{
    Hash, Leaf, ProofError, ReceiptError, consistency, inclusion, root_at, verify_consistency,
    verify_inclusion,
};

use crate::error::{QueryError, StoreError, with_causes};
use crate::head::Head;
use crate::store::reader::{LogEntry, LogReader};
use crate::store::tiles::{TileStore, TreeView};

/// Bytes of envelopes after which a range of entries ends; with the last of them an answer has
/// at most a mebibyte more.
const RANGE_BYTES: usize = 4 * 1024 * 1024;

/// Reads entries and proves them.
#[derive(Debug)]
pub(crate) struct Proofs {
    pub(crate) log: Arc<LogReader>,
    pub(crate) tiles: Arc<TileStore>,
}

impl Proofs {
    /// The entry without its proof.
    pub(crate) fn entry(&self, index: u64) -> Result<Entry, QueryError> {
        Ok(self.entry_and_leaf(index)?.0)
    }

    pub(crate) fn entry_and_leaf(&self, index: u64) -> Result<(Entry, Leaf), QueryError> {
        let stored = self.log.entry(index)?;
        let leaf = stored.leaf();
        let (envelope, removed) = match stored {
            LogEntry::Envelope(bytes, _) => {
                let text = String::from_utf8(bytes);
                let text = text.map_err(|error| self.log.damaged(index, error))?;
                (text, None)
            }
            LogEntry::Erased(_, marker) => (String::new(), Some(self.removal(marker)?)),
        };
        let entry = Entry {
            index,
            envelope,
            envelope_hash: BASE64_STANDARD.encode(leaf.envelope_hash),
            leaf: BASE64_STANDARD.encode(leaf.encode()),
            proof: Vec::new(),
            removed,
        };
        Ok((entry, leaf))
    }

    /// SHA-256 of each envelope of the range.
    pub(crate) fn envelope_hashes(&self, range: Range<u64>) -> Result<Vec<[u8; 32]>, QueryError> {
        let mut hashes = Vec::new();
        self.log.read(range, |_, frame| {
            hashes.push(frame.envelope_hash());
            Ok(())
        })?;
        Ok(hashes)
    }

    /// Why a payload is gone, as the entry `marker`, one of the log's own, tells.
    fn removal(&self, marker: u64) -> Result<Removal, QueryError> {
        let stored = self.log.entry(marker)?;
        let parsed = stored.envelope().map(Envelope::parse);
        let Some(Ok(envelope)) = parsed else {
            let problem = "it does not tell of the payloads that are gone because of it";
            return Err(self.log.damaged(marker, problem).into());
        };
        let producer = envelope.origin().map(|(producer, _)| producer);
        Ok(Removal {
            kind: match producer == Some(OwnKind::Retention.producer()) {
                true => RemovalKind::GivenUp,
                false => RemovalKind::Erased,
            },
            entry: marker,
            reason: own::detail_in(envelope.event().message, "reason").unwrap_or_default(),
        })
    }

    /// The entries of a range, up to so many of them as have [`RANGE_BYTES`] together.
    pub(crate) fn range(
        &self,
        indices: Range<u64>,
        with_proofs: bool,
        head: &Head,
    ) -> Result<Vec<Entry>, QueryError> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        for index in indices {
            let entry = match with_proofs {
                true => self.proven([index], head)?.remove(0),
                false => self.entry(index)?,
            };
            bytes += entry.envelope.len();
            entries.push(entry);
            if bytes >= RANGE_BYTES {
                break;
            }
        }
        Ok(entries)
    }

    /// The entries with their proofs in the tree of `head`.
    pub(crate) fn proven(
        &self,
        indices: impl IntoIterator<Item = u64>,
        head: &Head,
    ) -> Result<Vec<Entry>, QueryError> {
        let view = TreeView::new(&self.tiles, &head.edge);
        let mut entries = Vec::new();
        for index in indices {
            let (mut entry, leaf) = self.entry_and_leaf(index)?;
            entry.proof = encoded(&path_of(&leaf, (head.size(), head.root), &view)?);
            entries.push(entry);
        }
        Ok(entries)
    }

    /// The entry with its proof in an older tree, of this size and root, than that of `head`.
    pub(crate) fn proven_in(
        &self,
        index: u64,
        tree: (u64, Hash),
        head: &Head,
    ) -> Result<Entry, QueryError> {
        let view = TreeView::new(&self.tiles, &head.edge);
        let (mut entry, leaf) = self.entry_and_leaf(index)?;
        entry.proof = encoded(&path_of(&leaf, tree, &view)?);
        Ok(entry)
    }

    /// The COSE receipt of an entry in the tree of `head`.
    pub(crate) fn receipt(&self, index: u64, head: &Head) -> Result<Vec<u8>, QueryError> {
        let Some(keys) = &head.keys else {
            let problem = "no receipts: the log is read-only, so that nothing is signed";
            return Err(QueryError::NotFound(problem.to_owned()));
        };
        let view = TreeView::new(&self.tiles, &head.edge);
        let (_, leaf) = self.entry_and_leaf(index)?;
        let path = path_of(&leaf, (head.size(), head.root), &view)?;
        let made = keys.receipt(index, head.size(), head.root, &path);
        made.map_err(|error| match error {
            ReceiptError::SingleLeaf => QueryError::NotFound(format!(
                "no receipt of entry {index} yet: {error}; /log/proof/{index} proves it"
            )),
            failed => QueryError::Unavailable(with_causes(&failed)),
        })
    }

    /// Proof that the tree of `new` entries begins with that of `old`; both are within `head`.
    pub(crate) fn consistency(
        &self,
        old: u64,
        new: u64,
        head: &Head,
    ) -> Result<Vec<String>, QueryError> {
        let view = TreeView::new(&self.tiles, &head.edge);
        let prove = || {
            let proof = consistency(old, new, &view).map_err(refused)?;
            let old_root = root_at(old, &view).map_err(refused)?;
            let new_root = root_at(new, &view).map_err(refused)?;
            Ok((proof, old_root, new_root))
        };
        // Roots of the past come from tiles as well; the proof to the signed root covers them.
        let holds = |(proof, old_root, new_root): &(Vec<Hash>, Hash, Hash)| {
            let to_head = consistency(new, head.size(), &view);
            verify_consistency(proof, (old, *old_root), (new, *new_root))
                && to_head.is_ok_and(|proof| {
                    verify_consistency(&proof, (new, *new_root), (head.size(), head.root))
                })
        };
        let (proof, _, _) = proof_that_holds(&view, prove, holds)?;
        Ok(encoded(&proof))
    }
}

/// Audit path of a leaf in the tree of `head`.
fn path_of(
    leaf: &Leaf,
    (size, root): (u64, Hash),
    view: &TreeView<'_>,
) -> Result<Vec<Hash>, QueryError> {
    let prove = || inclusion(leaf.index, size, view).map_err(refused);
    let holds = |path: &Vec<Hash>| verify_inclusion(path, size, root, leaf.index, leaf.hash());
    proof_that_holds(view, prove, holds)
}

/// Computes a proof; once more, from tiles that are computed again, if it does not hold.
fn proof_that_holds<T>(
    view: &TreeView<'_>,
    prove: impl Fn() -> Result<T, QueryError>,
    holds: impl Fn(&T) -> bool,
) -> Result<T, QueryError> {
    let proof = prove()?;
    if holds(&proof) {
        return Ok(proof);
    }
    tracing::error!("a proof does not lead to the signed root; its tiles are computed again");
    view.rebuild_read()?;
    let proof = prove()?;
    if holds(&proof) {
        return Ok(proof);
    }
    let problem = "the entries on disk are not those that were signed";
    tracing::error!(problem);
    Err(QueryError::Unavailable(problem.to_owned()))
}

fn refused(error: ProofError<StoreError>) -> QueryError {
    match error {
        ProofError::Source(error) => error.into(),
        ProofError::Range(problem) => QueryError::NotFound(problem),
        short @ ProofError::ShortTile { .. } => QueryError::Unavailable(with_causes(&short)),
    }
}

fn encoded(hashes: &[Hash]) -> Vec<String> {
    let encode = |hash: &Hash| BASE64_STANDARD.encode(hash.0);
    hashes.iter().map(encode).collect()
}
