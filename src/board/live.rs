//! The memory of this machine itself, through sysinfo. Only for the machine's own `/proc`: sysinfo cannot be pointed at a
//! recorded one, which is read by hand.

use sysinfo::{MemoryRefreshKind, System};

/// sysinfo, asked for no more than is used.
pub(super) struct Live(System);

impl Live {
    /// `None` where sysinfo does not know the system.
    pub(super) fn new() -> Option<Self> {
        System::new().ok().map(Live)
    }

    /// Memory that can be had without swapping, and all memory.
    pub(super) fn memory_bytes(&mut self) -> [u64; 2] {
        self.0.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        [self.0.available_memory(), self.0.total_memory()]
    }
}
