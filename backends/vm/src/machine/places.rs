//! Which CPUs threads run on.
//!
//! A system that wakes a thread likes to put it on the CPU of who woke it. Where CPUs share no cache it leaves it there for
//! milliseconds, and the two take turns while the other CPU idles: half the speed of one thread. So the workers keep off the CPU of
//! the thread that calls them, wherever that runs, and are otherwise free to go where there is room.

use std::sync::atomic::{AtomicI32, Ordering};

/// Where the workers of one caller may run.
pub struct Places {
    /// CPUs that the process may use.
    allowed: Vec<usize>,
    /// The system's numbers of the workers; 0 before they run.
    workers: Box<[AtomicI32]>,
    pinned: bool,
}

impl Places {
    /// Places of so many workers. `pinned` ones stay each on a CPU of its own, and the calling thread too.
    pub fn new(workers: usize, pinned: bool) -> Places {
        let allowed = system::allowed();
        let enough = allowed.len() > workers;
        if pinned && enough {
            system::restrict(0, &allowed[..1]);
        }
        Places {
            allowed: if enough { allowed } else { vec![] },
            workers: (0..workers).map(|_| AtomicI32::new(0)).collect(),
            pinned,
        }
    }

    /// What worker `index` calls when it begins.
    pub fn arrive(&self, index: usize) {
        if let (true, Some(&own)) = (self.pinned, self.allowed.get(index + 1)) {
            system::restrict(0, &[own]);
        }
        self.workers[index].store(system::this_thread(), Ordering::Release);
    }

    /// Keeps the workers away from the CPU that the calling thread is on; `last` is the one they keep away from already.
    pub fn keep_away(&self, last: &mut Option<usize>) {
        if self.pinned || self.allowed.is_empty() {
            return;
        }
        let here = system::this_cpu();
        if here == *last {
            return;
        }
        let others: Vec<usize> = self.allowed.iter().copied().filter(|&cpu| Some(cpu) != here).collect();
        let numbers = self.workers.iter().map(|w| w.load(Ordering::Acquire));
        // One that does not run yet is told at another call.
        let told = numbers.filter(|&number| number != 0).map(|number| system::restrict(number, &others)).count();
        if told == self.workers.len() {
            *last = here;
        }
    }
}

/// Keeps a thread on one CPU until the value goes.
#[derive(Debug)]
pub struct Pinned {
    /// Where it could run before.
    allowed: Vec<usize>,
}

impl Pinned {
    /// Keeps the calling thread where it is.
    pub(super) fn new() -> Pinned {
        let allowed = system::allowed();
        let here = system::this_cpu().filter(|here| allowed.contains(here));
        if let Some(here) = here {
            system::restrict(0, &[here]);
        }
        Pinned { allowed }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if !self.allowed.is_empty() {
            system::restrict(0, &self.allowed);
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::mem::{size_of, zeroed};

    /// The CPUs that this thread may run on; none where they cannot be told.
    pub fn allowed() -> Vec<usize> {
        // SAFETY: the system fills a set of the size that it is told.
        let set = unsafe {
            let mut set: libc::cpu_set_t = zeroed();
            if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) != 0 {
                return vec![];
            }
            set
        };
        // SAFETY: the numbers are within the set.
        (0..libc::CPU_SETSIZE as usize).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect()
    }

    /// Lets a thread (0: this one) run on these CPUs only. Where the system refuses, all stays as it is.
    pub fn restrict(thread: i32, cpus: &[usize]) {
        // SAFETY: the numbers come from `allowed`, so they are within the set, which the system only reads.
        unsafe {
            let mut set: libc::cpu_set_t = zeroed();
            for &cpu in cpus {
                libc::CPU_SET(cpu, &mut set);
            }
            libc::sched_setaffinity(thread, size_of::<libc::cpu_set_t>(), &raw const set);
        }
    }

    pub fn this_thread() -> i32 {
        // SAFETY: asks the system for a number.
        unsafe { libc::gettid() }
    }

    pub fn this_cpu() -> Option<usize> {
        // SAFETY: asks the system for a number.
        usize::try_from(unsafe { libc::sched_getcpu() }).ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub fn allowed() -> Vec<usize> {
        vec![]
    }
    pub fn restrict(_: i32, _: &[usize]) {}
    pub fn this_thread() -> i32 {
        0
    }
    pub fn this_cpu() -> Option<usize> {
        None
    }
}
