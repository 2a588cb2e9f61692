//! A program with its memory and threads: what runs.

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::float::FloatKernels;
use super::run::{self, Input, Output, Part};
use super::step::{FloatWork, Step, Work};
use super::thread_pool::ThreadPool;
use super::{AlignedBytes, Kernels};

/// A program of steps, fixed once it is planned.
#[derive(Debug)]
pub struct Program {
    /// In the order in which they run. Their places count from the arena's start and lie inside it, slack included.
    pub steps: Vec<Step>,
    /// Bytes of the arena.
    pub arena_len: usize,
    /// Constants with their places in the arena.
    pub constants: Vec<(usize, Arc<AlignedBytes>)>,
    /// The kernels that the weights are packed for; this processor can run them.
    pub kernels: &'static dyn Kernels,
    /// The same for weights of floats.
    pub floats: &'static dyn FloatKernels,
}

/// A thread of the pool panicked; the executor cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a thread of the integer engine failed")
    }
}

impl std::error::Error for Broken {}

/// From how many microseconds on a step is shared: several times what handing chunks out costs.
const SHARED_US: u64 = 6;

/// Chunks of a shared step for each thread: more than one, so that a slow or busy core does less than its share.
const CHUNKS: usize = 2;

/// Bytes that a step without multiply-accumulates writes in a microsecond, about.
const BYTES_PER_US: usize = 4_000;

/// A program's memory and threads.
pub struct Executor {
    shared: Arc<Shared>,
    pool: Option<Arc<ThreadPool>>,
    helpers: Vec<JoinHandle<()>>,
}

struct Shared {
    program: Arc<Program>,
    /// Steps that all threads share.
    spread: Vec<bool>,
    threads: usize,
    /// Holds the memory that `base` points to.
    _arena: AlignedBytes,
    /// The arena's first byte.
    base: *mut i8,
}

// SAFETY: `base` points into `_arena`, whose memory never moves; threads touch it only in chunks that the pool hands out, and those of one step
// are apart in what they write, while steps follow one another.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").field("threads", &self.shared.threads).finish_non_exhaustive()
    }
}

impl Executor {
    /// Memory for a program, and `threads − 1` helping threads if any step is worth sharing.
    pub fn new(program: &Arc<Program>, threads: usize) -> Self {
        Self::sharing(program, threads, worth_sharing)
    }

    /// As [`Executor::new`], sharing every step that can be shared, however small: for tests.
    #[cfg(test)]
    pub fn sharing_all(program: &Arc<Program>, threads: usize) -> Self {
        Self::sharing(program, threads, |step, _| !is_edge(step))
    }

    fn sharing(program: &Arc<Program>, threads: usize, share: fn(&Step, &Program) -> bool) -> Self {
        let spread: Vec<bool> = program.steps.iter().map(|step| threads > 1 && share(step, program)).collect();
        let threads = if spread.contains(&true) { threads } else { 1 };
        let mut arena = AlignedBytes::zeroed(program.arena_len);
        for (start, bytes) in &program.constants {
            arena.as_mut_slice()[*start..][..bytes.len()].copy_from_slice(bytes.as_slice());
        }
        let base = arena.as_mut_ptr().cast();
        let shared = Arc::new(Shared { program: program.clone(), spread, threads, _arena: arena, base });
        let pool = if threads > 1 { ThreadPool::new(threads * CHUNKS, program.steps.len()) } else { None };
        let mut helpers = Vec::new();
        for index in (1..threads).filter(|_| pool.is_some()) {
            let (shared, pool) = (shared.clone(), pool.clone());
            let body = move || {
                let Some(pool) = pool else { return };
                let count = shared.threads * CHUNKS;
                pool.help(|step, index| {
                    let step = &shared.program.steps[step];
                    // SAFETY: the pool hands each chunk out once, after the steps before and before the steps behind; see `Shared`.
                    unsafe { run_part(&shared.program, step, shared.base, Part { index, count }) };
                });
            };
            // Where the system gives no more threads, those that there are do the work.
            helpers.extend(std::thread::Builder::new().name(format!("int8 {index}")).spawn(body));
        }
        Executor { shared, pool, helpers }
    }

    /// One inference. `after` is told each step when it is done, by its index.
    ///
    /// # Errors
    /// [`Broken`], and then always.
    ///
    /// # Panics
    /// An input or output has fewer elements, or another type, than the program was made for.
    pub fn run(
        &mut self,
        inputs: &[Input],
        outputs: &mut [Output],
        after: &mut dyn FnMut(usize),
    ) -> Result<(), Broken> {
        let (shared, pool) = (&*self.shared, self.pool.as_deref());
        if pool.is_some_and(ThreadPool::is_broken) {
            return Err(Broken);
        }
        let (program, base) = (&*shared.program, shared.base);
        pool.inspect(|pool| pool.begin());
        let mut whole = true;
        for (index, step) in program.steps.iter().enumerate() {
            match (&step.work, pool) {
                // SAFETY: this thread alone runs what is not shared, and the arena is the program's.
                (Work::Load { port, .. }, _) => unsafe {
                    run::load(step, program.kernels.bytes(), base, inputs[*port])
                },
                // SAFETY: as above.
                (Work::Store { port, .. }, _) => unsafe {
                    run::store(step, program.kernels.bytes(), base, &mut outputs[*port])
                },
                // SAFETY: as above.
                (Work::Float(FloatWork::Load { port, .. }), _) => unsafe {
                    run::float::load(step, program.floats, base, inputs[*port])
                },
                (Work::Float(FloatWork::Store { port, .. }), _) => unsafe {
                    // SAFETY: as above.
                    run::float::store(step, program.floats, base, &mut outputs[*port]);
                },
                (_, Some(pool)) if shared.spread[index] => {
                    let count = shared.threads * CHUNKS;
                    whole = pool.share(index, |chunk| {
                        let part = Part { index: chunk, count };
                        // SAFETY: `Program` says that places lie inside the arena and the kernels suit the processor; chunks are
                        // disjoint in what they write, and no thread is at another step.
                        unsafe { run_part(program, step, base, part) };
                    });
                    if !whole {
                        break;
                    }
                }
                // SAFETY: as above.
                _ => unsafe { run_part(program, step, base, Part::WHOLE) },
            }
            after(index);
        }
        pool.inspect(|pool| pool.rest());
        if whole { Ok(()) } else { Err(Broken) }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.pool.iter().for_each(|pool| pool.end());
        for helper in self.helpers.drain(..) {
            // One that panicked has said so already.
            drop(helper.join());
        }
    }
}

/// Runs a thread's part of a step that stays inside the arena, on the kernels that it is for.
///
/// # Safety
/// As [`run::run`]; the step is one of the program's, whose kernels suit the processor.
unsafe fn run_part(program: &Program, step: &Step, base: *mut i8, part: Part) {
    match &step.work {
        // SAFETY: the caller's promise.
        Work::Float(work) => unsafe { run::float::run(work, (program.floats, program.kernels), base, part) },
        // SAFETY: the caller's promise.
        _ => unsafe { run::run(step, program.kernels, base, part) },
    }
}

/// True for a step that reads an input or writes an output, which only the caller's thread does.
fn is_edge(step: &Step) -> bool {
    use FloatWork::{Load, Store};
    matches!(step.work, Work::Load { .. } | Work::Store { .. } | Work::Float(Load { .. } | Store { .. }))
}

fn worth_sharing(step: &Step, program: &Program) -> bool {
    let rate = match step.work {
        Work::Float(_) => program.floats.macs_per_us(),
        _ => program.kernels.macs_per_us(),
    };
    let us = step.macs / rate.max(1) + (step.bytes / BYTES_PER_US) as u64;
    !is_edge(step) && us >= SHARED_US
}
