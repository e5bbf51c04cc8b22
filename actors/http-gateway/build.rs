//! Makes the bindings of world `http-gateway`.

fn main() -> anyhow::Result<()> {
    fieldledger_lattice_bindings::generate("http-gateway")
}
