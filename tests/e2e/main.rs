//! With real pods.
fn main() {}
