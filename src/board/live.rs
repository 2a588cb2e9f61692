//! This machine itself, through sysinfo: memory that can be had, CPU use, and what this process takes of both.
//!
//! Only for the machine's own `/proc`: sysinfo cannot be pointed at a recorded one, which is read by hand.

use std::time::{Duration, Instant};

use sysinfo::{MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// CPU use is the difference between two looks; closer together it is noise.
const LEAST_INTERVAL: Duration = Duration::from_millis(200);

/// sysinfo, asked for no more than is used.
pub(super) struct Live {
    system: System,
    own: Option<Pid>,
    looked: Instant,
}

impl Live {
    /// Takes the first look, which later ones are compared with; `None` where sysinfo does not know the system.
    pub(super) fn new() -> Option<Self> {
        let mut live =
            Live { system: System::new().ok()?, own: sysinfo::get_current_pid().ok(), looked: Instant::now() };
        live.look();
        Some(live)
    }

    /// Looks again, unless the last look was a moment ago.
    pub(super) fn refresh(&mut self) {
        if self.looked.elapsed() >= LEAST_INTERVAL {
            self.look();
        }
    }

    fn look(&mut self) {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        if let Some(pid) = self.own {
            let wanted = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
            self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, wanted);
        }
        self.looked = Instant::now();
    }

    /// CPU use of the whole machine, 0 to 100.
    pub(super) fn cpu_percent(&self) -> f32 {
        self.system.global_cpu_usage()
    }

    /// CPU use of this process, 0 to 100 of the whole machine.
    pub(super) fn own_percent(&self) -> Option<f32> {
        let cores = self.system.cpus().len().max(1) as f32;
        Some((self.system.process(self.own?)?.cpu_usage() / cores).min(100.0))
    }

    /// Memory that can be had without swapping.
    pub(super) fn available_bytes(&self) -> u64 {
        self.system.available_memory()
    }

    /// Resident memory of this process.
    pub(super) fn rss_bytes(&self) -> Option<u64> {
        Some(self.system.process(self.own?)?.memory())
    }
}
