//! Makes the bindings of world `audit-api`.

fn main() -> anyhow::Result<()> {
    fieldledger_lattice_bindings::generate("audit-api")
}
