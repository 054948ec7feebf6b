//! What people read: ripcord's data as text. Nothing here prints, and nothing knows a terminal beyond
//! a [`Style`].
//!
//! Plugins, servers and files say much of what stands in these texts. All of it goes through
//! `page` or [`clean`], which take every control character out of it: what a server answers
//! must not be able to write on somebody's terminal.

mod ask;
pub(crate) mod board;
mod doctor;
mod drift;
mod follow_ups;
mod json;
pub(crate) mod left;
pub mod live;
pub(crate) mod narrate;
mod notices;
mod page;
mod plugin;
mod preview;
mod replayed;
mod runs;
mod show;
pub(crate) mod story;
mod text;
pub(crate) mod time;
mod watched;
pub(crate) mod words;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

use jiff::tz::TimeZone;

pub use ask::{doubt, gate};
pub use board::{AtTry, UnitState};
pub use doctor::{diagnosis, examined, finding_json};
pub use drift::{Changed, DriftCheck, DriftState, DriftWatch, Drifted, Sight};
pub use follow_ups::{FollowUp, ItemNote, follow_ups};
pub use json::{event_json, preview_json, run_line_json};
pub use left::Left;
pub use narrate::Narrator;
pub use notices::{Delivered, Delivery, Told};
pub use plugin::manifest;
pub use preview::{View, preview};
pub use replayed::replayed;
pub use runs::{Holder, RunLine, Standing, WaitsFor, runs};
pub use show::run;
pub use text::clean;
pub use time::date_time;
pub use watched::watched;
pub use words::{Before, Came, Found, FoundBy, Said, request, rounded};

/// How a text is to look.
#[derive(Debug, Clone)]
pub struct Style {
    /// Whether escape codes for colour are allowed. Colour only repeats what the words say.
    pub colour: bool,
    /// How many columns there are. Tables and prose keep to it; what has to be exact does not.
    pub width: usize,
    /// Where the reader is: times are given in this zone.
    pub zone: TimeZone,
}

impl Style {
    /// For a reader on this machine.
    pub fn new(colour: bool, width: usize) -> Self {
        Self { colour, width, zone: time::local_zone() }
    }
}
