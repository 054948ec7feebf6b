//! What cargo itself cannot do.
fn main() {}
