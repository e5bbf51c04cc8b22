//! Who a device is to its brokers.

use fieldledger_record::settings::Login;
use nano_nats::NkeyPair;

/// What a device says of itself.
#[derive(Debug)]
pub struct Client<'a> {
    /// Its id. Over MQTT two of one id throw each other out.
    pub id: &'a str,
    /// User and password, where it has them.
    pub login: Option<Login<'a>>,
    /// What it signs the challenge of a NATS broker with, instead of showing a password.
    pub nkey: Option<NkeyPair>,
}
