//! `[led]`: where the status LED is, and light discipline.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::error::ConfigError;
use super::layers::{self, MOST_BYTES};
use super::reader::Reader;
use crate::files;

/// Where the LED of our images is.
pub const USUAL_LED: &str = "/sys/class/leds/tombolo:status";

/// The highest line of a GPIO chip that is accepted.
const MOST_LINE: u32 = 4095;

/// The status LED.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Led {
    /// Where it is.
    pub place: LedPlace,
    /// Light discipline: it is never lit.
    pub dark: bool,
}

/// Where a LED is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LedPlace {
    /// [`USUAL_LED`] if it is there; else there is none.
    #[default]
    Usual,
    /// There is none.
    Nowhere,
    /// A directory of the kernel's LED class.
    Directory(PathBuf),
    /// A line of a GPIO chip.
    Line {
        /// The chip's device.
        chip: PathBuf,
        /// The line, 0 to 4095.
        line: u32,
        /// The LED is lit while the line is low.
        active_low: bool,
    },
}

/// `[led]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLed {
    device: Option<Spanned<String>>,
    gpio: Option<Spanned<String>>,
    active_low: Option<Spanned<bool>>,
    mode: Option<Spanned<String>>,
}

/// Its keys.
pub(super) const LED_KEYS: &[&str] = &["device", "gpio", "active_low", "mode"];

impl Led {
    /// The `[led]` of a file that may be wrong elsewhere, or altogether: for commands that must show something on the
    /// LED just then. Of a file that makes no sense only light discipline is kept, by the look of its lines.
    pub fn of_file(file: &Path) -> Self {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        struct OnlyLed {
            led: RawLed,
        }
        let bytes = files::read_bounded(file, MOST_BYTES).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let reader = Reader {
            text: &text,
            file,
            parts: &[],
        };
        let read = toml::from_str::<OnlyLed>(&text).ok();
        read.and_then(|raw| reader.led(&raw.led).ok())
            .unwrap_or_else(|| Self {
                place: LedPlace::Usual,
                dark: text.lines().any(says_dark),
            })
            .or_dark_beside(file)
    }
}

impl Led {
    /// Dark too where a file of `conf.d/` says so.
    fn or_dark_beside(mut self, file: &Path) -> Self {
        for path in layers::files_beside(file).unwrap_or_default() {
            let bytes = files::read_bounded(&path, MOST_BYTES).unwrap_or_default();
            self.dark |= String::from_utf8_lossy(&bytes).lines().any(says_dark);
        }
        self
    }
}

fn says_dark(line: &str) -> bool {
    let line: String = line.chars().filter(|c| !c.is_whitespace()).collect();
    line.starts_with("mode=\"dark\"") || line.starts_with("mode='dark'")
}

impl Reader<'_> {
    pub(super) fn led(&self, raw: &RawLed) -> Result<Led, ConfigError> {
        if let (Some(device), Some(_)) = (&raw.device, &raw.gpio) {
            let cure = "keep `device` for a LED that the kernel knows, or `gpio` for a bare line";
            return Err(self.bad(device, "device", "stands beside `gpio`", cure));
        }
        let active_low = raw.active_low.as_ref().is_some_and(|low| *low.get_ref());
        if let (true, None, Some(low)) = (active_low, &raw.gpio, &raw.active_low) {
            let cure = "leave it out: the device tree says so of a LED that the kernel knows";
            return Err(self.bad(low, "active_low", "goes with `gpio` only", cure));
        }
        let place = match (&raw.device, &raw.gpio) {
            (Some(device), _) if device.get_ref().is_empty() => LedPlace::Nowhere,
            (Some(device), _) => LedPlace::Directory(self.resolve(device.get_ref())),
            (None, Some(gpio)) => self.line(gpio, active_low)?,
            (None, None) => LedPlace::Usual,
        };
        let dark = match &raw.mode {
            None => false,
            Some(mode) => match mode.get_ref().as_str() {
                "status" => false,
                "dark" => true,
                other => {
                    let fault = format!("{other:?} is no mode");
                    let cure = "write \"status\", or \"dark\" for a LED that is never lit";
                    return Err(self.bad(mode, "mode", fault, cure));
                }
            },
        };
        Ok(Led { place, dark })
    }

    fn line(&self, gpio: &Spanned<String>, active_low: bool) -> Result<LedPlace, ConfigError> {
        let text = gpio.get_ref();
        let parsed = text.rsplit_once(':').and_then(|(chip, line)| {
            let name = chip.strip_prefix("/dev/").unwrap_or(chip);
            let plain = !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
            let line: u32 = line.parse().ok().filter(|line| *line <= MOST_LINE)?;
            plain.then(|| (Path::new("/dev").join(name), line))
        });
        match parsed {
            Some((chip, line)) => Ok(LedPlace::Line {
                chip,
                line,
                active_low,
            }),
            None => Err(self.bad(
                gpio,
                "gpio",
                format!("{text:?} is no line of a chip"),
                "write chip and line such as \"gpiochip0:17\"; `gpioinfo` lists them",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn led(text: &str) -> Result<Led, String> {
        Config::parse(&format!("[led]\n{text}"), Path::new("/etc/tombolo"))
            .map(|config| config.led)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn places_and_modes() {
        assert_eq!(led(""), Ok(Led::default()));
        assert_eq!(led("mode = \"status\""), Ok(Led::default()));
        assert_eq!(led("device = \"\"").unwrap().place, LedPlace::Nowhere);
        let there = led("device = \"/sys/class/leds/x\"\nmode = \"dark\"").unwrap();
        assert!(there.dark);
        assert_eq!(there.place, LedPlace::Directory("/sys/class/leds/x".into()));
        for (text, low) in [
            ("gpio = \"gpiochip0:17\"", false),
            ("gpio = \"/dev/gpiochip0:17\"\nactive_low = true", true),
        ] {
            let line = LedPlace::Line {
                chip: "/dev/gpiochip0".into(),
                line: 17,
                active_low: low,
            };
            assert_eq!(led(text).unwrap().place, line);
        }
    }

    #[test]
    fn each_fault_names_line_key_and_cure() {
        for (text, part) in [
            ("mode = \"off\"", ":2: `mode`: \"off\" is no mode; write"),
            ("mode = 5", ":2: `mode`: 5 is a number; write text"),
            (
                "gpio = \"17\"",
                ":2: `gpio`: \"17\" is no line of a chip; write",
            ),
            ("gpio = \"gpiochip0:x\"", "is no line"),
            ("gpio = \"../../etc:1\"", "is no line"),
            ("gpio = \"gpiochip0:4096\"", "is no line"),
            (
                "device = \"/x\"\ngpio = \"gpiochip0:1\"",
                ":2: `device`: stands beside `gpio`",
            ),
            (
                "device = \"/x\"\nactive_low = true",
                ":3: `active_low`: goes with `gpio` only",
            ),
            (
                "active_low = 1",
                ":2: `active_low`: 1 is a number; write true or false",
            ),
            ("light = 1", "unknown key `light` in [led]"),
        ] {
            let fault = led(text).unwrap_err();
            assert!(fault.contains(part), "{text}\n  gave: {fault}");
        }
    }

    #[test]
    fn a_broken_file_still_keeps_the_light_off() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tombolo.toml");
        let of = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Led::of_file(&file)
        };
        assert_eq!(Led::of_file(&file), Led::default());
        let elsewhere = of("[led]\ndevice = \"x\"\nmode = \"dark\"\n[limits]\nnonsense = 1\n");
        assert!(elsewhere.dark);
        assert_eq!(
            elsewhere.place,
            LedPlace::Directory(directory.path().join("x"))
        );
        assert!(of("[led\n  mode =  \"dark\" # quiet\n").dark);
        assert!(!of("[led\n# mode = \"dark\"\n").dark);
        assert_eq!(of("[led]\nmode = \"dim\"\n"), Led::default());
    }
}
