use std::io;
use std::path::PathBuf;

/// Why a mesh was not simulated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeshError {
    /// A mesh has as many nodes as it has gateways, or more than can be.
    #[error("a mesh has 2 to {most} nodes, of which at least one is a gateway and one is none")]
    Nodes {
        /// The most nodes.
        most: u16,
    },
    /// More gateways than a node has rows for.
    #[error("a mesh has at most {most} gateways")]
    Gateways {
        /// The most gateways.
        most: u16,
    },
    /// A loss that is no probability.
    #[error("a loss is a probability from 0 to below 1, not {loss}")]
    Loss {
        /// What it is.
        loss: f64,
    },
    /// An interval or duration without length.
    #[error("the interval between readings and the duration are longer than 0 ms")]
    Times,
    /// The file of links cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line of the file is none.
    #[error(
        "line {line} of {} is no link; expected NODE NODE [LOSS [MS]] such as `0 3 0.1 20`, with nodes below {nodes}",
        path.display()
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Nodes of the mesh.
        nodes: u16,
    },
}
