//! The library as C sees it: its header, programs in C that link it, what it does with nonsense.

mod header;
mod native;
mod programs;
mod support;
