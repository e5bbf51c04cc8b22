//! What a device signs, and how anyone checks it: readings that are provable from the sensor on.
//!
//! A device has one Ed25519 key (RFC 8032). It signs *statements*: the root of an RFC 6962 Merkle
//! tree over readings. The answer to a poll is a tree of one reading; what gathered during an outage
//! is one tree of many, signed once, and each of its readings can still be shown alone.
//!
//! | module | holds |
//! |---|---|
//! | [`identity`] | the key, its text form and its fingerprint |
//! | [`signature`] | a signature and its text form |
//! | [`reading`] | a reading as canonical bytes |
//! | [`tree`] | the Merkle tree over readings: roots and paths |
//! | [`statement`] | what is signed of readings |
//! | [`heartbeat`] | what is signed of a heartbeat: all that it says |
//! | [`evidence`] | what a log entry keeps, so that anyone can check its reading later |
//! | [`tables`] | signatures of known keys, verified sooner by the same rules |
//! | `base64`, `json` | text forms; a value has one spelling only |
//!
//! **Invariants.** Equal readings have equal bytes, and different readings different ones. A signature of
//! one kind of message is never one of another, and that of one sensor or boot never one of another.
//!
//! No allocation is needed. The feature `alloc` adds [`heartbeat::with_proof`], [`tree::Tree`] and [`evidence::Evidence::of_all`],
//! `std` faster arithmetic, `serde` the JSON forms, and `tables` what a server of many devices wants.
//!
//! A device and its sensors: everything signed names a *sensor id*, the 16 bytes of the UUID that the
//! wire contract calls `id`. A device with several sensors has one id for each and one key for all,
//! so that a reading of one sensor cannot pass for another's.
//!
//! Each kind of message begins with a line of its own, so that no signature of one kind is one of
//! another: `fieldledger-readings-v1` and `fieldledger-heartbeat-v2`. `fieldledger-command-v1` is
//! reserved for commands to a device.
//!
//! ```
//! use fieldledger_attest::evidence::Evidence;
//! use fieldledger_attest::identity::DeviceKey;
//! use fieldledger_attest::reading::{Clock, Reading};
//! use fieldledger_attest::statement::{BootId, Statement};
//!
//! let key = DeviceKey::from_seed(&[7; 32]);
//! let sensor = [1; 16];
//! let boot = BootId::new("a1b2")?;
//! let reading = Reading::new(0, Clock::Utc(1_767_323_045_000_006), "21.50", "Cel")?;
//!
//! // The device:
//! let signature = Statement::of_one(sensor, boot, &reading).sign(&key);
//!
//! // Anyone:
//! let evidence = Evidence::of_one(key.public(), signature);
//! evidence.verify(sensor, boot, &reading)?;
//! let forged = Reading::new(0, Clock::Utc(1_767_323_045_000_006), "21.51", "Cel")?;
//! assert!(evidence.verify(sensor, boot, &forged).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod evidence;
pub mod heartbeat;
pub mod identity;
pub mod reading;
pub mod signature;
pub mod statement;
#[cfg(feature = "tables")]
pub mod tables;
pub mod tree;

mod base64;
#[cfg(feature = "serde")]
mod json;

/// The 16 bytes of a sensor's UUID, in network order (RFC 9562, section 4).
pub type SensorId = [u8; 16];

/// Sequence numbers, counters and times lie below this, so that JSON numbers hold them exactly
/// (RFC 8259, section 6).
pub const NUMBERS_END: u64 = 1 << 53;

/// True for printable ASCII without spaces: what boot ids, values and units consist of.
fn is_graphic(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}
