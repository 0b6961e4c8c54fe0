//! Tests of nim-opt as a program that are more than a file of the test suite.

mod deep;
mod interop;
mod reproducer;
