//! Writes a ripcord plugin in Rust.
