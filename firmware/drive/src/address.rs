//! Where a broker is, and what it speaks.

use thiserror::Error;

/// Why there is no broker behind an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Another protocol, or none.
    #[error("address does not begin with mqtt:// or nats://, which is all that a board speaks")]
    Scheme,
    /// Behind the last colon is no port.
    #[error("port of the address is not a number from 1 to 65535")]
    Port,
    /// No host, or more than one.
    #[error("address names no plain host, expected mqtt://host:port or nats://host:port")]
    Host,
}

/// What is spoken with a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT 3.1.1.
    Mqtt,
    /// Core NATS.
    Nats,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Mqtt, Self::Nats];

    /// What an address begins with.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt://",
            Self::Nats => "nats://",
        }
    }

    /// The port of brokers that name none.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Mqtt => 1883,
            Self::Nats => 4222,
        }
    }
}

/// A protocol, a host and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address<'a> {
    /// What is spoken there.
    pub protocol: Protocol,
    /// A name, or an IP address.
    pub host: &'a str,
    /// The port.
    pub port: u16,
}

impl<'a> Address<'a> {
    /// Reads `mqtt://host`, `mqtt://host:port`, or the same with `nats://`.
    ///
    /// # Errors
    ///
    /// Says what is wrong.
    pub fn parse(text: &'a str) -> Result<Self, AddressError> {
        let mut protocols = Protocol::ALL.into_iter();
        let found =
            protocols.find_map(|protocol| Some((protocol, text.strip_prefix(protocol.scheme())?)));
        let (protocol, rest) = found.ok_or(AddressError::Scheme)?;
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) => {
                let port = port.parse().ok().filter(|port| *port > 0);
                (host, port.ok_or(AddressError::Port)?)
            }
            None => (rest, protocol.default_port()),
        };
        // Neither user, path nor IPv6: the boards speak IPv4.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        match !host.is_empty() && host.bytes().all(plain) {
            true => Ok(Self {
                protocol,
                host,
                port,
            }),
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
        for (text, protocol, host, port) in [
            ("mqtt://10.0.2.2:2883", Protocol::Mqtt, "10.0.2.2", 2883),
            ("mqtt://broker.plant", Protocol::Mqtt, "broker.plant", 1883),
            ("nats://10.0.2.2:2883", Protocol::Nats, "10.0.2.2", 2883),
            ("nats://broker.plant", Protocol::Nats, "broker.plant", 4222),
        ] {
            let expected = Address {
                protocol,
                host,
                port,
            };
            assert_eq!(Address::parse(text), Ok(expected));
        }
        for (text, error) in [
            ("mqtts://10.0.2.2", AddressError::Scheme),
            ("tls://10.0.2.2:4222", AddressError::Scheme),
            ("10.0.2.2", AddressError::Scheme),
            ("mqtt://", AddressError::Host),
            ("mqtt://:1883", AddressError::Host),
            ("mqtt://user@host", AddressError::Host),
            ("nats://host/path", AddressError::Host),
            ("nats://[::1]:4222", AddressError::Host),
            ("mqtt://host:0", AddressError::Port),
            ("nats://host:65536", AddressError::Port),
            ("mqtt://host:", AddressError::Port),
        ] {
            assert_eq!(Address::parse(text), Err(error), "{text}");
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn what_is_read_is_what_was_meant(
            protocol in prop::sample::select(&Protocol::ALL[..]),
            host in "[a-z0-9._-]{1,40}",
            port in 1..=u16::MAX,
        ) {
            let text = format!("{}{host}:{port}", protocol.scheme());
            let expected = Address { protocol, host: &host, port };
            prop_assert_eq!(Address::parse(&text), Ok(expected));
        }

        #[test]
        fn arbitrary_text_never_panics(text in "(mqtt://|nats://)?\\PC{0,60}") {
            let _ = Address::parse(&text);
        }
    }
}
