//! What crates cost to compile, relative to each other, for estimates of the time that a build takes yet.

/// Of host and providers, the crates that cost most: seconds of one core, roughly. A name is there as often
/// as there are versions of its crate.
const NATIVE: [(&str, f64); 43] = [
    ("async_nats", 20.0),
    ("chrono", 6.0),
    ("clap_builder", 7.0),
    ("cranelift_assembler_x64", 8.0),
    ("cranelift_codegen", 70.0),
    ("fieldledger", 25.0),
    ("fieldledger-host", 30.0),
    ("fieldledger-provider-ledger", 30.0),
    ("fieldledger-provider-nats-polling", 30.0),
    ("fieldledger-simulator", 20.0),
    ("fieldledger_ledger", 45.0),
    ("gimli", 6.0),
    ("h2", 10.0),
    ("hyper", 8.0),
    ("jiff", 12.0),
    ("object", 12.0),
    ("object_store", 25.0),
    ("oci_client", 10.0),
    ("oci_client", 10.0),
    ("parquet", 50.0),
    ("pulley_interpreter", 12.0),
    ("regalloc2", 8.0),
    ("regex_automata", 15.0),
    ("reqwest", 12.0),
    ("rustls", 20.0),
    ("syn", 5.0),
    ("syn", 5.0),
    ("tantivy", 70.0),
    ("tokio", 15.0),
    ("tracing_subscriber", 8.0),
    ("wadm", 40.0),
    ("wasmcloud_host", 45.0),
    ("wasmcloud_runtime", 40.0),
    ("wasmparser", 12.0),
    ("wasmparser", 12.0),
    ("wasmparser", 12.0),
    ("wasmparser", 12.0),
    ("wasmparser", 12.0),
    ("wasmtime", 70.0),
    ("wasmtime_environ", 12.0),
    ("wasmtime_internal_cranelift", 25.0),
    ("wasmtime_wasi", 25.0),
    ("wasmtime_wasi_http", 10.0),
];

/// What all components cost.
const COMPONENTS: f64 = 120.0;

/// What the crates of one step cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Costs {
    costly: &'static [(&'static str, f64)],
    afterwards: f64,
}

impl Costs {
    /// A crate that nothing is said of.
    pub(crate) const USUAL: f64 = 1.5;

    /// `costly` is what single crates cost, and `afterwards` what later steps do.
    pub(crate) const fn new(costly: &'static [(&'static str, f64)], afterwards: f64) -> Self {
        Self { costly, afterwards }
    }

    /// What the costly crates cost.
    pub(crate) fn costly(&self) -> impl Iterator<Item = f64> {
        self.costly.iter().map(|(_, cost)| *cost)
    }

    /// What a crate costs, if it is one of the costly.
    pub(crate) fn of_costly(&self, name: &str) -> Option<f64> {
        let found = self.costly.iter().find(|(costly, _)| *costly == name);
        found.map(|(_, cost)| *cost)
    }

    /// What later steps cost.
    pub(crate) fn afterwards(&self) -> f64 {
        self.afterwards
    }
}

impl Costs {
    /// Those of host and providers; with `and_components`, these come next and are not built yet.
    pub(crate) const fn of_native(and_components: bool) -> Self {
        let afterwards = match and_components {
            true => COMPONENTS,
            false => 0.0,
        };
        Self::new(&NATIVE, afterwards)
    }

    /// Those of a step without large crates.
    pub(crate) const fn of_little() -> Self {
        Self::new(&[], 0.0)
    }
}
