//! Where LLVM gives up: an instruction that it cannot select, a constraint that it cannot meet. It then ends the process
//! and leaves no way back. What can be done is to say which kernel it was, whose name tells the node of the model.

#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ffi::{CStr, c_char};
use std::io::Write;
use std::sync::Once;

thread_local! {
    /// What this thread compiles.
    static KERNEL: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Says that this thread works on a kernel, until it is dropped.
pub(crate) struct Working;

impl Working {
    pub(crate) fn on(kernel: &str) -> Working {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            // SAFETY: the handler neither unwinds nor returns; no other handler is installed in this process.
            unsafe { inkwell::support::error_handling::install_fatal_error_handler(give_up) };
        });
        KERNEL.with(|k| *k.borrow_mut() = Some(kernel.to_owned()));
        Working
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        KERNEL.with(|k| *k.borrow_mut() = None);
    }
}

/// LLVM's last words, with the kernel that it worked on.
extern "C" fn give_up(reason: *const c_char) {
    // SAFETY: LLVM passes a string that ends in a zero byte and lives until this function returns.
    let reason = unsafe { CStr::from_ptr(reason) }.to_string_lossy();
    let kernel = KERNEL.with(|k| k.try_borrow().ok().and_then(|k| k.clone()));
    let place = kernel.map_or(String::new(), |k| format!(" on kernel `{k}`"));
    let message = format!("error: LLVM gives up{place}: {reason}\n");
    // Nobody can be told that standard error is closed.
    let _ = std::io::stderr().write_all(message.as_bytes());
    // SAFETY: ends the process at once. Other threads are inside LLVM, so nothing of it may be torn down first.
    unsafe { libc::_exit(1) };
}
