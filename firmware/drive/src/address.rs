//! Where a broker is.

use thiserror::Error;

/// The port of brokers that name none.
const DEFAULT_PORT: u16 = 1883;

/// Why there is no broker behind an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Another protocol, or none.
    #[error("address does not begin with mqtt://")]
    Scheme,
    /// Behind the last colon is no port.
    #[error("port of the address is no number from 1 to 65535")]
    Port,
    /// No host, or more than one.
    #[error("address names no plain host")]
    Host,
}

/// A host and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address<'a> {
    /// A name, or an IP address.
    pub host: &'a str,
    /// The port.
    pub port: u16,
}

impl<'a> Address<'a> {
    /// Reads `mqtt://host` or `mqtt://host:port`.
    ///
    /// # Errors
    ///
    /// Says what is wrong.
    pub fn parse(text: &'a str) -> Result<Self, AddressError> {
        let rest = text.strip_prefix("mqtt://").ok_or(AddressError::Scheme)?;
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) => {
                let port = port.parse().ok().filter(|port| *port > 0);
                (host, port.ok_or(AddressError::Port)?)
            }
            None => (rest, DEFAULT_PORT),
        };
        // Neither user, path nor IPv6: the boards speak IPv4.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        match !host.is_empty() && host.bytes().all(plain) {
            true => Ok(Self { host, port }),
            false => Err(AddressError::Host),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;
    use std::format;

    use super::*;

    #[test]
    fn a_port_may_be_left_out_and_nothing_else_may_be_added() {
        let at = |host, port| Ok(Address { host, port });
        assert_eq!(Address::parse("mqtt://10.0.2.2:2883"), at("10.0.2.2", 2883));
        assert_eq!(
            Address::parse("mqtt://broker.plant"),
            at("broker.plant", 1883)
        );
        for (text, error) in [
            ("nats://10.0.2.2:4222", AddressError::Scheme),
            ("10.0.2.2", AddressError::Scheme),
            ("mqtt://", AddressError::Host),
            ("mqtt://:1883", AddressError::Host),
            ("mqtt://user@host", AddressError::Host),
            ("mqtt://host/path", AddressError::Host),
            ("mqtt://[::1]:1883", AddressError::Host),
            ("mqtt://host:0", AddressError::Port),
            ("mqtt://host:65536", AddressError::Port),
            ("mqtt://host:", AddressError::Port),
        ] {
            assert_eq!(Address::parse(text), Err(error), "{text}");
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn what_is_read_is_what_was_meant(host in "[a-z0-9._-]{1,40}", port in 1..=u16::MAX) {
            let text = format!("mqtt://{host}:{port}");
            prop_assert_eq!(Address::parse(&text), Ok(Address { host: &host, port }));
        }

        #[test]
        fn arbitrary_text_never_panics(text in "(mqtt://)?\\PC{0,60}") {
            let _ = Address::parse(&text);
        }
    }
}
