//! TCP ports of this machine.

use std::net::{IpAddr, SocketAddr, TcpListener};

use crate::error::SiteError;

/// A port of `address` that is free now.
///
/// Chosen rather than left to the server that will listen there, because a server that is killed
/// and started again must come back where its clients look for it.
///
/// # Errors
///
/// [`SiteError::NoFreePort`] if the system has none, or `address` is none of this machine's.
pub fn free_port(address: IpAddr) -> Result<u16, SiteError> {
    let listener = TcpListener::bind((address, 0));
    let bound = listener.and_then(|listener| listener.local_addr());
    match bound {
        Ok(bound) => Ok(bound.port()),
        Err(source) => Err(SiteError::NoFreePort { source }),
    }
}

/// Whether a server could listen on `address` now.
#[must_use]
pub fn is_free(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_port_is_free_until_somebody_listens_there() {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let address = SocketAddr::new(loopback, free_port(loopback).unwrap());
        assert!(is_free(address));
        let _listener = TcpListener::bind(address).unwrap();
        assert!(!is_free(address));
    }
}
