//! The time since the start, in microseconds, for embassy-time.

use core::cell::RefCell;
use core::task::Waker;

use cortex_m::peripheral::{SCB, SYST, syst::SystClkSource};
use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

/// The board's processor counts so many times in a microsecond.
const COUNTS_PER_MICROSECOND: u32 = 25;

/// Between two interrupts: short enough that no wait is noticeably longer, long enough that an
/// emulator has little to do.
const TICK_MICROSECONDS: u32 = 1_000;

/// What SysTick counts down from.
const RELOAD: u32 = COUNTS_PER_MICROSECOND * TICK_MICROSECONDS - 1;

struct Clock {
    inner: Mutex<RefCell<Inner>>,
}

struct Inner {
    ticks: u64,
    wake_at: u64,
    queue: Queue,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock {
    inner: Mutex::new(RefCell::new(Inner {
        ticks: 0,
        wake_at: u64::MAX,
        queue: Queue::new(),
    })),
});

impl Clock {
    /// The time.
    fn time(&self, section: CriticalSection<'_>) -> u64 {
        let ticks = self.inner.borrow_ref(section).ticks;
        let before = SYST::get_current();
        // SysTick may have begun anew while its interrupt is held back. Asked in this order, a count
        // from after that is never taken for one from before.
        let is_pending = SCB::is_pendst_pending();
        let (ticks, left) = match is_pending {
            true => (ticks + 1, SYST::get_current()),
            false => (ticks, before),
        };
        let passed = (RELOAD - left.min(RELOAD)) / COUNTS_PER_MICROSECOND;
        ticks * u64::from(TICK_MICROSECONDS) + u64::from(passed)
    }
}

impl Driver for Clock {
    fn now(&self) -> u64 {
        critical_section::with(|section| self.time(section))
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|section| {
            let now = self.time(section);
            let mut inner = self.inner.borrow_ref_mut(section);
            if inner.queue.schedule_wake(at, waker) {
                inner.wake_at = inner.queue.next_expiration(now);
            }
        });
    }
}

/// Begins to count.
pub(crate) fn start(systick: &mut SYST) {
    systick.set_clock_source(SystClkSource::Core);
    systick.set_reload(RELOAD);
    systick.clear_current();
    systick.enable_counter();
    systick.enable_interrupt();
}

/// The interrupt.
pub(crate) fn tick() {
    critical_section::with(|section| {
        CLOCK.inner.borrow_ref_mut(section).ticks += 1;
        let now = CLOCK.time(section);
        let mut inner = CLOCK.inner.borrow_ref_mut(section);
        if inner.wake_at <= now {
            inner.wake_at = inner.queue.next_expiration(now);
        }
    });
}
