//! Random bytes, from the oscillator that the processor starts with.

use embassy_rp::clocks::RoscRng;
use sha2::{Digest as _, Sha256};

/// Bits that are drawn, in bytes. Each is worth less than one bit, since it is read from an oscillator
/// whose period changes slowly; four times as many as a digest has leave a boot id that nobody draws
/// twice.
const DRAWN_BYTES: usize = 128;

/// A number that is another one at every start.
pub(crate) fn draw() -> u128 {
    let mut drawn = [0; DRAWN_BYTES];
    RoscRng.fill_bytes(&mut drawn);
    let digest = Sha256::digest(drawn);
    let mut number = [0; 16];
    number.copy_from_slice(&digest[..16]);
    u128::from_be_bytes(number)
}
