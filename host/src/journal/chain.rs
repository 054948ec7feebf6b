//! Stand-in.
/// An altered event.
#[derive(Debug, Clone, thiserror::Error)]
#[error("altered")]
pub struct Altered {}
