//! The governor's input: one reading of the board and of each pipeline.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

/// A board that can be read. [`simulate`](crate::simulate) has one; a program implements it over `/proc` and `/sys`.
pub trait Board: Send {
    /// Takes a reading. Blocks for a few ms at most; a value that cannot be read is `None`. The caller fills in the link and the
    /// pipelines, which a board does not know.
    fn read(&mut self) -> Reading;
}

/// One reading of the board. A value that the board does not have, or whose sensor failed, is `None`.
#[derive(Clone, Debug, PartialEq, Default, Serialize)]
pub struct Reading {
    /// SoC temperature in °C.
    pub soc_celsius: Option<f32>,
    /// CPU use of the whole machine, 0 to 100.
    pub cpu_percent: Option<f32>,
    /// CPU use of each core, 0 to 100.
    pub core_percent: Vec<f32>,
    /// CPU use of this process and its children, 0 to 100 of the whole machine.
    pub own_cpu_percent: Option<f32>,
    /// `/proc/pressure/cpu` some avg10, percent.
    pub cpu_pressure_percent: Option<f32>,
    /// `/proc/pressure/memory` some avg10, percent.
    pub memory_pressure_percent: Option<f32>,
    /// Memory that can be had without swapping.
    pub available_bytes: Option<u64>,
    /// All memory.
    pub memory_bytes: Option<u64>,
    /// The firmware or the kernel holds the clock down because of heat.
    pub throttled: Option<bool>,
    /// A soft temperature limit is active (60 °C on a Pi 3B+): the clock is a little lower, and that is no reason to step down.
    pub soft_limited: Option<bool>,
    /// The supply is too low right now.
    pub under_voltage: Option<bool>,
    /// Current clock in MHz. A hint only: on a Raspberry Pi it does not show what the firmware takes away.
    pub clock_mhz: Option<f32>,
    /// Highest clock in MHz.
    pub max_clock_mhz: Option<f32>,
    /// The connection to the broker.
    pub link: Link,
    /// The load of each pipeline, by name. One without an entry counts as idle.
    pub pipelines: BTreeMap<Arc<str>, Load>,
}

impl Reading {
    /// CPU use of other processes, 0 to 100 of the whole machine.
    pub fn others_percent(&self) -> Option<f32> {
        Some((self.cpu_percent? - self.own_cpu_percent?).max(0.0))
    }
}

/// The connection to the broker and the network interfaces.
#[derive(Clone, Debug, PartialEq, Default, Serialize)]
pub struct Link {
    /// The broker is connected; `None` = there is no broker.
    pub connected: Option<bool>,
    /// Share of the queue of messages that is filled, 0 to 1.
    pub backlog: Option<f32>,
    /// Bytes per second sent over all network interfaces.
    pub sent_bytes_per_s: Option<f32>,
    /// Bytes per second received over all network interfaces.
    pub received_bytes_per_s: Option<f32>,
}

/// Results and delays of one pipeline, all since its present setpoint applies, so that the past of another rung does not count.
#[derive(Clone, Debug, PartialEq, Default, Serialize)]
pub struct Load {
    /// 95 % of the latest results came no later than this after their frame was captured, in ms; `None` before there are
    /// enough to judge by.
    pub p95_ms: Option<f32>,
    /// Time of one inference (of a whole batch) with its preprocessing, median of the latest, in ms.
    pub infer_ms: Option<f32>,
    /// Share of the latest frames that were overwritten before they could be looked at, 0 to 1.
    pub dropped: Option<f32>,
    /// Time since the newest frame that was worked on was captured, in ms.
    pub frame_age_ms: Option<f32>,
    /// The source gives nothing: camera unplugged, file at its end, pipeline paused by request.
    pub idle: bool,
    /// Its motion gate is open; `None` = it has none. While it is closed nothing is late, and next to no work is done.
    pub open: Option<bool>,
    /// Other nodes that can compute for it; `None` = there are none, or they cannot be reached.
    pub group: Option<Group>,
}

/// Other nodes that can compute for a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Group {
    /// Inferences a second that they can take beside what they do, as far as is known.
    pub spare_per_s: f32,
    /// Share of the latest frames given to them that came back in time, 0 to 1; `None` = too few were given to tell.
    pub in_time: Option<f32>,
}

impl Group {
    /// Least share of frames in time with which a group has enough for what it is given; below it the work comes home.
    pub const LEAST_IN_TIME: f32 = 0.75;
}

impl Load {
    /// There is nothing to work on at the moment.
    pub fn is_quiet(&self) -> bool {
        self.idle || self.open == Some(false)
    }
}
