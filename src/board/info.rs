//! Identity of a board: model, processor, memory.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::sys::Roots;
use crate::sys::proc::{Memory, Stat, read_text};
use crate::sys::sysfs;

/// Properties that are constant while the machine runs. Unknown ones are empty or `None`.
#[derive(Clone, Debug, PartialEq, Default, Serialize)]
pub struct Info {
    /// `Raspberry Pi 4 Model B Rev 1.4`; vendor and product of a PC or virtual machine.
    pub model: String,
    /// Name of the processor, where the kernel reports it.
    pub cpu: String,
    /// Target architecture of this program: `aarch64`, `arm`, `x86_64`.
    pub arch: &'static str,
    /// On-line CPUs.
    pub cores: usize,
    /// Instruction set extensions as the kernel lists them.
    pub features: Vec<String>,
    /// Highest clock of the fastest core.
    pub max_mhz: Option<f32>,
    /// Lowest clock of the fastest core.
    pub min_mhz: Option<f32>,
    /// Memory managed by the kernel.
    pub memory_bytes: Option<u64>,
    /// Release of the kernel: `6.12.25+rpt-rpi-v8`.
    pub kernel: String,
}

impl Info {
    /// Reads the board's identity.
    pub fn read(roots: &Roots) -> Info {
        let mut buffer = String::new();
        let mut stat = Stat::default();
        let cores = if stat.read(roots, &mut buffer).is_ok() { stat.cores.len() } else { 0 };
        let clock = clock_policies(roots).into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let min_mhz = clock.as_ref().and_then(|(dir, _)| khz(&dir.join("cpuinfo_min_freq"), &mut buffer));
        let (cpu, features) = processor(&text(&roots.proc.join("cpuinfo")).unwrap_or_default());
        Info {
            model: model(roots).unwrap_or_default(),
            cpu,
            arch: std::env::consts::ARCH,
            cores,
            features,
            max_mhz: clock.map(|(_, mhz)| mhz),
            min_mhz,
            memory_bytes: Memory::read(roots, &mut buffer).ok().map(|m| m.total_bytes),
            kernel: text(&roots.proc.join("sys/kernel/osrelease")).unwrap_or_default(),
        }
    }

    /// `true` for a Raspberry Pi according to the device tree.
    pub fn is_raspberry_pi(&self) -> bool {
        self.model.starts_with("Raspberry Pi")
    }
}

/// Directories of cpufreq policies, each with its highest clock in MHz.
pub(super) fn clock_policies(roots: &Roots) -> Vec<(PathBuf, f32)> {
    let Ok(entries) = std::fs::read_dir(roots.sys.join("devices/system/cpu/cpufreq")) else { return Vec::new() };
    let mut dirs: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    dirs.sort();
    let mut buffer = String::new();
    dirs.into_iter().filter_map(|dir| khz(&dir.join("cpuinfo_max_freq"), &mut buffer).map(|mhz| (dir, mhz))).collect()
}

fn khz(path: &Path, buffer: &mut String) -> Option<f32> {
    sysfs::number(path, buffer).ok().map(|khz| (khz / 1e3) as f32)
}

/// Model of the device tree, else of a PC's firmware.
fn model(roots: &Roots) -> Option<String> {
    let tree = [roots.proc.join("device-tree/model"), roots.sys.join("firmware/devicetree/base/model")];
    let dmi = |name| text(&roots.sys.join("class/dmi/id").join(name));
    tree.iter().find_map(|path| text(path)).or_else(|| match (dmi("sys_vendor"), dmi("product_name")) {
        (Some(vendor), Some(product)) if !product.starts_with(&vendor) => Some(format!("{vendor} {product}")),
        (vendor, product) => product.or(vendor),
    })
}

/// Name and features of the first processor of `/proc/cpuinfo`. Arm kernels list `Features` and no name (32-bit ones say
/// `model name`), x86 ones `flags` and `model name`; the part numbers are those of Arm's MIDR_EL1.
fn processor(cpuinfo: &str) -> (String, Vec<String>) {
    let field = |key: &str| {
        cpuinfo.lines().filter_map(|l| l.split_once(':')).find(|(k, _)| k.trim() == key).map(|(_, v)| v.trim())
    };
    let part = |part: &str| match part {
        "0xd03" => Some("Cortex-A53"),
        "0xd04" => Some("Cortex-A35"),
        "0xd05" => Some("Cortex-A55"),
        "0xd07" => Some("Cortex-A57"),
        "0xd08" => Some("Cortex-A72"),
        "0xd09" => Some("Cortex-A73"),
        "0xd0a" => Some("Cortex-A75"),
        "0xd0b" => Some("Cortex-A76"),
        "0xd0c" => Some("Neoverse-N1"),
        "0xd40" => Some("Neoverse-V1"),
        "0xd41" => Some("Cortex-A78"),
        "0xd42" => Some("Cortex-A78AE"),
        "0xd49" => Some("Neoverse-N2"),
        "0xc07" => Some("Cortex-A7"),
        "0xb76" => Some("ARM1176"),
        _ => None,
    };
    let arm = field("CPU implementer").filter(|i| *i == "0x41").and_then(|_| field("CPU part")).and_then(part);
    let name = arm.or(field("model name")).unwrap_or_default();
    let features = field("Features").or(field("flags")).unwrap_or_default();
    (name.to_owned(), features.split_ascii_whitespace().map(str::to_owned).collect())
}

/// A small file without surrounding blanks and without the NUL that ends device tree strings.
fn text(path: &Path) -> Option<String> {
    let mut buffer = String::new();
    read_text(path, &mut buffer).ok()?;
    let text = buffer.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}
