//! What routers tell each other.

/// A node of the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u16);

/// A distance: the sum of the costs of the links on the way.
pub type Metric = u16;

/// The distance of what cannot be reached.
pub const INFINITY: Metric = Metric::MAX;

/// A gateway's count of the times that it was asked to begin anew, in 16 bits that wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sequence(pub u16);

impl Sequence {
    /// Whether it is later than another one, where both are less than half of all apart
    /// (RFC 8966, section 3.2.1).
    #[must_use]
    pub const fn is_newer_than(self, other: Self) -> bool {
        let ahead = self.0.wrapping_sub(other.0);
        ahead != 0 && ahead < 0x8000
    }

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// A control message. All of them go to every neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// The sender is there, and has nothing else to say.
    Hello,
    /// The sender's distance to a gateway; [`INFINITY`] takes back an earlier one.
    Update {
        /// The gateway.
        gateway: NodeId,
        /// The gateway's sequence number that the distance belongs to.
        sequence: Sequence,
        /// The distance.
        metric: Metric,
    },
    /// Somebody has no route to a gateway that it may take, and asks for a newer sequence number.
    Request {
        /// The gateway.
        gateway: NodeId,
        /// The number asked for, or a newer one.
        sequence: Sequence,
        /// How many times it may still be passed on.
        hops_left: u8,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_wrap() {
        let newer = |one, other| Sequence(one).is_newer_than(Sequence(other));
        assert!(newer(1, 0) && newer(0, 0xffff) && newer(0x7fff, 0));
        assert!(!newer(0, 0) && !newer(0, 1) && !newer(0xffff, 0) && !newer(0x8000, 0));
        assert_eq!(Sequence(0xffff).next(), Sequence(0));
    }
}
