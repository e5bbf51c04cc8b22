//! Batches of poll results, as they are stored in JetStream and handed to a reader.

pub use fieldledger_contract::field::{
    Attestation, Calibration, Outcome, PollBatch, Range, SensorProfile,
};

/// How far a device's clock may be from the server's, microseconds: five minutes, as much as one that
/// is set once a day by hand may be wrong, and more than one that is set over a network ever is.
pub const CLOCK_TOLERANCE: u64 = 300_000_000;

/// The earliest time at which a device can have measured, microseconds since the Unix epoch: the first of
/// January 2020. No site is older than this software; a clock that says less was never set.
pub const EARLIEST_TIME: u64 = 1_577_836_800_000_000;
