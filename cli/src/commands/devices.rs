//! `fieldledger devices`: the sensors, the keys they show, and which of those are approved.

use std::fmt;

use clap::{Args, Subcommand};
use fieldledger_api::answers::{DecidedKey, Sensor, SensorList};
use serde::Serialize;
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::output::{pairs, plain, table};
use crate::shown::named;

/// Sensors that one request asks for.
const PAGE: u32 = 1_000;

/// Options of `devices`.
#[derive(Debug, Args)]
pub(crate) struct DevicesArgs {
    #[command(subcommand)]
    command: Option<DevicesCommand>,
}

/// What to do with devices. Without one they are listed.
#[derive(Debug, Subcommand)]
enum DevicesCommand {
    /// List the sensors with their keys.
    List,
    /// Make the key that a sensor shows the sensor's own: what is not signed with it is from then on
    /// recorded as such. Compare the fingerprint with that on the device first.
    Approve(ApproveArgs),
    /// Retire a sensor's key.
    Retire(RetireArgs),
}

/// Options of `devices approve`.
#[derive(Debug, Args)]
struct ApproveArgs {
    /// UUID of the sensor.
    sensor: String,

    /// Fingerprint of the key, as the device shows it: `SHA256:...`.
    fingerprint: String,

    /// Why. It stays in the log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Options of `devices retire`.
#[derive(Debug, Args)]
struct RetireArgs {
    /// UUID of the sensor.
    sensor: String,

    /// Why. It stays in the log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// All of them.
#[derive(Debug, Serialize)]
struct Devices {
    devices: Vec<Sensor>,
}

impl fmt::Display for Devices {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.devices.iter().map(|device| {
            let state = &device.state;
            let key = match state.offered_key.is_empty() {
                true => state.key.clone(),
                false => format!("{} (to be approved)", state.offered_key),
            };
            [
                plain(&state.profile.id),
                named(&state.profile.alias, &state.profile.id),
                plain(&state.profile.location),
                state.standing.name().to_owned(),
                plain(&key),
                plain(&state.condition),
            ]
        });
        let names = [
            "sensor",
            "alias",
            "location",
            "key is",
            "fingerprint",
            "what is odd",
        ];
        formatter.write_str(&table(names, rows))
    }
}

/// What was decided.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Decided(DecidedKey);

impl fmt::Display for Decided {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = self
            .0
            .entry
            .map_or("unknown".to_owned(), |entry| entry.to_string());
        formatter.write_str(&pairs([
            ("sensor", plain(&self.0.sensor)),
            ("key", plain(&self.0.key)),
            ("recorded by entry", entry),
        ]))
    }
}

/// Lists devices, or decides about a key.
pub(crate) fn run(args: &DevicesArgs, context: &Context) -> anyhow::Result<Exit> {
    let client = context.client()?;
    let decided: DecidedKey = match &args.command {
        None | Some(DevicesCommand::List) => {
            let mut devices = Vec::new();
            let mut offset = Some(0);
            while let Some(from) = offset {
                let path = format!("/api/sensors?offset={from}&limit={PAGE}");
                let page: SensorList = client.get(&path)?;
                devices.extend(page.sensors);
                offset = page.next_offset;
            }
            context.output.show(&Devices { devices })?;
            return Ok(Exit::Ok);
        }
        Some(DevicesCommand::Approve(args)) => client.post(
            "/api/devices/approve",
            &json!({"sensor": args.sensor, "fingerprint": args.fingerprint, "reason": args.reason}),
        )?,
        Some(DevicesCommand::Retire(args)) => client.post(
            "/api/devices/retire",
            &json!({"sensor": args.sensor, "reason": args.reason}),
        )?,
    };
    context.output.show(&Decided(decided))?;
    Ok(Exit::Ok)
}
