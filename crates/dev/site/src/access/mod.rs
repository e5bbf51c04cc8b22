//! Who may speak on which subject: the part of a nats-server's configuration that says so.
//!
//! | module | holds |
//! |---|---|
//! | `lattice` | the server of wasmCloud's lattice: one account, one user with a JWT |
//! | `user` | the users of the field's server, and what each may do |
//! | `users` | the folder that they are kept in, and the file that the server includes |
//! | `jwt` | JWTs as nats-server reads them |
//! | `secret` | secrets, and the files they are in |

pub(crate) mod lattice;
pub(crate) mod secret;
pub(crate) mod user;
pub(crate) mod users;

mod jwt;

/// Whom a nats-server lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone, to everything, as on the server that `wash up` starts.
    Anyone,
    /// wasmCloud's host and providers, with credentials made at the first start.
    Lattice,
    /// The polling provider, the event logger, devices and programs, each with a user of its own.
    Field {
        /// Whether who names no user may speak on the subjects of the open field.
        open: bool,
    },
}
