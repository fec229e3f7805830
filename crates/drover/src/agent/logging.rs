//! The agent's log: to standard output, and to whoever watches it over the API.

use drover_rt::telemetry::{LogHub, LogOptions};

use super::Settings;

/// Installs the log for the whole process.
pub(crate) fn install(settings: &Settings) -> LogHub {
    LogHub::install(&LogOptions {
        level: settings.config.log_level.clone(),
        json: settings.config.log_json,
        location: settings.config.log_include_location,
    })
}
