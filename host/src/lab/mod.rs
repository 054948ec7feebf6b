//! The lab: real services on this machine, for `ripcord demo` and for tests.

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod authority;
pub mod mailbox;
