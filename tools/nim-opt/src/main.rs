//! The pass driver.
fn main() {}
