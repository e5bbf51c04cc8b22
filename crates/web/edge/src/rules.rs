//! Every bound of the edge, with its reason.

use std::time::Duration;

use crate::prefix::Prefix;

/// Bytes of a request's target at most: 414 beyond. The longest that means anything has a few hundred.
pub(crate) const LONGEST_TARGET: usize = 8 * 1024;

/// Bytes of a head's names and values at most: 431 beyond. Browsers with many cookies of other programs on
/// the same host name send up to 8 KiB.
pub(crate) const LARGEST_HEAD: usize = 32 * 1024;

/// Bytes that are looked at in search of a head's end. More than the two bounds above together, so that those
/// can say what is wrong.
pub(crate) const HEAD_BUFFER: usize = 64 * 1024;

/// Bytes of a body that is too large which are read and thrown away, so that a client that writes before it
/// reads sees the 413.
pub(crate) const THROWN_AWAY: usize = 4 * 1024 * 1024;

/// An answer up to this size is taken as a whole, and its call is over. What is larger, as a download of the
/// log, is passed on while it comes.
pub(crate) const LARGEST_WHOLE: usize = 16 * 1024 * 1024;

/// Answers below this are not compressed: the packet would not be smaller.
pub(crate) const SMALLEST_COMPRESSED: usize = 1024;

/// How the edge serves. [`Rules::default`] fits a gateway of 32 instances.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Connections at a time. The one from which something has been awaited longest makes room for a new one.
    pub connections: usize,
    /// How long a client may take for a head, and for the first byte of the next one.
    pub head_wait: Duration,
    /// How long it may take for a small body.
    pub body_wait: Duration,
    /// And of a larger one, how many bytes it must send in each second beyond that.
    pub body_bytes_per_second: usize,
    /// How long a client may take no byte of its answer.
    pub write_wait: Duration,
    /// How long a request waits for a place.
    pub place_wait: Duration,
    /// How long an answer may take. More than the host gives a component, which says what went wrong.
    pub answer_wait: Duration,
    /// How long requests that are under way may take once the edge stops.
    pub stop_wait: Duration,
    /// Searches at a time. They are the work that lasts; more at a time would take the processors from all
    /// else, and none of them would end earlier.
    pub searches: usize,
    /// The path below which a proxy shows the site, where it does not say so itself.
    pub prefix: Option<Prefix>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            connections: 4096,
            head_wait: Duration::from_secs(10),
            body_wait: Duration::from_secs(10),
            body_bytes_per_second: 64 * 1024,
            write_wait: Duration::from_secs(20),
            place_wait: Duration::from_secs(10),
            answer_wait: Duration::from_secs(35),
            stop_wait: Duration::from_secs(5),
            searches: 4,
            prefix: None,
        }
    }
}
