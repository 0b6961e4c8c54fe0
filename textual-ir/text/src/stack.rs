//! Stacks for texts that are nested deeply.
//!
//! Parser, printer and dialects' own syntax recurse along the nesting of ops. An ordinary thread has room for
//! [`SHALLOW`] levels; [`on_deep_stack`] makes one that has room for [`DEEP`]. Memory is used only as far as a text is nested.

use std::cell::Cell;

/// Levels that fit into a stack of 2 MiB, that of a thread of Rust's.
const SHALLOW: u32 = 160;
/// Levels on a stack of its own. An op in a region of an op is two levels.
const DEEP: u32 = 400_000;
/// Bytes of address space for it, with room for code that is not optimised.
const DEEP_STACK: usize = if cfg!(debug_assertions) { 8 << 30 } else { 4 << 30 };

thread_local! {
    /// How deeply texts may be nested on this thread's stack.
    static LEVELS: Cell<u32> = const { Cell::new(SHALLOW) };
}

/// How deeply texts may be nested on this thread's stack.
pub fn max_depth() -> u32 {
    LEVELS.get()
}

/// Runs a function on a stack that has room for deeply nested texts; on this one where the system gives no such stack.
///
/// It stays on this thread: memory that glibc gives to the first thread grows by the piece, that of others by the page, each
/// with a call of the kernel.
pub fn on_deep_stack<T>(f: impl FnOnce() -> T) -> T {
    let before = LEVELS.get();
    if before >= DEEP || !has_room() {
        return f();
    }
    LEVELS.set(DEEP);
    let result = stacker::grow(DEEP_STACK, f);
    LEVELS.set(before);
    result
}

/// True when the system gives a stack of that size. `stacker` panics where it does not; making a thread says so.
fn has_room() -> bool {
    let thread = std::thread::Builder::new().stack_size(DEEP_STACK).spawn(|| ());
    thread.is_ok_and(|thread| thread.join().is_ok())
}
