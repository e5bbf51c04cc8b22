//! TCP ports of this machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use crate::error::SiteError;
use crate::listener::Listener;

/// A port of `address` that is free now.
///
/// Chosen rather than left to the server that will listen there, because a server that is killed
/// and started again must come back where its clients look for it.
///
/// # Errors
///
/// [`SiteError::NoFreePort`] if the system has none, or `address` is none of this machine's.
pub fn free_port(address: IpAddr) -> Result<u16, SiteError> {
    free_ports(address).map(|[port]| port)
}

/// Ports of `address` that are free now, all of them different: the system may give the same one again
/// once nobody listens there.
///
/// # Errors
///
/// As [`free_port`].
pub fn free_ports<const N: usize>(address: IpAddr) -> Result<[u16; N], SiteError> {
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((address, 0));
        let listener = listener.map_err(|source| SiteError::NoFreePort { source })?;
        let bound = listener.local_addr();
        *port = bound
            .map_err(|source| SiteError::NoFreePort { source })?
            .port();
        listeners.push(listener);
    }
    Ok(ports)
}

/// Sees that a server could listen on `address` now, which is needed for `purpose`.
///
/// # Errors
///
/// [`SiteError::PortInUse`] with who listens there, if the system says that;
/// [`SiteError::CannotListen`] where nobody could, for example because the address is not this machine's.
pub fn check_free(purpose: &'static str, address: SocketAddr) -> Result<(), SiteError> {
    match TcpListener::bind(address) {
        Ok(_listener) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(SiteError::PortInUse {
            purpose,
            address,
            listener: Listener::on(address),
        }),
        Err(source) => Err(SiteError::CannotListen {
            purpose,
            address,
            source,
        }),
    }
}

/// The address to reach what listens on `address`, which may be "all interfaces".
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_port_is_free_until_somebody_listens_there() {
        let address = SocketAddr::new(LOOPBACK, free_port(LOOPBACK).unwrap());
        check_free("a test", address).unwrap();
        let _listener = TcpListener::bind(address).unwrap();
        let error = check_free("a test", address).unwrap_err();
        assert!(matches!(error, SiteError::PortInUse { .. }), "{error}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn who_listens_on_a_port_is_named() {
        let listener = TcpListener::bind((LOOPBACK, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let found = Listener::on(address).unwrap();
        assert_eq!(found.process, std::process::id());
        let error = check_free("a test", address).unwrap_err().to_string();
        let expected = format!("{address} is in use by {found}, needed for a test");
        assert!(error.starts_with(&expected), "{error}");
        // Who wants all addresses is kept from it too.
        let anywhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
        assert_eq!(Listener::on(anywhere), Some(found));
    }

    #[test]
    fn an_address_of_another_machine_is_not_in_use() {
        // Kept for documentation (RFC 5737), so that no machine has it.
        let address = SocketAddr::new(Ipv4Addr::new(192, 0, 2, 1).into(), 4222);
        let error = check_free("a test", address).unwrap_err();
        assert!(matches!(error, SiteError::CannotListen { .. }), "{error}");
    }
}
