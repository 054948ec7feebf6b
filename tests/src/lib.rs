//! ripcord's tests against the real thing.
