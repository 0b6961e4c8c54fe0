//! Ctrl-C and its like: what is not finished is removed, and the process ends at once, in the way that the system expects
//! of it (a shell shows 130 after Ctrl-C).

use crate::files;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ},
    flag,
    iterator::Signals,
    low_level::emulate_default_handler,
};
use std::sync::{Arc, atomic::AtomicBool};

/// Watches for signals from now on. Where the system refuses, they end the process as they always do.
pub(crate) fn watch() {
    // A file above the limit of the shell is an error of the write then, and not the end of the process.
    let _ = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else { return };
    let wait = move || {
        for signal in &mut signals {
            files::remove_unfinished();
            // What comes back from it has no effect: there is nobody left to be told.
            let _ = emulate_default_handler(signal);
        }
    };
    let _ = std::thread::Builder::new().name("signals".into()).spawn(wait);
}
