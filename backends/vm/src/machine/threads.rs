//! Threads that run parts of one kernel at the same time.
//!
//! The range is cut into a few parts a thread, and whoever is free takes the next one, so that a thread that the system
//! holds up does not hold up all: one that took no part is not waited for. Parts do not see each other, so results depend neither
//! on timing nor on their number. Idle threads look for work for a short while, since the next kernel usually follows at once, and
//! then sleep.

use std::cell::UnsafeCell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

/// How long a thread looks for work before it sleeps: longer than most kernels take that run on one thread, since waking a thread
/// costs as much as a small kernel.
const SPIN: Duration = Duration::from_micros(200);
/// Parts of a range for each thread.
const PARTS: usize = 4;

/// What is to be done: called with the part of the range that a thread is to run.
type Work<'a> = &'a (dyn Fn(Range<i64>) + Sync);

struct Shared {
    /// Which piece of work this is (upper half), and how many of its parts nobody has taken yet.
    ticket: AtomicU64,
    /// Parts that are finished.
    done: AtomicUsize,
    stop: AtomicBool,
    job: UnsafeCell<Option<Job>>,
    asleep: Box<[AtomicBool]>,
}

#[derive(Clone, Copy)]
struct Job {
    work: *const (dyn Fn(Range<i64>) + Sync),
    begin: i64,
    end: i64,
    parts: usize,
}

// SAFETY: `job` is read only by whoever took a part of it, and written only when all parts that were taken are finished and none is
// left to take.
unsafe impl Sync for Shared {}
// SAFETY: the pointer in `job` is used only while `Threads::run` is in the call that lends it.
unsafe impl Send for Shared {}

/// Some threads besides the calling one.
pub struct Threads {
    shared: Arc<Shared>,
    workers: Vec<(JoinHandle<()>, Thread)>,
    /// Pieces of work so far.
    epoch: u32,
}

impl std::fmt::Debug for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Threads({})", self.count())
    }
}

impl Threads {
    /// Starts threads so that `count` can work at the same time, the caller being one of them. Fewer when the system
    /// refuses.
    pub fn new(count: usize) -> Threads {
        let helpers = count.saturating_sub(1);
        let shared = Arc::new(Shared {
            ticket: AtomicU64::new(0),
            done: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            job: UnsafeCell::new(None),
            asleep: (0..helpers).map(|_| AtomicBool::new(false)).collect(),
        });
        let mut workers = Vec::with_capacity(helpers);
        for index in 0..helpers {
            let shared = shared.clone();
            let Ok(handle) =
                std::thread::Builder::new().name(format!("nim-{index}")).spawn(move || worker(&shared, index))
            else {
                break;
            };
            let thread = handle.thread().clone();
            workers.push((handle, thread));
        }
        Threads { shared, workers, epoch: 0 }
    }

    /// How many work at the same time.
    pub fn count(&self) -> usize {
        self.workers.len() + 1
    }

    /// Runs `work` on equal parts of a range, on all threads, and waits for the end.
    pub fn run(&mut self, range: Range<i64>, work: Work<'_>) {
        let size = range.end.saturating_sub(range.start).max(0);
        let most = if self.workers.is_empty() { 1 } else { PARTS * self.count() };
        let parts = most.min(usize::try_from(size).unwrap_or(usize::MAX));
        if parts <= 1 {
            if size > 0 {
                work(range);
            }
            return;
        }
        // SAFETY: only the lifetime is changed. The pointer is not used after this function: it waits below until all parts are
        // finished, and without a part nobody uses it.
        let work_ptr: *const (dyn Fn(Range<i64>) + Sync) =
            unsafe { std::mem::transmute::<Work<'_>, &'static (dyn Fn(Range<i64>) + Sync)>(work) };
        let job = Job { work: work_ptr, begin: range.start, end: range.end, parts };
        let shared = &*self.shared;
        // SAFETY: no part of the last job is left or running, and `&mut self` excludes other callers.
        unsafe { *shared.job.get() = Some(job) };
        shared.done.store(0, Ordering::Relaxed);
        self.epoch = self.epoch.wrapping_add(1);
        shared.ticket.store(u64::from(self.epoch) << 32 | parts as u64, Ordering::SeqCst);
        for (asleep, (_, thread)) in shared.asleep.iter().zip(&self.workers) {
            if asleep.load(Ordering::SeqCst) {
                thread.unpark();
            }
        }
        while take_part(shared) {}
        let done = || shared.done.load(Ordering::Acquire) == parts;
        while !spin_until(&done) {
            std::thread::yield_now();
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for (handle, thread) in self.workers.drain(..) {
            thread.unpark();
            // A worker does not panic; if it did, its work was lost with it and nobody waits any more.
            let _ = handle.join();
        }
    }
}

/// Part `index` of the job's range.
fn part(job: &Job, index: usize) -> Range<i64> {
    let (size, parts) = (i128::from(job.end) - i128::from(job.begin), job.parts as i128);
    let at = |i: usize| (i128::from(job.begin) + size * i as i128 / parts) as i64;
    at(index)..at(index + 1)
}

/// Parts that nobody has taken yet.
fn left(ticket: u64) -> u32 {
    ticket as u32
}

/// Takes a part and runs it; false when none is left.
fn take_part(shared: &Shared) -> bool {
    let mut ticket = shared.ticket.load(Ordering::Acquire);
    loop {
        if left(ticket) == 0 {
            return false;
        }
        match shared.ticket.compare_exchange_weak(ticket, ticket - 1, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => break,
            Err(now) => ticket = now,
        }
    }
    // SAFETY: the job was written before its ticket, and is not written again before this part is finished.
    if let Some(job) = unsafe { *shared.job.get() } {
        // SAFETY: the lender waits until this part is finished.
        let work = unsafe { &*job.work };
        work(part(&job, job.parts - left(ticket) as usize));
    }
    shared.done.fetch_add(1, Ordering::Release);
    true
}

/// Waits for a condition for a short while; whether it came true.
fn spin_until(condition: &dyn Fn() -> bool) -> bool {
    // The clock costs more than a look at the condition.
    const LOOKS: u32 = 64;
    let start = Instant::now();
    loop {
        for _ in 0..LOOKS {
            if condition() {
                return true;
            }
            std::hint::spin_loop();
        }
        if start.elapsed() > SPIN {
            return false;
        }
    }
}

fn worker(shared: &Shared, index: usize) {
    let wanted = |order| left(shared.ticket.load(order)) > 0 || shared.stop.load(order);
    loop {
        while !spin_until(&|| wanted(Ordering::Acquire)) {
            shared.asleep[index].store(true, Ordering::SeqCst);
            // Looked at again after the flag is up: either we see the new ticket or its maker sees the flag.
            if !wanted(Ordering::SeqCst) {
                std::thread::park();
            }
            shared.asleep[index].store(false, Ordering::SeqCst);
        }
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        while take_part(shared) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicI64;
    use std::time::Duration;

    #[test]
    fn every_part_runs_once() {
        let mut threads = Threads::new(3);
        for n in [0i64, 1, 2, 3, 7, 1000] {
            for round in 0..20 {
                let (sum, count) = (AtomicI64::new(0), AtomicI64::new(0));
                threads.run(5..5 + n, &|r| {
                    count.fetch_add(r.end - r.start, Ordering::Relaxed);
                    sum.fetch_add(r.sum::<i64>(), Ordering::Relaxed);
                });
                assert_eq!(count.into_inner(), n);
                assert_eq!(sum.into_inner(), (5..5 + n).sum::<i64>());
                if round == 10 {
                    // Long enough for the workers to fall asleep.
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
    }
}
