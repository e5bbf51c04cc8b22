//! Chance in tests that can be repeated: whatever a test draws comes from a seed that it prints and
//! that can be set.
//!
//! The seed is `FIELDLEDGER_SEED`. Where that is not set, a run has a new one: all tests of one
//! `cargo nextest run` share it, and so does the second try of a test, which thus cannot pass
//! because it drew something kinder. A test prints its seed when it begins to draw; test runners
//! show what a test printed when it fails:
//!
//! ```text
//! FIELDLEDGER_SEED=118325410697102 repeats what this test draws
//! ```
//!
//! A test that draws for itself takes its [`numbers`], one that kills or breaks something goes
//! through [`each`] of a fixed set of seeds and the seed of the run, and a property test takes its
//! configuration from [`proptest_config`]:
//!
//! ```
//! use fieldledger_chance::proptest_config;
//! use proptest::prelude::*;
//!
//! proptest! {
//!     #![proptest_config(proptest_config())]
//!
//!     # /*
//!     #[test]
//!     # */
//!     fn reversing_twice_changes_nothing(bytes: Vec<u8>) {
//!         let twice: Vec<u8> = bytes.iter().rev().rev().copied().collect();
//!         prop_assert_eq!(twice, bytes);
//!     }
//! }
//! # reversing_twice_changes_nothing();
//! ```
//!
//! A seed repeats what is drawn, not what the machine does with it: which thread runs first, and how
//! far a process comes before it is killed, stays open.
#![forbid(unsafe_code)]

use std::env;
use std::fmt;
use std::sync::OnceLock;

use proptest::prelude::ProptestConfig;
use proptest::test_runner::RngSeed;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

/// The environment variable that sets the seed.
const SET: &str = "FIELDLEDGER_SEED";

/// Where nextest says which run a test belongs to: a random UUID, the same for every test and try.
const RUN: &str = "NEXTEST_RUN_ID";

/// Random numbers, the same ones for a seed on every machine and in every version.
pub type Numbers = ChaCha8Rng;

/// Where everything that a test draws comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(u64);

impl Seed {
    /// The number, for a program that takes a seed of its own.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// The random numbers of this seed.
    #[must_use]
    pub fn numbers(self) -> Numbers {
        Numbers::seed_from_u64(self.0)
    }

    /// Prints how to come by this seed again; shown if the test fails.
    fn announce(self) {
        eprintln!("{self} repeats what this test draws");
    }
}

/// As one writes it before a command.
impl fmt::Display for Seed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{SET}={}", self.0)
    }
}

/// The seed of this run, which is printed.
///
/// # Panics
///
/// If `FIELDLEDGER_SEED` is set, but not to a number.
#[must_use]
pub fn seed() -> Seed {
    let seed = set().unwrap_or_else(new);
    seed.announce();
    seed
}

/// Random numbers from the [`seed`] of this run.
///
/// # Panics
///
/// If `FIELDLEDGER_SEED` is set, but not to a number.
#[must_use]
pub fn numbers() -> Numbers {
    seed().numbers()
}

/// The fixed seeds, then the new one of this run; where `FIELDLEDGER_SEED` is set, that alone. Each
/// is printed when its turn comes, so the last one printed is the one that failed.
///
/// # Panics
///
/// If `FIELDLEDGER_SEED` is set, but not to a number.
pub fn each(fixed: &[u64]) -> impl Iterator<Item = Seed> {
    let seeds = match set() {
        Some(seed) => vec![seed],
        None => fixed.iter().copied().map(Seed).chain([new()]).collect(),
    };
    seeds.into_iter().inspect(|seed| seed.announce())
}

/// Proptest's own configuration, but that it draws from the [`seed`] of this run.
///
/// A failure leaves no file behind: the seed repeats it, and what it found is worth a test of its
/// own.
///
/// # Panics
///
/// If `FIELDLEDGER_SEED` is set, but not to a number.
#[must_use]
pub fn proptest_config() -> ProptestConfig {
    ProptestConfig {
        rng_seed: RngSeed::Fixed(seed().get()),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// The seed that somebody set.
fn set() -> Option<Seed> {
    let value = env::var_os(SET)?;
    let number = value.to_str().and_then(|value| value.parse().ok());
    match number {
        Some(number) => Some(Seed(number)),
        None => panic!(
            "{SET} must be a whole number from 0 to {}, but is {value:?}",
            u64::MAX
        ),
    }
}

/// A seed that nobody set: one for each run of nextest; for each process, where another program
/// runs the tests.
fn new() -> Seed {
    static OF_PROCESS: OnceLock<Seed> = OnceLock::new();
    *OF_PROCESS.get_or_init(|| {
        let run = env::var(RUN).ok();
        run.as_deref()
            .and_then(of_run)
            .unwrap_or_else(|| Seed(u64::from(rand::random::<u32>())))
    })
}

/// From the last part of the run's UUID, which is 48 random bits.
fn of_run(id: &str) -> Option<Seed> {
    let (_, last) = id.rsplit_once('-')?;
    u64::from_str_radix(last, 16).ok().map(Seed)
}

#[cfg(test)]
mod tests {
    use rand::Rng as _;

    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_on_every_machine_and_in_every_version() {
        let mut numbers = Seed(7).numbers();
        let drawn: [u32; 3] = numbers.random();
        assert_eq!(drawn, [601_310_139, 677_729_076, 781_920_570]);
    }

    #[test]
    fn every_test_of_a_run_has_its_seed() {
        let id = "0d1a3e5b-6c7f-4a8d-9b0e-6b9dd27a1c4e";
        assert_eq!(of_run(id), Some(Seed(0x6b9d_d27a_1c4e)));
        assert_eq!(of_run("not a UUID"), None);
        assert_eq!(new(), new());
    }

    #[test]
    fn proptest_draws_from_the_seed() {
        assert_eq!(proptest_config().rng_seed, RngSeed::Fixed(seed().get()));
    }

    #[test]
    fn the_fixed_seeds_come_first() {
        let seeds: Vec<Seed> = each(&[1, 2]).collect();
        match set() {
            Some(set) => assert_eq!(seeds, [set]),
            None => assert_eq!(seeds, [Seed(1), Seed(2), new()]),
        }
    }

    #[test]
    fn a_seed_is_printed_as_it_is_set() {
        assert_eq!(Seed(42).to_string(), "FIELDLEDGER_SEED=42");
    }
}
