//! Stays with a program.
