//! The power supply, as far as the board knows: Raspberry Pis notice when their voltage drops.

use std::fs;
use std::path::Path;

use crate::files;

/// Where the firmware's driver of Raspberry Pi kernels tells.
const THROTTLED: &str = "sys/devices/platform/soc/soc:firmware/get_throttled";
/// Where the mainline kernel's driver tells.
const HWMON: &str = "sys/class/hwmon";
/// Its name there.
const SENSOR: &str = "rpi_volt";
/// At most this many sensors are looked at.
const MOST_SENSORS: usize = 32;

/// Bits of `get_throttled`: the voltage is too low; it was since the boot.
const NOW: u32 = 1;
const SINCE_BOOT: u32 = 1 << 16;

/// The power supply at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Power {
    /// The voltage is too low now; none: the board does not know.
    pub low: Option<bool>,
    /// It was too low since the boot, or since the box was started where the board remembers nothing.
    pub was_low: Option<bool>,
}

impl Power {
    /// Looks at the machine below `root`, and remembers what was seen before.
    #[must_use]
    pub fn look(self, root: &Path) -> Self {
        let seen = match throttled(root) {
            Some(bits) => Self {
                low: Some(bits & NOW != 0),
                was_low: Some(bits & (NOW | SINCE_BOOT) != 0),
            },
            None => {
                let low = alarm(root);
                Self { low, was_low: low }
            }
        };
        let either = |a: Option<bool>, b: Option<bool>| match (a, b) {
            (Some(a), Some(b)) => Some(a || b),
            (a, b) => a.or(b),
        };
        Self {
            low: seen.low,
            was_low: either(self.was_low, seen.was_low),
        }
    }
}

/// `get_throttled`: hexadecimal, with or without `0x`.
fn throttled(root: &Path) -> Option<u32> {
    let text = text(&root.join(THROTTLED))?;
    let digits = text.trim_start_matches("0x");
    u32::from_str_radix(digits, 16).ok()
}

fn alarm(root: &Path) -> Option<bool> {
    fs::read_dir(root.join(HWMON))
        .ok()?
        .take(MOST_SENSORS)
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|sensor| text(&sensor.join("name")).as_deref() == Some(SENSOR))
        .and_then(|sensor| text(&sensor.join("in0_lcrit_alarm")))
        .map(|alarm| alarm != "0")
}

fn text(path: &Path) -> Option<String> {
    let bytes = files::read_bounded(path, 256).ok()?;
    Some(String::from_utf8(bytes).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_firmware_tells_now_and_since_boot() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join(THROTTLED);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        for (text, low, was_low) in [
            ("0\n", false, false),
            ("0x50005\n", true, true),
            ("50000\n", false, true),
            ("1\n", true, true),
            // Throttled because of heat: not our matter.
            ("e000e\n", false, false),
        ] {
            fs::write(&file, text).unwrap();
            let power = Power::default().look(root.path());
            assert_eq!(
                (power.low, power.was_low),
                (Some(low), Some(was_low)),
                "{text}"
            );
        }
        fs::write(&file, "nonsense").unwrap();
        assert_eq!(Power::default().look(root.path()), Power::default());
    }

    #[test]
    fn the_sensor_tells_now_and_we_remember() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Power::default().look(root.path()), Power::default());
        for (number, name) in [(0, "cpu_thermal"), (1, SENSOR)] {
            let sensor = root.path().join(HWMON).join(format!("hwmon{number}"));
            fs::create_dir_all(&sensor).unwrap();
            fs::write(sensor.join("name"), format!("{name}\n")).unwrap();
        }
        let file = root.path().join(HWMON).join("hwmon1/in0_lcrit_alarm");
        fs::write(&file, "0\n").unwrap();
        let power = Power::default().look(root.path());
        assert_eq!((power.low, power.was_low), (Some(false), Some(false)));
        fs::write(&file, "1\n").unwrap();
        let power = power.look(root.path());
        assert_eq!((power.low, power.was_low), (Some(true), Some(true)));
        fs::write(&file, "0\n").unwrap();
        let power = power.look(root.path());
        assert_eq!((power.low, power.was_low), (Some(false), Some(true)));
    }
}
