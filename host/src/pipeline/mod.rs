//! Stand-in.
/// What stands in a listed target for a value that a preview assumed.
pub const HOLE: &str = "‹assumed›";
