//! Tests of nim-opt as a program that are more than a file of the test suite.

mod attack;
mod deep;
mod interop;
mod nothing;
mod reproducer;
