//! A bound on what loading one model may cost: bytes of computed constants, operations spent on them, processor time.
//!
//! The bounds grow with the file, because a large model honestly needs more; a small file gets no more than a small model can
//! use. They belong to the thread that loads ([`within`]) and are asked for from deep inside tract: by every operator while
//! shapes are inferred ([`super::bounded`]) and between the steps of the optimiser ([`super::optimise`]).

use std::cell::RefCell;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Largest ONNX file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 512 << 20;

/// Largest single tensor (weights or activations) of a model, in bytes.
pub const MAX_TENSOR_BYTES: usize = 512 << 20;

/// Result of one operator on constants, in bytes: this much, and [`KEPT_PER_BYTE`] for each byte of the file.
const RESULT_BYTES: f64 = (128 << 20) as f64;

/// Computed constants that are kept, in bytes: this much, and [`KEPT_PER_BYTE`] for each byte of the file (int8 weights become
/// floats, and may be laid out anew).
const KEPT_BYTES: f64 = (96 << 20) as f64;
const KEPT_PER_BYTE: f64 = 8.0;

/// Operations on constants: this many, and [`OPERATIONS_PER_BYTE`] for each byte of the file.
const OPERATIONS: f64 = 2e9;
const OPERATIONS_PER_BYTE: f64 = 200.0;

/// Processor time of one load or compilation: this long, and [`CPU_PER_MIB`] for each MiB of the file. A Cortex-A53 takes
/// a tenth of it for the models that people run there.
const CPU: Duration = Duration::from_secs(4);
const CPU_PER_MIB: f64 = 4.0;

/// Activations of one inference, inputs and outputs included, in bytes: this much, and [`ACTIVATIONS_PER_BYTE`] for each byte
/// of the file.
const ACTIVATION_BYTES: f64 = (320 << 20) as f64;
const ACTIVATIONS_PER_BYTE: f64 = 4.0;

/// A bound that was reached.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum Exhausted {
    /// One result is too large.
    #[error("its result would be a constant of {} MiB, a file of {file_bytes} bytes is allowed {} MiB", mib(*.bytes), mib(*.limit))]
    Result {
        /// Its size.
        bytes: f64,
        /// Limit.
        limit: f64,
        /// Size of the file.
        file_bytes: usize,
    },
    /// All results together are too large.
    #[error("the constants computed so far take {} MiB, a file of {file_bytes} bytes is allowed {} MiB", mib(*.bytes), mib(*.limit))]
    Kept {
        /// Their size.
        bytes: f64,
        /// Limit.
        limit: f64,
        /// Size of the file.
        file_bytes: usize,
    },
    /// Too much is computed before the first inference.
    #[error(
        "computing constants takes {operations:.1e} operations, a file of {file_bytes} bytes is allowed {limit:.1e}"
    )]
    Operations {
        /// Number asked for.
        operations: f64,
        /// Limit.
        limit: f64,
        /// Size of the file.
        file_bytes: usize,
    },
    /// It takes too long.
    #[error("it takes more than {} s of processor time to load, with a file of {file_bytes} bytes", .limit.as_secs())]
    Time {
        /// Limit.
        limit: Duration,
        /// Size of the file.
        file_bytes: usize,
    },
    /// One inference needs too much memory.
    #[error("one inference would take {} MiB of activations, a file of {file_bytes} bytes is allowed {} MiB", mib(*.bytes), mib(*.limit))]
    Activations {
        /// Amount asked for.
        bytes: f64,
        /// Limit.
        limit: f64,
        /// Size of the file.
        file_bytes: usize,
    },
}

fn mib(bytes: f64) -> f64 {
    (bytes / f64::from(1 << 20)).ceil()
}

/// Amounts spent by the load on this thread.
#[derive(Clone, Copy)]
struct Spent {
    file_bytes: usize,
    started: Duration,
    operations: f64,
    kept: f64,
}

thread_local! {
    static SPENT: RefCell<Option<Spent>> = const { RefCell::new(None) };
}

/// Runs `work` under the bounds for a file of `file_bytes`, also when it panics.
pub(super) fn within<T>(file_bytes: usize, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<Spent>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SPENT.set(self.0.take());
        }
    }
    let spent = Spent { file_bytes, started: cpu_time(), operations: 0.0, kept: 0.0 };
    let _restore = Restore(SPENT.replace(Some(spent)));
    work()
}

/// Processor time of this thread.
fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}

fn spent<T>(with: impl FnOnce(&mut Spent) -> Result<T, Exhausted>, without: T) -> Result<T, Exhausted> {
    SPENT.with_borrow_mut(|spent| spent.as_mut().map_or(Ok(without), with))
}

/// Fails once the load has taken its time.
pub(super) fn check_time() -> Result<(), Exhausted> {
    spent(|s| s.check_time(cpu_time()), ())
}

/// Asks for an evaluation on constants: the size of its result and a bound on its operations.
pub(super) fn spend(bytes: f64, operations: f64) -> Result<(), Exhausted> {
    spent(
        |s| {
            s.operations += operations;
            s.affords(bytes, s.operations)
        },
        (),
    )
}

/// Checks that an evaluation with a result of `bytes`, `operations` together with those before it, would be within the bounds.
pub(super) fn check_evaluation(bytes: f64, operations: f64) -> Result<(), Exhausted> {
    spent(|s| s.affords(bytes, operations), ())
}

impl Spent {
    fn check_time(&self, now: Duration) -> Result<(), Exhausted> {
        let mib = self.file_bytes as f64 / f64::from(1 << 20);
        let limit = CPU + Duration::from_secs_f64(CPU_PER_MIB * mib);
        let in_time = now.saturating_sub(self.started) <= limit;
        if in_time { Ok(()) } else { Err(Exhausted::Time { limit, file_bytes: self.file_bytes }) }
    }

    fn affords(&self, bytes: f64, operations: f64) -> Result<(), Exhausted> {
        let file_bytes = self.file_bytes;
        let limit = RESULT_BYTES + KEPT_PER_BYTE * file_bytes as f64;
        if bytes > limit || bytes.is_nan() {
            return Err(Exhausted::Result { bytes, limit, file_bytes });
        }
        let limit = OPERATIONS + OPERATIONS_PER_BYTE * file_bytes as f64;
        if operations <= limit { Ok(()) } else { Err(Exhausted::Operations { operations, limit, file_bytes }) }
    }
}

/// Counts a computed constant that stays.
pub(super) fn keep(bytes: f64) -> Result<(), Exhausted> {
    spent(
        |s| {
            s.kept += bytes;
            let limit = KEPT_BYTES + KEPT_PER_BYTE * s.file_bytes as f64;
            let (bytes, file_bytes) = (s.kept, s.file_bytes);
            if bytes <= limit { Ok(()) } else { Err(Exhausted::Kept { bytes, limit, file_bytes }) }
        },
        (),
    )
}

/// A pass that computes the same constants again begins: what is kept is counted anew.
pub(super) fn next_pass() {
    SPENT.with_borrow_mut(|spent| {
        if let Some(spent) = spent {
            spent.kept = 0.0;
        }
    });
}

/// Checks the memory of one inference.
pub(super) fn check_activations(bytes: f64) -> Result<(), Exhausted> {
    spent(
        |s| {
            let limit = ACTIVATION_BYTES + ACTIVATIONS_PER_BYTE * s.file_bytes as f64;
            let fits = bytes <= limit;
            if fits { Ok(()) } else { Err(Exhausted::Activations { bytes, limit, file_bytes: s.file_bytes }) }
        },
        (),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_ends_what_goes_beyond_it() {
        let mib = f64::from(1 << 20);
        within(0, || {
            assert_eq!(spend(127.0 * mib, 1e9), Ok(()));
            assert!(matches!(spend(129.0 * mib, 1.0), Err(Exhausted::Result { .. })));
            assert!(matches!(spend(f64::NAN, 1.0), Err(Exhausted::Result { .. })));
            assert!(matches!(spend(1.0, 1.1e9), Err(Exhausted::Operations { .. })));
            assert_eq!(keep(90.0 * mib), Ok(()));
            assert!(matches!(keep(7.0 * mib), Err(Exhausted::Kept { .. })));
            next_pass();
            assert_eq!(keep(90.0 * mib), Ok(()));
            assert_eq!(check_activations(320.0 * mib), Ok(()));
            assert!(matches!(check_activations(321.0 * mib), Err(Exhausted::Activations { .. })));
            assert_eq!(check_time(), Ok(()));
        });
        within(10 << 20, || {
            assert_eq!(keep(170.0 * mib), Ok(()), "a larger file is allowed more");
            assert_eq!(check_activations(359.0 * mib), Ok(()));
        });
        assert_eq!(spend(1e12, 1e12), Ok(()), "nothing is bounded outside a load");
    }

    #[test]
    fn time_runs_out_later_for_a_larger_file() {
        let started = Duration::from_secs(100);
        let small = Spent { file_bytes: 0, started, operations: 0.0, kept: 0.0 };
        assert_eq!(small.check_time(started + CPU), Ok(()));
        let late = started + CPU + Duration::from_millis(1);
        assert_eq!(small.check_time(late), Err(Exhausted::Time { limit: CPU, file_bytes: 0 }));
        assert_eq!(Spent { file_bytes: 1 << 20, ..small }.check_time(late), Ok(()));
    }

    #[test]
    fn a_panic_leaves_no_bounds_behind() {
        let _ = std::panic::catch_unwind(|| within(0, || panic!("as tract does")));
        assert_eq!(spend(1e12, 1e12), Ok(()));
    }
}
