//! The loops dialect: how the machine walks.
