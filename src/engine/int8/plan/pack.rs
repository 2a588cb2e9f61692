//! Packing of dense weights, which waits until every step is known: no packing needs another, so the cores share them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::super::kernels::float::PackedFloatGemm;
use super::super::kernels::step::{FloatWork, Step, Work};
use super::super::kernels::{AlignedBytes, float::GemmShape};
use super::super::kernels::{PackedGemm, Terms};

/// Threads at most, the caller's among them: memory is not faster than a few cores.
const MAX_THREADS: usize = 4;
/// Weights that are worth a thread, in bytes.
const BYTES_PER_THREAD: usize = 1 << 17;

/// Weights of the steps so far.
#[derive(Default)]
pub(super) struct Packing {
    jobs: Vec<Job>,
}

/// Packing of one step's weights; the step holds a stand-in of the right sizes.
struct Job {
    /// Bytes of its weights.
    bytes: usize,
    pack: Pack,
}

enum Pack {
    Bytes(Arc<PackedGemm>, Box<dyn FnOnce() -> PackedGemm + Send>),
    Floats(Arc<PackedFloatGemm>, Box<dyn FnOnce() -> PackedFloatGemm + Send>),
}

/// Packed weights, behind what stood in for them.
enum Packed {
    Bytes(Arc<PackedGemm>, Arc<PackedGemm>),
    Floats(Arc<PackedFloatGemm>, Arc<PackedFloatGemm>),
}

impl Packing {
    /// Puts off the packing of `n` rows of bytes; gives what stands in for them.
    pub fn later(
        &mut self,
        [n, segments, segment]: [usize; 3],
        pack: impl FnOnce() -> PackedGemm + Send + 'static,
    ) -> Arc<PackedGemm> {
        let (data, terms) = (AlignedBytes::default(), Terms::default());
        let (block, block_bytes, variant) = (n.max(1), 0, 0);
        let stand_in = Arc::new(PackedGemm { n, segments, segment, block, block_bytes, data, terms, variant });
        let pack = Pack::Bytes(stand_in.clone(), Box::new(pack));
        self.jobs.push(Job { bytes: n * segments * segment, pack });
        stand_in
    }

    /// [`Packing::later`] for floats.
    pub fn floats_later(
        &mut self,
        shape: GemmShape,
        pack: impl FnOnce() -> PackedFloatGemm + Send + 'static,
    ) -> Arc<PackedFloatGemm> {
        let stand_in = Arc::new(PackedFloatGemm { shape, data: AlignedBytes::default() });
        let pack = Pack::Floats(stand_in.clone(), Box::new(pack));
        self.jobs.push(Job { bytes: 4 * shape.n * shape.depth(), pack });
        stand_in
    }

    /// Packs all weights and gives them to their steps.
    pub fn finish(mut self, steps: &mut [Step]) {
        // Large ones first, so that no thread is left with one at the end.
        self.jobs.sort_by_key(|job| std::cmp::Reverse(job.bytes));
        let bytes = self.jobs.iter().map(|job| job.bytes).sum::<usize>();
        let cores = thread::available_parallelism().map_or(1, |cores| cores.get().min(MAX_THREADS));
        let packed = packed(self.jobs, cores.min(bytes / BYTES_PER_THREAD));
        let (mut of_bytes, mut of_floats) = (HashMap::new(), HashMap::new());
        for pair in &packed {
            match pair {
                Packed::Bytes(stand_in, packed) => _ = of_bytes.insert(Arc::as_ptr(stand_in), packed),
                Packed::Floats(stand_in, packed) => _ = of_floats.insert(Arc::as_ptr(stand_in), packed),
            }
        }
        for step in steps {
            match &mut step.work {
                Work::Gemm { packed, .. } => {
                    if let Some(&done) = of_bytes.get(&Arc::as_ptr(packed)) {
                        *packed = done.clone();
                    }
                }
                Work::Float(FloatWork::Gemm { packed, .. }) => {
                    if let Some(&done) = of_floats.get(&Arc::as_ptr(packed)) {
                        *packed = done.clone();
                    }
                }
                _ => {}
            }
        }
    }
}

/// Does all jobs, in `threads` threads if the system gives them.
fn packed(jobs: Vec<Job>, threads: usize) -> Vec<Packed> {
    let (jobs, done) = (Mutex::new(jobs.into_iter()), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(job) = next else { return };
            let packed = match job.pack {
                Pack::Bytes(stand_in, pack) => Packed::Bytes(stand_in, Arc::new(pack())),
                Pack::Floats(stand_in, pack) => Packed::Floats(stand_in, Arc::new(pack())),
            };
            done.lock().unwrap_or_else(PoisonError::into_inner).push(packed);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            if thread::Builder::new().name("model-pack".into()).spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::super::kernels::step::{Address, Ending, Pixels};
    use super::super::super::kernels::{GemmWeights, Kernels, Requant, reference::Reference};
    use super::*;

    fn weights(n: usize) -> PackedGemm {
        let (data, scale) = (vec![n as i8; n], vec![1.0; n]);
        Reference.pack_gemm(&GemmWeights {
            n,
            segments: 1,
            segment: 1,
            data: &data,
            scale: &scale,
            ..GemmWeights::default()
        })
    }

    fn step(packed: Arc<PackedGemm>) -> Step {
        let pixels = Pixels { place: Address { buffer: 0, offset: 0 }, steps: [0; 3] };
        let ending = Ending::Bytes(Requant { zero_point: 0, low: -128, high: 127 });
        let work = Work::Gemm { packed, ending, offsets: vec![0], input: pixels, output: pixels, dims: [1; 3] };
        Step { name: String::new(), op: "", macs: 0, bytes: 0, work, table: None }
    }

    #[test]
    fn each_step_gets_its_own_weights_and_copies_of_a_step_share_them() {
        let mut packing = Packing::default();
        let mut steps: Vec<Step> = (1..20).map(|n| step(packing.later([n, 1, 1], move || weights(n)))).collect();
        steps.push(steps[3].clone());
        packing.finish(&mut steps);
        let packed = |index: usize| match &steps[index].work {
            Work::Gemm { packed, .. } => packed.clone(),
            _ => unreachable!(),
        };
        for index in 0..19 {
            let expected = weights(index + 1);
            assert_eq!((packed(index).n, packed(index).data.as_slice()), (index + 1, expected.data.as_slice()));
        }
        assert!(Arc::ptr_eq(&packed(3), &packed(19)));
    }

    #[test]
    fn threads_do_every_job_once() {
        for threads in [0, 1, 3] {
            let mut packing = Packing::default();
            let _stand_ins: Vec<_> = (1..50).map(|n| packing.later([n, 1, 1], move || weights(n))).collect();
            let mut sizes: Vec<usize> = packed(packing.jobs, threads)
                .iter()
                .map(|packed| match packed {
                    Packed::Bytes(stand_in, packed) => {
                        assert_eq!(stand_in.n, packed.n);
                        packed.n
                    }
                    Packed::Floats(..) => unreachable!(),
                })
                .collect();
            sizes.sort_unstable();
            assert_eq!(sizes, (1..50).collect::<Vec<_>>(), "{threads} threads");
        }
    }
}
