//! Classification of thermal zones by name: the processor's and others.
//!
//! Names are those of the kernels' device trees and drivers: Raspberry Pi `cpu-thermal`; Rockchip `soc-thermal`,
//! `bigcore0-thermal`, `littlecore-thermal`, `package-thermal`; Allwinner `cpu-thermal`, `cpul_thermal_zone`; Amlogic `soc_thermal`,
//! `ddr-thermal`; NVIDIA Jetson `CPU-therm`, `BCPU-therm`, `tj-thermal`, `PMIC-Die` (100 °C, always); NXP i.MX `imx_thermal_zone`,
//! `cpu-thermal0`; Qualcomm `cpu0-thermal`, `cpuss0-thermal`; MediaTek `cpu-big0-thermal`, `mtktscpu`; Samsung `atlas0-thermal`, `BIG`;
//! Intel `x86_pkg_temp`, `coretemp`; AMD `k10temp`.

/// Class of a temperature sensor, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// The configured one.
    Named,
    /// A thermal zone of the processor's cores.
    Cpu,
    /// A thermal zone of the chip or package as a whole.
    Chip,
    /// A hardware monitor of the processor.
    Monitor,
    /// Another part of the same chip: graphics, memory controller.
    Neighbour,
    /// ACPI's zone, near the processor on most mainboards.
    Acpi,
    /// A zone with an inconclusive name.
    Unknown,
}

/// Class of a zone of type `name`; `None` for one that measures something else (charger, modem, radio, case, supply) or nothing:
/// regulators (`PMIC-Die`) and constant estimates for a fan.
pub(super) fn class_of_zone(name: &str) -> Option<Class> {
    let tokens = tokens(name);
    let any = |words: &[&str]| tokens.iter().any(|token| words.contains(&token.as_str()));
    let starts = |heads: &[&str]| tokens.iter().any(|token| heads.iter().any(|head| token.starts_with(head)));
    if any(&ELSEWHERE)
        || starts(&["pmic", "batt", "charg", "wifi", "wlan", "iwl", "nvme", "modem", "mt7", "bq", "tboard"])
    {
        return None;
    }
    let is_cpu = tokens.iter().any(|t| t.starts_with("cpu") || t.ends_with("cpu"))
        || any(&CORES)
        || tokens.iter().any(|t| is_arm_core(t))
        || starts(&["bigcore", "littlecore", "midcore", "goldcore"])
        || name == "x86_pkg_temp"
        // The names of Samsung's clusters have no other word.
        || ["BIG", "LITTLE", "MID"].contains(&name);
    if is_cpu {
        return Some(Class::Cpu);
    }
    if starts(&["soc", "imx", "sunxi"]) || any(&["tj", "package", "pkg", "die", "chip", "ap", "main", "b0d4"]) {
        return Some(Class::Chip);
    }
    if starts(&["gpu", "npu", "vpu", "dsp", "cvip", "venc", "vdec"]) || any(&NEIGHBOURS) {
        return Some(Class::Neighbour);
    }
    Some(if starts(&["acpi"]) { Class::Acpi } else { Class::Unknown })
}

/// `true` when a hardware monitor, named as by [`crate::sys::sysfs::hwmon`], measures the processor.
pub(super) fn is_cpu_monitor(probe: &str) -> bool {
    const MONITORS: [&str; 6] = [
        "k10temp_tctl_celsius",
        "k10temp_tdie_celsius",
        "zenpower_tctl_celsius",
        "zenpower_tdie_celsius",
        "cpu_thermal_temp1_celsius",
        "soc_thermal_temp1_celsius",
    ];
    MONITORS.contains(&probe)
        || probe.starts_with("coretemp_package_id_")
        || probe
            .strip_suffix("_temp1_celsius")
            .and_then(class_of_zone)
            .is_some_and(|class| matches!(class, Class::Cpu | Class::Chip))
}

/// Words of sensors that are not the processor's, or that show a constant.
const ELSEWHERE: [&str; 37] = [
    "ambient",
    "amb",
    "aux",
    "backlight",
    "bat",
    "board",
    "camera",
    "cam",
    "case",
    "connector",
    "display",
    "fan",
    "flash",
    "hdd",
    "int3400",
    "lcd",
    "led",
    "mdm",
    "pa",
    "pch",
    "phy",
    "quiet",
    "regulator",
    "rtc",
    "skin",
    "ssd",
    "tdiode",
    "tskn",
    "usb",
    "usbc",
    "vreg",
    "wwan",
    "xo",
    "xtal",
    "sfp",
    "psu",
    "water",
];

/// Words for the processor's cores and clusters.
const CORES: [&str; 10] = ["core", "cluster", "apc", "atlas", "apollo", "kryo", "cls", "acl", "silver", "gold"];

/// Words for other parts of the same chip.
const NEIGHBOURS: [&str; 17] = [
    "ao", "aoss", "aop", "center", "cv", "ddr", "ddrc", "dmc", "dram", "drc", "gfx", "isp", "mem", "memory", "pll",
    "ve", "wkup",
];

/// `a53` to `a78`, `x1`: names of Arm cores.
fn is_arm_core(token: &str) -> bool {
    let digits = token.strip_prefix('a').unwrap_or_default();
    digits.len() == 2 && matches!(digits.as_bytes(), [b'3' | b'5' | b'7', b'0'..=b'9'])
}

/// Words of a name in lower case, without trailing numbers: `BCPU-therm` → bcpu, therm; `bigcore0-thermal` → bigcore, thermal.
fn tokens(name: &str) -> Vec<String> {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let plain = |word: &str| {
        let lower = word.to_ascii_lowercase();
        let head = lower.trim_end_matches(|c: char| c.is_ascii_digit());
        // The number identifies an Arm core, and `int3400` and `b0d4` as well.
        if head.is_empty() || is_arm_core(&lower) || ["int3400", "b0d4"].contains(&lower.as_str()) {
            lower
        } else {
            head.to_owned()
        }
    };
    words.map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_common_boards() {
        let check = |expected: Option<Class>, names: &str| {
            for name in names.split_whitespace() {
                assert_eq!(class_of_zone(name), expected, "{name}");
            }
        };
        check(Some(Class::Cpu), "cpu-thermal cpu_thermal cpu-thermal0 cpu_thermal0 cpu");
        check(Some(Class::Cpu), "bigcore0-thermal bigcore1-thermal bigcore-thermal littlecore-thermal midcore-thermal");
        check(Some(Class::Cpu), "cpu_thermal_zone cpul_thermal_zone cpub_thermal_zone cpul_thermal cpub-thermal");
        check(Some(Class::Cpu), "CPU-therm BCPU-therm MCPU-therm");
        check(
            Some(Class::Cpu),
            "cpu0-thermal cpu0-top-thermal cpu-0-0-usr cpuss0-thermal cpuss-1-usr apc-0-1-usr cluster0-thermal",
        );
        check(Some(Class::Cpu), "mtktscpu cpu-big0-thermal cpu-little3-thermal cpu_big1");
        check(Some(Class::Cpu), "atlas0-thermal apollo-thermal BIG LITTLE MID");
        check(
            Some(Class::Cpu),
            "a53-thermal a55 cortex-a72 core-cluster-thermal cls0 ap-cpu0-thermal cluster0_thermal",
        );
        check(Some(Class::Cpu), "x86_pkg_temp TCPU");
        check(
            Some(Class::Chip),
            "soc-thermal soc_thermal soc0-thermal soc_max soc_dts0 package-thermal package_thermal tj-thermal",
        );
        check(Some(Class::Chip), "imx_thermal_zone sunxi-therm ap-ic-thermal main0-thermal B0D4");
        check(
            Some(Class::Neighbour),
            "gpu-thermal GPU-therm gpu_thermal_zone npu-thermal center-thermal ddr_thermal ddr-thermal",
        );
        check(
            Some(Class::Neighbour),
            "PLL-therm AO-therm ve_thermal_zone cv0-thermal gpuss-0-usr drc-thermal0 pll_thermal",
        );
        check(Some(Class::Acpi), "acpitz");
        check(Some(Class::Unknown), "sensor1-thermal thermal_zone_a broken zone");
        check(None, "PMIC-Die pmic-die pmic-thermal0 pm8150-pmic PMIC iwlwifi_1 iwlwifi Tboard_tegra Tdiode_tegra");
        check(
            None,
            "thermal-fan-est battery bat-therm charger skin-therm quiet-therm-adc pa-therm1 xo-therm modem0-usr AUX-therm",
        );
        check(
            None,
            "INT3400 pch_skylake pch_cannonlake nvme wlan-thermal mt7921_phy0 bq27411-0 ambient usb-conn-therm usbc-therm",
        );
        check(None, "cpu-pmic gpu-pmic-thermal");
    }

    #[test]
    fn monitors_of_the_processor() {
        for name in [
            "k10temp_tctl_celsius",
            "coretemp_package_id_0_celsius",
            "coretemp_package_id_1_celsius",
            "cpu_thermal_temp1_celsius",
            "bigcore0_thermal_temp1_celsius",
            "soc_thermal_temp1_celsius",
        ] {
            assert!(is_cpu_monitor(name), "{name}");
        }
        for name in [
            "nvme_composite_celsius",
            "coretemp_core_0_celsius",
            "gpu_thermal_temp1_celsius",
            "iwlwifi_1_temp1_celsius",
            "acpitz_temp1_celsius",
            "drivetemp_temp1_celsius",
            "pmic_temp1_celsius",
            "k10temp_tccd1_celsius",
            "x_temp1_celsius",
        ] {
            assert!(!is_cpu_monitor(name), "{name}");
        }
    }
}
