//! Memory of this machine through sysinfo. Recorded machines are read by hand, since sysinfo has no injectable root.

use sysinfo::{MemoryRefreshKind, System};

/// sysinfo, limited to memory.
pub(super) struct Live(System);

impl Live {
    /// `None` on systems that sysinfo does not support.
    pub(super) fn new() -> Option<Self> {
        System::new().ok().map(Live)
    }

    /// Available and total memory.
    pub(super) fn memory_bytes(&mut self) -> [u64; 2] {
        self.0.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        [self.0.available_memory(), self.0.total_memory()]
    }
}
