//! Pangea's SDKs, which tests run unmodified against the log.

use fieldledger_site::Artifacts;

use super::{npm, python};

/// Installs what is missing or of another version.
pub(super) fn install() -> anyhow::Result<()> {
    let lists = Artifacts::of_checkout().root().join("tests/interop/pangea");
    let requirements = lists.join("requirements.txt");
    python::install("Pangea's SDK for Python", &requirements, "pangea-python")?;
    npm::install("Pangea's SDK for Node", &lists, "pangea-node")
}
