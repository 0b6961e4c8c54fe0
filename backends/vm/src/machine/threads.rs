//! Threads that run parts of one kernel at the same time.
//!
//! Each thread has its own piece of every range, the same for all kernels: what one of them wrote in one kernel is in its own caches
//! when it reads that part in the next. Pieces are cut into a few parts, and who has none left takes the last one of another thread,
//! so that a thread that the system holds up does not hold up all: one that took no part is not waited for. Parts do not see each
//! other, so results depend neither on timing nor on their number. Idle threads look for work for a short while, since the next kernel
//! usually follows at once, and then sleep.

use super::places::Places;
use std::cell::UnsafeCell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

/// How long a thread looks for work before it sleeps: longer than most kernels take that run on one thread, since waking a thread
/// costs as much as a small kernel.
const SPIN: Duration = Duration::from_micros(200);
/// Parts of a thread's piece.
const PARTS: usize = 4;
/// Most threads, so that numbers of parts fit a [`Piece`].
const MAX_THREADS: usize = (u16::MAX as usize) / PARTS;

/// What is to be done: called with the part of the range that a thread is to run.
type Work<'a> = &'a (dyn Fn(Range<i64>) + Sync);

/// The parts of a thread's piece that nobody has taken yet: the number of the job (upper half), the first part and the one behind the
/// last. On cache lines of its own, pairs of which are fetched together: threads may be far from each other.
#[repr(align(128))]
struct Piece(AtomicU64);

impl Piece {
    fn set(&self, epoch: u32, first: usize, end: usize) {
        self.0.store(u64::from(epoch) << 32 | (first as u64) << 16 | end as u64, Ordering::SeqCst);
    }
    fn parts(word: u64) -> Range<usize> {
        usize::from((word >> 16) as u16)..usize::from(word as u16)
    }
    fn has_any(&self, order: Ordering) -> bool {
        !Piece::parts(self.0.load(order)).is_empty()
    }
    /// Takes the first part, or the last one.
    fn take(&self, first: bool) -> Option<usize> {
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            let parts = Piece::parts(word);
            if parts.is_empty() {
                return None;
            }
            let (part, rest) = if first { (parts.start, word + (1 << 16)) } else { (parts.end - 1, word - 1) };
            match self.0.compare_exchange_weak(word, rest, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(part),
                Err(now) => word = now,
            }
        }
    }
}

struct Shared {
    /// One for each thread, the caller's first.
    pieces: Box<[Piece]>,
    /// Parts that are finished.
    done: AtomicUsize,
    stop: AtomicBool,
    job: UnsafeCell<Option<Job>>,
    asleep: Box<[AtomicBool]>,
    places: Places,
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
    /// The CPU that the workers keep away from.
    own_cpu: Option<usize>,
}

impl std::fmt::Debug for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Threads({})", self.count())
    }
}

impl Threads {
    /// Starts threads so that `count` can work at the same time, the caller being one of them. Fewer when the system
    /// refuses. `pinned` ones stay each on a CPU of its own, where there are enough, and so does the calling thread.
    pub fn new(count: usize, pinned: bool) -> Threads {
        let helpers = count.clamp(1, MAX_THREADS) - 1;
        let shared = Arc::new(Shared {
            pieces: (0..=helpers).map(|_| Piece(AtomicU64::new(0))).collect(),
            done: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            job: UnsafeCell::new(None),
            asleep: (0..helpers).map(|_| AtomicBool::new(false)).collect(),
            places: Places::new(helpers, pinned),
        });
        let mut workers = Vec::with_capacity(helpers);
        for index in 0..helpers {
            let shared = shared.clone();
            let Ok(handle) =
                std::thread::Builder::new().name(format!("nim-{index}")).spawn(move || worker(&shared, index + 1))
            else {
                break;
            };
            let thread = handle.thread().clone();
            workers.push((handle, thread));
        }
        Threads { shared, workers, epoch: 0, own_cpu: None }
    }

    /// How many work at the same time.
    pub fn count(&self) -> usize {
        self.workers.len() + 1
    }

    /// Runs `work` on equal parts of a range, on all threads, and waits for the end. Of two ranges of the same size each thread has the
    /// same piece, unless it is late.
    pub fn run(&mut self, range: Range<i64>, work: Work<'_>) {
        let size = range.end.saturating_sub(range.start).max(0);
        let count = self.count();
        let most = if count == 1 { 1 } else { PARTS * count };
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
        self.shared.places.keep_away(&mut self.own_cpu);
        let job = Job { work: work_ptr, begin: range.start, end: range.end, parts };
        let shared = &*self.shared;
        // SAFETY: no part of the last job is left or running, and `&mut self` excludes other callers.
        unsafe { *shared.job.get() = Some(job) };
        shared.done.store(0, Ordering::Relaxed);
        self.epoch = self.epoch.wrapping_add(1);
        // The caller's own piece is the last to be given out: it takes parts only after this.
        for (index, piece) in shared.pieces[..count].iter().enumerate().rev() {
            piece.set(self.epoch, parts * index / count, parts * (index + 1) / count);
        }
        for (asleep, (_, thread)) in shared.asleep.iter().zip(&self.workers) {
            if asleep.load(Ordering::SeqCst) {
                thread.unpark();
            }
        }
        take_parts(shared, 0);
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

/// Runs all parts of a thread's own piece that are left, and then what others have left.
fn take_parts(shared: &Shared, own: usize) {
    let count = shared.pieces.len();
    for at in (0..count).map(|n| (own + n) % count) {
        let mut finished = 0;
        while let Some(index) = shared.pieces[at].take(at == own) {
            // SAFETY: the job was written before its pieces, and is not written again before this part is finished.
            if let Some(job) = unsafe { *shared.job.get() } {
                // SAFETY: the lender waits until this part is finished.
                let work = unsafe { &*job.work };
                work(part(&job, index));
            }
            finished += 1;
        }
        // Once for all of them: who waits looks at it all the time.
        if finished > 0 {
            shared.done.fetch_add(finished, Ordering::Release);
        }
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
    let wanted = |order| shared.pieces[index].has_any(order) || shared.stop.load(order);
    shared.places.arrive(index - 1);
    let asleep = &shared.asleep[index - 1];
    loop {
        while !spin_until(&|| wanted(Ordering::Acquire)) {
            asleep.store(true, Ordering::SeqCst);
            // Looked at again after the flag is up: either we see the new ticket or its maker sees the flag.
            if !wanted(Ordering::SeqCst) {
                std::thread::park();
            }
            asleep.store(false, Ordering::SeqCst);
        }
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        take_parts(shared, index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicI64;
    use std::time::Duration;

    #[test]
    fn every_part_runs_once() {
        let mut threads = Threads::new(3, false);
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
