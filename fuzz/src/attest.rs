//! What devices sign: canonical readings, and evidence as it lies in the log.

use fieldledger_attest::evidence::{Evidence, Path};
use fieldledger_attest::identity::PublicKey;
use fieldledger_attest::reading::Reading;
use fieldledger_attest::signature::Signature;
use fieldledger_attest::statement::BootId;

/// Bytes as a canonical reading, text as a key, a signature, a path and evidence. Each has one
/// spelling only.
pub(crate) fn attestation(data: &[u8]) {
    if let Ok(reading) = Reading::decode(data) {
        assert_eq!(&reading.encode()[..], data);
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(key) = text.parse::<PublicKey>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(signature) = text.parse::<Signature>() {
        assert_eq!(signature.to_string(), text);
    }
    if let Ok(path) = text.parse::<Path>() {
        assert_eq!(path.to_string(), text);
    }
    if let Ok(evidence) = serde_json::from_str::<Evidence>(text) {
        let written = serde_json::to_string(&evidence).expect("it is plain data");
        let again: Evidence = serde_json::from_str(&written).expect("what was written is read");
        assert_eq!(again, evidence);
        let clock = fieldledger_attest::reading::Clock::Uptime(1);
        let reading = Reading::new(1, clock, "1", "").expect("it keeps the rules");
        let boot = BootId::new("b").expect("it keeps the rules");
        // Nobody has signed this.
        assert!(evidence.verify([1; 16], boot, &reading).is_err());
    }
}
