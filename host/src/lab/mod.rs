//! The lab: real services on this machine, for `ripcord demo` and for tests.

pub mod mailbox;
