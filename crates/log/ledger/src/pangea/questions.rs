//! What clients ask of the trees. No proof is handed out that does not lead to its root.

use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fieldledger_contract::WallTime;
use fieldledger_contract::audit::{Entry, SearchPage};
use fieldledger_contract::ledger::{PangeaEvent, PangeaLogged, PangeaPage, PangeaRoot};
use fieldledger_pangea_tree::{Hash, Path, Tree, consistency, membership, root};

use super::Pangea;
use super::roots::Roots;
use super::trees::Trees;
use crate::error::QueryError;
use crate::proofs::Proofs;

/// How a frozen result names the published root that its pages are proven against, before the id
/// of the search itself.
const ID_PREFIX: &str = "pas_";

/// In the id of a result whose events come with proofs.
const VERBOSE: &str = "v";

/// The published part of the trees as it was at one time. It never changes.
struct Cold {
    roots: Arc<Roots>,
    size: u64,
    root: Hash,
}

/// An entry that is proven in the hot tree, or is to be in the cold one.
enum Place {
    Hot(Path),
    Cold,
}

impl Pangea {
    /// The entries of a search as events. `frozen` is the size that the cold tree had when the
    /// search was made.
    pub(crate) fn page(
        &self,
        found: SearchPage,
        frozen: Option<u64>,
        verbose: bool,
        proofs: &Proofs,
    ) -> Result<PangeaPage, QueryError> {
        let (cold, places, unpublished_root) = self.places(&found.entries, frozen)?;
        let mut events = Vec::with_capacity(found.entries.len());
        for (entry, place) in found.entries.into_iter().zip(places) {
            events.push(self.event(entry, place, verbose, &cold, proofs)?);
        }
        let root = match cold.size {
            size if verbose && size > 0 => Some(self.root_of(&cold.roots, size)?),
            _ => None,
        };
        let id = ResultId {
            verbose,
            published: cold.size,
            search: &found.id,
        };
        Ok(PangeaPage {
            id: id.encode(),
            expires_at: found.expires_at.unwrap_or_default(),
            count: found.count,
            total: found.total,
            events,
            root,
            unpublished_root: unpublished_root.filter(|_| verbose),
        })
    }

    /// The published tree to prove these entries in, and for each of them where it is. A page keeps
    /// to the tree of its search as long as that covers it.
    fn places(
        &self,
        entries: &[Entry],
        frozen: Option<u64>,
    ) -> Result<(Cold, Vec<Place>, Option<PangeaRoot>), QueryError> {
        let mut trees = self.trees()?;
        let mut size = trees.size;
        if let Some(earlier) = frozen.filter(|&earlier| 0 < earlier && earlier < size) {
            let covered = trees.roots.record(earlier - 1)?.end();
            if entries.iter().all(|entry| entry.index < covered) {
                size = earlier;
            }
        }
        let mut places = Vec::with_capacity(entries.len());
        for entry in entries {
            places.push(match entry.index.checked_sub(trees.first) {
                None => Place::Cold,
                Some(leaf) => Place::Hot(hot_path(leaf, &trees)?),
            });
        }
        let unpublished_root = (trees.hot.size() > 0).then(|| PangeaRoot {
            tree_name: self.tree_name.clone(),
            size: trees.hot.size(),
            root_hash: trees.report_root().to_string(),
            published_at: None,
            consistency_proof: Vec::new(),
        });
        let roots = Arc::clone(&trees.roots);
        let root = root(size, &*roots)?;
        Ok((Cold { roots, size, root }, places, unpublished_root))
    }

    fn event(
        &self,
        entry: Entry,
        place: Place,
        verbose: bool,
        cold: &Cold,
        proofs: &Proofs,
    ) -> Result<PangeaEvent, QueryError> {
        let hash = hash_of(&entry)?;
        let (leaf_index, path) = match place {
            Place::Hot(path) => (None, Some(path)),
            Place::Cold => {
                let leaf = cold.roots.leaf_of(entry.index, cold.size)?;
                let path = verbose.then(|| self.cold_path(entry.index, leaf, hash, cold, proofs));
                (Some(leaf), path.transpose()?)
            }
        };
        Ok(PangeaEvent {
            index: entry.index,
            envelope: entry.envelope,
            hash: hash.to_string(),
            removed: entry.removed,
            leaf_index,
            membership_proof: path.filter(|_| verbose).map(|path| path.to_string()),
        })
    }

    /// The path of a published entry to the root of `cold`.
    fn cold_path(
        &self,
        entry: u64,
        leaf: u64,
        hash: Hash,
        cold: &Cold,
        proofs: &Proofs,
    ) -> Result<Path, QueryError> {
        let record = cold.roots.record(leaf)?;
        let hot = self.published_tree(leaf, record.first..record.end(), proofs)?;
        let Ok(within) = membership(entry - record.first, record.count, &*hot);
        let path = within.then(&membership(leaf, cold.size, &*cold.roots)?);
        if path.fold(hash) != cold.root {
            let problem = "the entries on disk are not those that were published";
            tracing::error!(entry, leaf, problem);
            return Err(QueryError::Unavailable(problem.to_owned()));
        }
        Ok(path)
    }

    /// The hot tree over these entries, which root number `leaf` covers.
    fn published_tree(
        &self,
        leaf: u64,
        entries: Range<u64>,
        proofs: &Proofs,
    ) -> Result<Arc<Tree>, QueryError> {
        let recent = || self.recent.lock();
        if let Some(tree) = recent().find(leaf) {
            return Ok(tree);
        }
        let hashes = proofs.envelope_hashes(entries)?;
        let tree: Arc<Tree> = Arc::new(hashes.into_iter().map(Hash).collect());
        recent().keep(leaf, Arc::clone(&tree));
        Ok(tree)
    }

    /// The published root of this size, the newest for none.
    pub(crate) fn root(&self, size: Option<u64>) -> Result<PangeaRoot, QueryError> {
        let (roots, newest) = {
            let trees = self.trees()?;
            (Arc::clone(&trees.roots), trees.size)
        };
        let size = size.unwrap_or(newest);
        if size == 0 || size > newest {
            let problem = format!("no root of size {size} was published; the newest has {newest}");
            return Err(QueryError::NotFound(problem));
        }
        self.root_of(&roots, size)
    }

    fn root_of(&self, roots: &Roots, size: u64) -> Result<PangeaRoot, QueryError> {
        let proof = match size {
            1 => Vec::new(),
            size => consistency(size - 1, size, roots)?,
        };
        Ok(PangeaRoot {
            tree_name: self.tree_name.clone(),
            size,
            root_hash: root(size, roots)?.to_string(),
            published_at: Some(WallTime::from_micros(roots.record(size - 1)?.published_at)),
            consistency_proof: proof.iter().map(ToString::to_string).collect(),
        })
    }

    /// Proofs of entries that were just logged, in their hot tree.
    pub(crate) fn logged(
        &self,
        entries: Vec<Entry>,
        previous_root: Option<Hash>,
        proofs: &Proofs,
    ) -> Result<Vec<PangeaLogged>, QueryError> {
        let mut trees = self.trees()?;
        let mut logged = Vec::with_capacity(entries.len());
        for entry in entries {
            let hash = hash_of(&entry)?;
            let (path, root, earlier) = match entry.index.checked_sub(trees.first) {
                Some(leaf) => {
                    let path = hot_path(leaf, &trees)?;
                    let earlier = previous_root.and_then(|root| trees.size_when_reported(root));
                    let proof = match earlier {
                        Some(earlier) => {
                            let Ok(peaks) = consistency(earlier, trees.hot.size(), &trees.hot);
                            Some(peaks.iter().map(ToString::to_string).collect())
                        }
                        None => None,
                    };
                    (path, trees.report_root(), proof)
                }
                // It was published a moment ago; then its tree is that of the root that covers it.
                None => {
                    let leaf = trees.roots.leaf_of(entry.index, trees.size)?;
                    let record = trees.roots.record(leaf)?;
                    let hot = self.published_tree(leaf, record.first..record.end(), proofs)?;
                    let Ok(path) = membership(entry.index - record.first, record.count, &*hot);
                    (path, record.hot_root, None)
                }
            };
            logged.push(PangeaLogged {
                event: PangeaEvent {
                    index: entry.index,
                    envelope: entry.envelope,
                    hash: hash.to_string(),
                    removed: entry.removed,
                    leaf_index: None,
                    membership_proof: Some(path.to_string()),
                },
                unpublished_root: root.to_string(),
                consistency_proof: earlier,
            });
        }
        Ok(logged)
    }
}

/// The id of a frozen result: what its pages are proven against, and the search itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResultId<'a> {
    /// Whether the events come with proofs.
    pub(crate) verbose: bool,
    /// Size of the cold tree at the time of the search.
    pub(crate) published: u64,
    /// Id of the search.
    pub(crate) search: &'a str,
}

impl<'a> ResultId<'a> {
    pub(crate) fn parse(id: &'a str) -> Result<Self, QueryError> {
        let parsed = id.strip_prefix(ID_PREFIX).and_then(|rest| {
            let (published, search) = rest.split_once('.')?;
            let (verbose, published) = match published.strip_prefix(VERBOSE) {
                Some(published) => (true, published),
                None => (false, published),
            };
            Some(Self {
                verbose,
                published: published.parse().ok()?,
                search,
            })
        });
        parsed.ok_or_else(|| {
            QueryError::parameter("id", "is not the id of a search result; search again")
        })
    }

    fn encode(&self) -> String {
        let verbose = if self.verbose { VERBOSE } else { "" };
        let (published, search) = (self.published, self.search);
        format!("{ID_PREFIX}{verbose}{published}.{search}")
    }
}

fn hot_path(leaf: u64, trees: &Trees) -> Result<Path, QueryError> {
    if leaf >= trees.hot.size() {
        let problem = format!("no entry {} in the trees yet", trees.first + leaf);
        return Err(QueryError::NotFound(problem));
    }
    let Ok(path) = membership(leaf, trees.hot.size(), &trees.hot);
    Ok(path)
}

fn hash_of(entry: &Entry) -> Result<Hash, QueryError> {
    let bytes = BASE64_STANDARD.decode(&entry.envelope_hash).ok();
    let hash = bytes.and_then(|bytes| bytes.try_into().ok());
    hash.map(Hash).ok_or_else(|| {
        QueryError::Unavailable(format!("entry {} has no hash of its envelope", entry.index))
    })
}
