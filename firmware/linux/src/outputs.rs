//! Outputs as files.

use std::fs;

use fieldledger_device::actuator::{Channel, Value};

use crate::settings::OutputSettings;

/// The channel of an output; none where its name is too long.
pub(crate) fn channel(settings: &OutputSettings) -> Option<Channel> {
    let name = settings.channel.as_str().try_into().ok()?;
    let (neutral, levels) = match settings.levels {
        None => (Value::Switch(false), (0, 0)),
        Some(levels) => (Value::Level(levels.neutral), (levels.low, levels.high)),
    };
    Some(Channel {
        name,
        neutral,
        levels,
    })
}

/// Writes a value to the file of `channel`. A failure is logged: the command's end will try again.
pub(crate) fn set(outputs: &[OutputSettings], channel: &str, value: Value) {
    let Some(output) = outputs.iter().find(|output| output.channel == channel) else {
        return;
    };
    let text = match value {
        Value::Switch(is_on) => i64::from(is_on).to_string(),
        Value::Level(level) => level.to_string(),
    };
    match fs::write(&output.file, &text) {
        Ok(()) => tracing::info!(channel, value = text, "output set"),
        Err(error) => {
            let file = output.file.display();
            tracing::error!(channel, value = text, %file, %error, "output cannot be set");
        }
    }
}

/// Makes every output neutral.
pub(crate) fn set_neutral(outputs: &[OutputSettings]) {
    for output in outputs {
        if let Some(channel) = channel(output) {
            set(outputs, &channel.name, channel.neutral);
        }
    }
}
