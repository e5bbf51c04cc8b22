//! Roots and proofs of a tree of any size, from the roots of its complete subtrees.

use std::fmt;

use crate::hash::{EMPTY_ROOT, Hash, pair};
use crate::nodes::Nodes;
use crate::path::{Path, Side, Step};

/// The root of the tree that the first `size` leaves make.
///
/// # Errors
///
/// When a node cannot be read.
pub fn root<N: Nodes>(size: u64, nodes: &N) -> Result<Hash, N::Error> {
    if size == 0 {
        return Ok(EMPTY_ROOT);
    }
    subtree(0, size, nodes)
}

/// The path of leaf `index` in the tree of the first `size` leaves.
///
/// # Errors
///
/// When a node cannot be read.
///
/// # Panics
///
/// Where the tree has no such leaf.
pub fn membership<N: Nodes>(index: u64, size: u64, nodes: &N) -> Result<Path, N::Error> {
    assert!(index < size, "leaf {index} in a tree of {size}");
    path_of((index, index + 1), size, nodes)
}

/// A complete subtree at the left edge of a tree that grew, and its way up in the larger one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peak {
    /// Its root.
    pub node: Hash,
    /// From there to the root of the larger tree.
    pub path: Path,
}

impl fmt::Display for Peak {
    /// `x:<node>,<path>`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "x:{},{}", self.node, self.path)
    }
}

/// Proof that the tree of `old` leaves begins the tree of `new` leaves: the complete subtrees that
/// make up the old one, smallest first.
///
/// # Errors
///
/// When a node cannot be read.
///
/// # Panics
///
/// Where `old` is larger than `new`.
pub fn consistency<N: Nodes>(old: u64, new: u64, nodes: &N) -> Result<Vec<Peak>, N::Error> {
    assert!(old <= new, "a tree of {old} before one of {new}");
    let mut peaks = Vec::new();
    let mut end = old;
    while end > 0 {
        let width = 1_u64 << end.trailing_zeros();
        let start = end - width;
        peaks.push(Peak {
            node: subtree(start, end, nodes)?,
            path: path_of((start, end), new, nodes)?,
        });
        end = start;
    }
    Ok(peaks)
}

/// Whether the peaks make up the old root, and each leads to the new one.
#[must_use]
pub fn verify_consistency(peaks: &[Peak], old_root: Hash, new_root: Hash) -> bool {
    let nodes = peaks.iter().map(|peak| peak.node);
    let folded = nodes.reduce(|right, left| pair(left, right));
    folded == Some(old_root)
        && peaks
            .iter()
            .all(|peak| peak.path.fold(peak.node) == new_root)
}

/// The largest power of two below `width`, which is at least 2.
fn left_width(width: u64) -> u64 {
    1 << (width - 1).ilog2()
}

/// The root over the leaves `start..end`, a subtree of a tree in the shape of RFC 6962.
fn subtree<N: Nodes>(start: u64, end: u64, nodes: &N) -> Result<Hash, N::Error> {
    let width = end - start;
    if width.is_power_of_two() {
        let level = width.trailing_zeros();
        // A width of 64 bits has at most 63 trailing zeros.
        return nodes.node(u8::try_from(level).unwrap_or(u8::MAX), start >> level);
    }
    let middle = start + left_width(width);
    Ok(pair(
        subtree(start, middle, nodes)?,
        subtree(middle, end, nodes)?,
    ))
}

/// The path of the subtree over the leaves `inner` in the tree of the first `size` leaves.
fn path_of<N: Nodes>(inner: (u64, u64), size: u64, nodes: &N) -> Result<Path, N::Error> {
    let mut steps = Vec::new();
    let (mut start, mut end) = (0, size);
    while (start, end) != inner {
        let middle = start + left_width(end - start);
        if inner.0 < middle {
            steps.push(Step {
                side: Side::Right,
                hash: subtree(middle, end, nodes)?,
            });
            end = middle;
        } else {
            steps.push(Step {
                side: Side::Left,
                hash: subtree(start, middle, nodes)?,
            });
            start = middle;
        }
    }
    steps.reverse();
    Ok(Path(steps))
}
