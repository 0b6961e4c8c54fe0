//! Reference interpreter of every dialect we own.
