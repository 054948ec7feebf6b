//! Observes what a command prints.
