//! Makes the bindings of world `sensor-reader`.

fn main() -> anyhow::Result<()> {
    fieldledger_lattice_bindings::generate("sensor-reader")
}
