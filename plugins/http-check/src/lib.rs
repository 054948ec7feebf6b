//! Observes an HTTP endpoint.
