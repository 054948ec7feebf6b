//! Builds components from a build script, so that a crate can embed them.
