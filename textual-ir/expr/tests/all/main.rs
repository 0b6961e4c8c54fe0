//! Symbolic expressions: canonical form, facts, properties, text.

mod canonical;
mod facts;
mod properties;
mod text;
