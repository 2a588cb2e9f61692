//! A program with its memory and threads: what runs.

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::run::{self, Input, Output, Part};
use super::step::{Step, Work};
use super::team::Meeting;
use super::{AlignedBytes, Kernels};

/// What runs, settled for good.
#[derive(Debug)]
pub struct Program {
    /// In the order in which they run. Their places count from the arena's start and lie inside it, slack included.
    pub steps: Vec<Step>,
    /// Bytes of the arena.
    pub arena_len: usize,
    /// Where in the arena constants lie, and what they are.
    pub constants: Vec<(usize, Vec<i8>)>,
    /// The kernels that the weights are packed for; this processor can run them.
    pub kernels: &'static dyn Kernels,
}

/// A thread of the team panicked; the machine cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a thread of the integer engine failed")
    }
}

impl std::error::Error for Broken {}

/// From how many microseconds on a step is shared: a multiple of what the meetings around it cost, since a core that somebody else is
/// using as well makes them dearer.
const SHARED_US: u64 = 8;

/// Bytes that a step without multiply-accumulates writes in a microsecond, about.
const BYTES_PER_US: usize = 4_000;

/// A program's memory and threads.
pub struct Machine {
    shared: Arc<Shared>,
    meeting: Arc<Meeting>,
    helpers: Vec<JoinHandle<()>>,
}

struct Shared {
    program: Arc<Program>,
    /// Steps that all threads share.
    spread: Vec<bool>,
    threads: usize,
    arena: AlignedBytes,
    /// `arena`'s first byte.
    base: *mut i8,
}

// SAFETY: `base` points into `arena`, which never moves; threads touch it only in `work`, where the meeting keeps parts that write apart
// from everything that reads the same bytes.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("threads", &self.shared.threads).finish_non_exhaustive()
    }
}

impl Machine {
    /// Memory for a program, and `threads − 1` helping threads if any step is worth sharing.
    pub fn new(program: &Arc<Program>, threads: usize) -> Self {
        Self::sharing(program, threads, worth_sharing)
    }

    /// As [`Machine::new`], sharing every step that can be shared, however small: for tests.
    #[cfg(test)]
    pub fn sharing_all(program: &Arc<Program>, threads: usize) -> Self {
        Self::sharing(program, threads, |step, _| !is_edge(step))
    }

    fn sharing(program: &Arc<Program>, threads: usize, share: fn(&Step, &dyn Kernels) -> bool) -> Self {
        let spread: Vec<bool> = program.steps.iter().map(|step| threads > 1 && share(step, program.kernels)).collect();
        let threads = if spread.contains(&true) { threads } else { 1 };
        let mut arena = AlignedBytes::zeroed(program.arena_len);
        for (start, bytes) in &program.constants {
            arena.put_i8(*start, bytes.iter().copied());
        }
        let base = arena.as_mut_ptr().cast();
        let shared = Arc::new(Shared { program: program.clone(), spread, threads, arena, base });
        let meeting = Meeting::new(threads);
        let helpers = (1..threads).filter_map(|index| {
            let (shared, meeting) = (shared.clone(), meeting.clone());
            let body = move || {
                let _guard = meeting.guard();
                let mut seen = 0;
                while let Some(call) = meeting.next(seen) {
                    seen = call;
                    // SAFETY: every member has its own index, and all work on the same call.
                    if unsafe { shared.work(index, &meeting, &mut |_, _| {}) }.is_err() {
                        return;
                    }
                }
            };
            std::thread::Builder::new().name(format!("int8 {index}")).spawn(body).ok()
        });
        let helpers: Vec<_> = helpers.collect();
        if helpers.len() + 1 < threads {
            // The system gives no more threads: alone, then.
            meeting.end();
            helpers.into_iter().for_each(|h| drop(h.join()));
            return Self::sharing(program, 1, share);
        }
        Machine { shared, meeting, helpers }
    }

    /// Threads that work on one inference.
    pub fn threads(&self) -> usize {
        self.shared.threads
    }

    /// The program.
    pub fn program(&self) -> &Arc<Program> {
        &self.shared.program
    }

    /// Bytes of working memory.
    pub fn arena_bytes(&self) -> usize {
        self.shared.arena.len()
    }

    /// One inference. `after` is told each step when it is done, by its index.
    ///
    /// # Errors
    /// [`Broken`], and then always.
    ///
    /// # Panics
    /// When an input or output has fewer elements, or another type, than the program was made for.
    pub fn run(
        &mut self,
        inputs: &[Input],
        outputs: &mut [Output],
        after: &mut dyn FnMut(usize),
    ) -> Result<(), Broken> {
        let (shared, meeting) = (&self.shared, &self.meeting);
        if meeting.is_broken() {
            return Err(Broken);
        }
        let _guard = meeting.guard();
        if shared.threads > 1 {
            meeting.call();
        }
        let base = shared.base;
        let mut edge = |index: usize, step: &Step| {
            match &step.work {
                // SAFETY: this thread alone runs steps that are not shared, and the arena is the program's.
                Work::Load { port, .. } => unsafe { run::load(step, base, inputs[*port]) },
                // SAFETY: as above.
                Work::Store { port, .. } => unsafe { run::store(step, base, &mut outputs[*port]) },
                _ => {}
            }
            after(index);
        };
        // SAFETY: index 0 is this thread's, and `&mut self` lets nobody else call meanwhile.
        unsafe { shared.work(0, meeting, &mut edge) }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.meeting.end();
        for helper in self.helpers.drain(..) {
            // One that panicked has said so already.
            drop(helper.join());
        }
    }
}

impl Shared {
    /// A member's way through all steps; `edge` is called by member 0 after each.
    ///
    /// # Safety
    /// Each of `threads` members calls this once for every inference, with its own index.
    unsafe fn work(&self, index: usize, meeting: &Meeting, edge: &mut dyn FnMut(usize, &Step)) -> Result<(), Broken> {
        let program = &*self.program;
        let mut met = true;
        for (number, (step, &spread)) in program.steps.iter().zip(&self.spread).enumerate() {
            if spread {
                if !met && !meeting.wait() {
                    return Err(Broken);
                }
                let part = Part { index, count: self.threads };
                // SAFETY: `Program` says that places lie inside the arena and the kernels suit the processor; parts are disjoint, and
                // the meetings before and after keep steps apart.
                unsafe { run::run(step, program.kernels, self.base, part) };
                if !meeting.wait() {
                    return Err(Broken);
                }
                met = true;
            } else {
                if index == 0 {
                    // SAFETY: as above; the other members are waiting or on their way to the next meeting.
                    unsafe { run::run(step, program.kernels, self.base, Part::WHOLE) };
                }
                met = false;
            }
            if index == 0 {
                edge(number, step);
            }
        }
        Ok(())
    }
}

/// Whether a step brings something in or takes something out, which is the caller's alone.
fn is_edge(step: &Step) -> bool {
    matches!(step.work, Work::Load { .. } | Work::Store { .. })
}

fn worth_sharing(step: &Step, kernels: &dyn Kernels) -> bool {
    let us = step.macs / kernels.macs_per_us() + (step.bytes / BYTES_PER_US) as u64;
    !is_edge(step) && us >= SHARED_US
}
