//! What a device has to be told of the field's server, as `fieldledger-device` reads it.

use std::fmt;

use fieldledger_site::{DEVICE_PREFIX, FieldAddress};

/// That part of its settings file.
pub(crate) struct DeviceSettings {
    pub(crate) address: FieldAddress,
    /// Its name, where it has a password.
    pub(crate) user: Option<String>,
    pub(crate) has_nkey: bool,
}

impl fmt::Display for DeviceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FieldAddress { nats, mqtt, tls_ca } = &self.address;
        // MQTT 3.1.1 knows passwords only.
        let mqtt = mqtt.as_ref().filter(|_| self.user.is_some());
        let brokers: Vec<&String> = [mqtt, Some(nats)].into_iter().flatten().collect();
        let mut login = Vec::new();
        if let Some(user) = &self.user {
            login.push(format!("user: {user}, password_file: password"));
        }
        if self.has_nkey {
            login.push("nkey: true".to_owned());
        }
        // A site that listens on all its addresses is told here by that of loopback.
        let elsewhere = match nats.contains("127.0.0.1") || nats.contains("[::1]") {
            true => " # from another machine by this one's name or address",
            false => "",
        };
        writeln!(f, "  brokers: {brokers:?}{elsewhere}")?;
        writeln!(f, "  login: {{ {} }}", login.join(", "))?;
        if let Some(certificate) = tls_ca {
            writeln!(
                f,
                "  tls_ca: {certificate:?} # or a copy of it on the device"
            )?;
        }
        write!(f, "  prefix: {DEVICE_PREFIX}\n  confined: true")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(tls_ca: Option<&str>, user: Option<&str>, has_nkey: bool) -> String {
        let (nats, mqtt) = match tls_ca {
            Some(_) => ("tls://10.0.0.1:4222", "mqtts://10.0.0.1:1883"),
            None => ("nats://127.0.0.1:4222", "mqtt://127.0.0.1:1883"),
        };
        let settings = DeviceSettings {
            address: FieldAddress {
                nats: nats.to_owned(),
                mqtt: Some(mqtt.to_owned()),
                tls_ca: tls_ca.map(Into::into),
            },
            user: user.map(str::to_owned),
            has_nkey,
        };
        settings.to_string()
    }

    #[test]
    fn a_device_is_told_how_it_gets_in() {
        assert_eq!(
            settings(Some("/state/authority/authority.pem"), Some("boiler"), true),
            "  brokers: [\"mqtts://10.0.0.1:1883\", \"tls://10.0.0.1:4222\"]\n\
             \x20 login: { user: boiler, password_file: password, nkey: true }\n\
             \x20 tls_ca: \"/state/authority/authority.pem\" # or a copy of it on the device\n\
             \x20 prefix: field\n\
             \x20 confined: true"
        );
        // Who has a key only has no way in over MQTT, and who needs no authority is told of none.
        assert_eq!(
            settings(None, None, true),
            "  brokers: [\"nats://127.0.0.1:4222\"] # from another machine by this one's name or address\n\
             \x20 login: { nkey: true }\n\
             \x20 prefix: field\n\
             \x20 confined: true"
        );
    }
}
