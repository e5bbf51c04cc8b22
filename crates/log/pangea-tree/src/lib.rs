//! The hash tree of Pangea's Secure Audit Log. No input or output.
//!
//! A node is `SHA-256(left || right)` without prefixes, in the shape of RFC 6962; a leaf is a hash
//! that is used as it is. Pangea has two levels of such trees: in a *hot* one the leaves are the
//! hashes of events that are not published yet; the root of a published one is a leaf of the *cold*
//! tree. The proof of a published event is its path in the hot tree followed by the path of that
//! tree's root in the cold one.
//!
//! Complete subtrees never change, so whoever keeps their roots ([`Nodes`]) can prove things in any
//! tree there ever was: [`root`], [`membership`] and [`consistency`] take its size.
//!
//! | module | holds |
//! |---|---|
//! | `hash` | a hash, and how two of them make a node |
//! | `nodes` | the roots of complete subtrees, which are all that a tree needs to keep |
//! | `path` | the path from a node up to a root, in Pangea's notation |
//! | `proof` | roots and proofs of a tree of any size |
//!
//! **Invariants.** A membership proof folds to the root of its size; a root that was computed once is computed
//! again from the kept subtrees, for every size there ever was.
//!
//! ```
//! use fieldledger_pangea_tree::{Hash, Tree, membership};
//!
//! let mut tree = Tree::default();
//! for letter in [b'a', b'b', b'c'] {
//!     tree.push(Hash([letter; 32]));
//! }
//! let Ok(path) = membership(2, tree.size(), &tree);
//! assert_eq!(path.fold(Hash([b'c'; 32])), tree.root());
//! assert!(path.to_string().starts_with("l:"), "its only neighbour is on the left");
//! ```
#![forbid(unsafe_code)]

mod hash;
mod nodes;
mod path;
mod proof;

pub use hash::{EMPTY_ROOT, Hash, HashError, pair};
pub use nodes::{Completed, Nodes, Tree, completed_by};
pub use path::{Path, Side, Step};
pub use proof::{Peak, consistency, membership, root, verify_consistency};
