//! ripcord
fn main() {}
