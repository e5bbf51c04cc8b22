//! The way from a node up to a root, as Pangea writes it: `l:<hash>,r:<hash>`.

use std::fmt;

use crate::hash::{Hash, pair};

/// On which side the other node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It comes first.
    Left,
    /// It comes second.
    Right,
}

/// One step up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Where the other node stands.
    pub side: Side,
    /// The other node.
    pub hash: Hash,
}

/// Steps from a node to the root above it, in that order; none where the node is the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// The root that this path leads to from `node`.
    #[must_use]
    pub fn fold(&self, node: Hash) -> Hash {
        self.0.iter().fold(node, |hash, step| match step.side {
            Side::Left => pair(step.hash, hash),
            Side::Right => pair(hash, step.hash),
        })
    }

    /// This path, and from its root on the other one.
    #[must_use]
    pub fn then(mut self, further: &Self) -> Self {
        self.0.extend_from_slice(&further.0);
        self
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            let side = match step.side {
                Side::Left => 'l',
                Side::Right => 'r',
            };
            write!(formatter, "{comma}{side}:{}", step.hash)?;
        }
        Ok(())
    }
}
