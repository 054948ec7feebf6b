//! Lines for the run's log and report.

use std::fmt::Display;

use crate::bindings::action::ripcord::plugin::log as wit;

pub use wit::Level;

/// For whoever looks into the plugin itself.
pub fn debug(message: impl Display) {
    line(Level::Debug, message);
}

/// What a person who follows the run wants to know.
pub fn info(message: impl Display) {
    line(Level::Info, message);
}

/// What a person should look at afterwards.
pub fn warn(message: impl Display) {
    line(Level::Warn, message);
}

/// What went wrong.
pub fn error(message: impl Display) {
    line(Level::Error, message);
}

fn line(level: Level, message: impl Display) {
    wit::log(level, &message.to_string());
}
