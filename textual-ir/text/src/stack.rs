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
pub fn on_deep_stack<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    let mut f = Some(f);
    let made = std::thread::scope(|scope| {
        let run = || {
            LEVELS.set(DEEP);
            f.take().map(|f| f())
        };
        let thread = std::thread::Builder::new().name("main".into()).stack_size(DEEP_STACK).spawn_scoped(scope, run);
        match thread.map(|t| t.join()) {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => None,
        }
    });
    match (made, f) {
        (Some(result), _) => result,
        (None, Some(f)) => f(),
        (None, None) => unreachable!("the function was run and gave a result"),
    }
}
