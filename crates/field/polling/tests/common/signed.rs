//! What a sensor with a key sends.

use fieldledger_attest::heartbeat::with_proof;
use fieldledger_attest::identity::DeviceKey;
use fieldledger_attest::reading::{Clock, Reading};
use fieldledger_attest::statement::{BootId, Statement};
use fieldledger_attest::tree::RootBuilder;
use serde_json::{Value, json};

use super::{Field, heartbeat, id};

pub const BOOT: &str = "boot-1";

pub fn key(seed: u8) -> DeviceKey {
    DeviceKey::from_seed(&[seed; 32])
}

pub fn signed_heartbeat(n: u32, beat: u64, key: &DeviceKey) -> String {
    proven(&declared(n, beat, key), key)
}

/// A heartbeat with its proof.
pub fn proven(heartbeat: &Value, key: &DeviceKey) -> String {
    with_proof(&heartbeat.to_string(), key).unwrap()
}

/// What a heartbeat says before its proof.
pub fn declared(n: u32, beat: u64, key: &DeviceKey) -> Value {
    let mut heartbeat = heartbeat(n, 60_000);
    heartbeat["key"] = key.public().to_string().into();
    heartbeat["boot"] = BOOT.into();
    heartbeat["beat"] = beat.into();
    heartbeat
}

/// A message with these numbers, times of the device and one value.
pub fn bulk(n: u32, key: &DeviceKey, readings: &[(u64, Clock)]) -> Value {
    bulk_of(n, key, BOOT, readings)
}

/// The same of any boot.
pub fn bulk_of(n: u32, key: &DeviceKey, boot: &str, readings: &[(u64, Clock)]) -> Value {
    let mut tree = RootBuilder::new();
    let mut listed = Vec::new();
    for (seq, clock) in readings {
        tree.push(&Reading::new(*seq, *clock, "21.5", "Cel").unwrap())
            .unwrap();
        let mut reading = json!({"value": "21.5", "seq": seq, "unit": "Cel"});
        match clock {
            Clock::Utc(at) => reading["at"] = (*at).into(),
            Clock::Uptime(up) => reading["up"] = (*up).into(),
        }
        listed.push(reading);
    }
    let named = BootId::new(boot).unwrap();
    let statement = Statement::of_tree(*id(n).as_bytes(), named, tree).unwrap();
    json!({"boot": boot, "sig": statement.sign(key).to_string(), "readings": listed})
}

/// An answer with this number, read so many microseconds after the boot.
pub fn answer(n: u32, key: &DeviceKey, sequence: u64) -> Value {
    let reading = Reading::new(sequence, Clock::Uptime(sequence), "21.5", "Cel").unwrap();
    let boot = BootId::new(BOOT).unwrap();
    let sig = Statement::of_one(*id(n).as_bytes(), boot, &reading).sign(key);
    json!({"value": "21.5", "seq": sequence, "up": sequence, "unit": "Cel", "boot": BOOT,
        "sig": sig.to_string()})
}

/// Makes this key the sensor's.
pub fn approve(field: &mut Field, n: u32, key: &DeviceKey) {
    let fingerprint = key.public().fingerprint().to_string();
    let keys = field.engine.approve(id(n), &fingerprint).unwrap();
    field.engine.decide(id(n), keys);
}
