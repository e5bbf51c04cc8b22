//! What becomes of packets.

use crate::NodeId;

/// What travels with a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The node that the reading is from.
    pub origin: NodeId,
    /// The origin's number for the packet, by which it is known again.
    pub number: u32,
    /// The gateway that it is for.
    pub gateway: NodeId,
    /// How many times it may still be sent on.
    pub hops_left: u8,
    /// How many times it may still be given to another gateway.
    pub retargets_left: u8,
}

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has arrived: this is a gateway.
    Deliver,
    /// Send it on.
    Forward {
        /// The header that it has from here on.
        header: Header,
        /// The neighbour to send it to.
        next_hop: NodeId,
    },
    /// It goes no further.
    Drop(DropReason),
}

/// Why a packet goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DropReason {
    /// It has been here before.
    Duplicate,
    /// It has been sent on as often as it may.
    HopLimit,
    /// No gateway can be reached.
    NoRoute,
}

/// No gateway can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no gateway can be reached")]
pub struct NoRoute;
