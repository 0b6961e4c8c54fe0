//! Threads that run parts of one kernel at the same time.
//!
//! The range is cut into a few parts a thread, and whoever is free takes the next one, so that a thread that the system
//! holds up does not hold up all. Parts do not see each other, so results depend neither on timing nor on their number.
//! Idle threads look for work for a short while, since the next kernel usually follows at once, and then sleep.

use std::cell::UnsafeCell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

/// How long a thread looks for work before it sleeps. Waking a thread costs about as much as this.
const SPIN: Duration = Duration::from_micros(50);
/// Parts of a range for each thread.
const PARTS: usize = 4;

/// What is to be done: called with the part of the range that a thread is to run.
type Work<'a> = &'a (dyn Fn(Range<i64>) + Sync);

struct Shared {
    /// Grows by one with each piece of work.
    epoch: AtomicU64,
    /// Threads that have not finished yet.
    pending: AtomicUsize,
    /// The next part that nobody has taken.
    next: AtomicUsize,
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

// SAFETY: `job` is written only while `pending` is 0, that is while no worker reads it, and published by `epoch`.
unsafe impl Sync for Shared {}
// SAFETY: the pointer in `job` is used only while `Threads::run` is in the call that lends it.
unsafe impl Send for Shared {}

/// Some threads besides the calling one.
pub struct Threads {
    shared: Arc<Shared>,
    workers: Vec<(JoinHandle<()>, Thread)>,
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
            epoch: AtomicU64::new(0),
            pending: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
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
        Threads { shared, workers }
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
        // SAFETY: only the lifetime is changed. The pointer is not used after this function: it waits below until every
        // worker has finished with it.
        let work_ptr: *const (dyn Fn(Range<i64>) + Sync) =
            unsafe { std::mem::transmute::<Work<'_>, &'static (dyn Fn(Range<i64>) + Sync)>(work) };
        let job = Job { work: work_ptr, begin: range.start, end: range.end, parts };
        let shared = &*self.shared;
        // SAFETY: `pending` is 0 (it was when the last call returned, and `&mut self` excludes others), so no worker
        // reads the job.
        unsafe { *shared.job.get() = Some(job) };
        shared.pending.store(self.workers.len(), Ordering::Relaxed);
        shared.next.store(0, Ordering::Relaxed);
        shared.epoch.fetch_add(1, Ordering::SeqCst);
        for (asleep, (_, thread)) in shared.asleep.iter().zip(&self.workers) {
            if asleep.load(Ordering::SeqCst) {
                thread.unpark();
            }
        }
        take_parts(shared, &job, work);
        let done = || shared.pending.load(Ordering::Acquire) == 0;
        while !spin_until(&done) {
            std::thread::yield_now();
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.epoch.fetch_add(1, Ordering::SeqCst);
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

/// Runs parts that nobody has taken yet until there are none.
fn take_parts(shared: &Shared, job: &Job, work: Work<'_>) {
    loop {
        let index = shared.next.fetch_add(1, Ordering::Relaxed);
        if index >= job.parts {
            return;
        }
        work(part(job, index));
    }
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
    let mut seen = 0;
    loop {
        while !spin_until(&|| shared.epoch.load(Ordering::Acquire) != seen) {
            shared.asleep[index].store(true, Ordering::SeqCst);
            // Looked at again after the flag is up: either we see the new epoch or its maker sees the flag.
            if shared.epoch.load(Ordering::SeqCst) == seen {
                std::thread::park();
            }
            shared.asleep[index].store(false, Ordering::SeqCst);
        }
        seen = shared.epoch.load(Ordering::Acquire);
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        // SAFETY: the job was written before the epoch was raised, and is not written again before `pending` is 0.
        if let Some(job) = unsafe { *shared.job.get() } {
            // SAFETY: the lender waits until `pending` is 0.
            take_parts(shared, &job, unsafe { &*job.work });
        }
        shared.pending.fetch_sub(1, Ordering::Release);
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
