//! What may stand as a unit, in a heartbeat and in an answer.

use fieldledger_attest::reading::MAX_UNIT_BYTES;

/// True for what may stand as a unit: printable ASCII without spaces, as every UCUM code is.
pub(crate) fn is_unit(text: &str) -> bool {
    text.len() <= MAX_UNIT_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic())
}
