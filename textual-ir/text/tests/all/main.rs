//! Text to IR and back, and what is said of texts that are wrong.

mod common;
mod errors;
mod growth;
mod mutations;
mod round_trip;
