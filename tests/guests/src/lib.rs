//! Guests that misbehave, for the tests.
