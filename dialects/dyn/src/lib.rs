//! The dyn dialect: when and where.
