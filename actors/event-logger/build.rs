//! Makes the bindings of world `event-logger`.

fn main() -> anyhow::Result<()> {
    fieldledger_lattice_bindings::generate("event-logger")
}
