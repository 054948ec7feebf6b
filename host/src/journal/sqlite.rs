//! Stand-in.
/// The journal.
pub struct SqliteJournal {}
