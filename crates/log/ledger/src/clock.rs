//! Where the time comes from.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A source of the time in microseconds since the Unix epoch, and of a steady one; the system's unless a
/// test brings its own.
#[derive(Clone)]
pub struct Clock {
    wall: Source,
    steady: Source,
}

/// Gives microseconds.
type Source = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What a clock shows at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    /// Microseconds since the Unix epoch.
    pub(crate) wall: u64,
    /// Microseconds of the steady clock, which began at any time and never steps.
    pub(crate) steady: u64,
}

/// Between two looks at the steady clock lies less, microseconds, unless the thread was put to sleep there.
const AT_ONCE: u64 = 100_000;

/// How often it looks again where it was.
const LOOKS: usize = 5;

impl Clock {
    /// A clock that asks `now` for microseconds since the Unix epoch, and never steps: so much of it as
    /// passes is what has passed.
    pub fn new(now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        let wall: Source = Arc::new(now);
        let steady = Arc::clone(&wall);
        Self { wall, steady }
    }

    /// A clock that may step, beside one that does not, in microseconds.
    pub fn with_steady(
        now: impl Fn() -> u64 + Send + Sync + 'static,
        steady: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        Self {
            wall: Arc::new(now),
            steady: Arc::new(steady),
        }
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> u64 {
        (self.wall)()
    }

    /// Both at one moment.
    pub(crate) fn shown(&self) -> Shown {
        let mut shown = None;
        for _ in 0..LOOKS {
            let before = (self.steady)();
            let wall = (self.wall)();
            let steady = (self.steady)();
            shown = Some(Shown { wall, steady });
            if steady.saturating_sub(before) < AT_ONCE {
                break;
            }
        }
        shown.unwrap_or(Shown { wall: 0, steady: 0 })
    }
}

impl Default for Clock {
    fn default() -> Self {
        static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
        Self::with_steady(
            || {
                let since_epoch = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
            },
            || u64::try_from(STARTED.elapsed().as_micros()).unwrap_or(u64::MAX),
        )
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Clock")
    }
}
