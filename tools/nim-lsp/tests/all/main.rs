//! The language server, asked by a real client over standard streams.

mod client;
mod features;
mod suite;
