//! Rolls one connector back.
