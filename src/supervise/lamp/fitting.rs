//! The LED in its socket: opened, driven, lost, found again.

use std::io;

use embedded_hal::digital::OutputPin;

use super::class::Class;
use super::error::PinError;
use super::pin::Pin;
use crate::config::{Led, LedPlace};
use crate::led::lease::{Lease, goodbye};
use crate::led::{Lamp, Signal};

/// A LED that vanished, or was not to be had, is looked for so often, milliseconds.
const PROBE_MS: u64 = 2_000;
/// A LED that nothing is written to is looked at so often, milliseconds.
const CHECK_MS: u64 = 2_000;
/// The files of a trigger belong to root until udev has given them to us: asked again after so long, milliseconds,
const PERMIT_MS: u64 = 100;
/// and given up on after so many times: then this program switches the LED itself.
const PERMIT_TIMES: u32 = 100;

/// Who makes the LED blink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackEnd {
    /// There is no LED.
    None,
    /// The kernel, on a lease: it shows by itself that this program died.
    Kernel,
    /// This program, through the kernel's LED class.
    Class,
    /// This program, on a line of a GPIO chip.
    Gpio,
    /// There should be a LED, and it cannot be reached.
    Lost,
}

impl BackEnd {
    /// One word that scripts may rely on.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Kernel => "kernel",
            Self::Class => "class",
            Self::Gpio => "gpio",
            Self::Lost => "lost",
        }
    }
}

/// What is in the socket.
#[derive(Debug)]
enum Bulb {
    Leased(Class, Lease),
    Driven(Lamp<Pin>),
}

/// The LED of the settings, whether it is there or not.
#[derive(Debug)]
pub struct Fitting {
    settings: Led,
    bulb: Option<Bulb>,
    back_end: BackEnd,
    /// When to look for it again.
    probe_ms: u64,
    /// When to look whether it is there still.
    check_ms: u64,
    /// How often writing was forbidden since it last worked.
    forbidden: u32,
    /// What is wrong; told once.
    trouble: Option<String>,
    losses: u64,
}

impl Fitting {
    /// The socket; nothing is opened yet.
    pub fn new(settings: Led) -> Self {
        Self {
            settings,
            bulb: None,
            back_end: BackEnd::None,
            probe_ms: 0,
            check_ms: 0,
            forbidden: 0,
            trouble: None,
            losses: 0,
        }
    }

    /// Other settings: at another place the LED is opened anew, and the old one is left dark.
    pub fn set(&mut self, settings: &Led) {
        if *settings != self.settings {
            if settings.place != self.settings.place {
                self.darken();
            }
            *self = Self {
                losses: self.losses,
                ..Self::new(settings.clone())
            };
        }
    }

    /// Who makes it blink.
    pub fn back_end(&self) -> BackEnd {
        self.back_end
    }

    /// Where it is, for people; empty where there is none.
    pub fn place(&self) -> String {
        match &self.settings.place {
            _ if self.back_end == BackEnd::None => String::new(),
            LedPlace::Nowhere => String::new(),
            LedPlace::Usual => crate::config::led::USUAL_LED.to_owned(),
            LedPlace::Directory(directory) => directory.display().to_string(),
            LedPlace::Line { chip, line, .. } => format!("{} line {line}", chip.display()),
        }
    }

    /// What is wrong with it, if anything.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// How often it vanished since the start.
    pub fn losses(&self) -> u64 {
        self.losses
    }

    /// Shows the signal as far as there is a LED, and tells when to be called again. `now_ms` is monotonic.
    pub fn show(&mut self, signal: Signal, now_ms: u64) -> u64 {
        // Light discipline in the settings goes before whatever the caller thinks.
        let signal = if self.settings.dark {
            Signal::Dark
        } else {
            signal
        };
        if self.bulb.is_none() {
            if now_ms < self.probe_ms {
                return self.probe_ms;
            }
            self.check_ms = now_ms.saturating_add(CHECK_MS);
            if let Err(error) = self.open() {
                return self.failed(&error, now_ms);
            }
        }
        match self.perform(signal, now_ms) {
            Ok(next_ms) => {
                if self.bulb.is_some() {
                    self.works();
                }
                next_ms
            }
            Err(error) => self.failed(&error, now_ms),
        }
    }

    /// The program ends: the kernel shows for some seconds that the box restarts or shuts down, then that nobody is
    /// there. What only this program can switch is left dark.
    pub fn goodbye(&mut self) {
        match self.bulb.take() {
            Some(Bulb::Leased(class, _)) => {
                // Whatever goes wrong here, the lease runs out by itself.
                let _ = class.play(&goodbye(class.full()));
            }
            bulb => {
                self.bulb = bulb;
                self.darken();
            }
        }
    }

    fn darken(&mut self) {
        let _ = match self.bulb.take() {
            Some(Bulb::Leased(mut class, _)) => class
                .release()
                .map_err(PinError::from)
                .and_then(|()| class.set_low()),
            Some(Bulb::Driven(mut lamp)) => lamp.pin().set_low(),
            None => Ok(()),
        };
    }

    fn open(&mut self) -> Result<(), PinError> {
        let Some(pin) = Pin::open(&self.settings)? else {
            self.back_end = match self.losses {
                0 => BackEnd::None,
                _ => BackEnd::Lost,
            };
            return Ok(());
        };
        let gives_up = self.forbidden >= PERMIT_TIMES;
        self.bulb = Some(match pin {
            Pin::Class(class) if !self.settings.dark && !gives_up && class.plays_patterns()? => {
                class.take_patterns()?;
                let lease = Lease::new(class.full());
                self.back_end = BackEnd::Kernel;
                Bulb::Leased(class, lease)
            }
            Pin::Class(class) => {
                class.release()?;
                self.back_end = BackEnd::Class;
                Bulb::Driven(Lamp::new(Pin::Class(class)))
            }
            line @ Pin::Line(_) => {
                self.back_end = BackEnd::Gpio;
                Bulb::Driven(Lamp::new(line))
            }
        });
        Ok(())
    }

    fn perform(&mut self, signal: Signal, now_ms: u64) -> Result<u64, PinError> {
        match &mut self.bulb {
            None => {
                self.probe_ms = now_ms + PROBE_MS;
                Ok(self.probe_ms)
            }
            Some(Bulb::Leased(class, lease)) => {
                lease.show(signal.pattern(), now_ms);
                if lease.due_ms(now_ms) <= now_ms {
                    let text = lease.write(now_ms, class.is_lit().ok());
                    class.play(&text)?;
                }
                Ok(lease.due_ms(now_ms.saturating_add(1)))
            }
            Some(Bulb::Driven(lamp)) => {
                if now_ms >= self.check_ms {
                    self.check_ms = now_ms.saturating_add(CHECK_MS);
                    check(lamp.pin(), self.settings.dark)?;
                }
                let next_ms = lamp.drive(signal, now_ms)?;
                Ok(next_ms.unwrap_or(u64::MAX).min(self.check_ms))
            }
        }
    }

    fn works(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!("status LED: back at {}", self.place());
        }
        if self.back_end == BackEnd::Kernel {
            self.forbidden = 0;
        }
    }

    fn failed(&mut self, error: &PinError, now_ms: u64) -> u64 {
        let had = self.bulb.take().is_some();
        let forbidden = error.io_kind() == io::ErrorKind::PermissionDenied;
        if forbidden && self.forbidden < PERMIT_TIMES {
            self.forbidden += 1;
            if self.forbidden < PERMIT_TIMES {
                self.probe_ms = now_ms + PERMIT_MS;
                return self.probe_ms;
            }
            tracing::warn!(
                "status LED: the kernel's patterns there are for root only, so a program that hangs or died will not \
                 show on it; let this user write `pattern` and `repeat`"
            );
        }
        if had {
            self.losses += 1;
            self.forbidden = if forbidden { self.forbidden } else { 0 };
        }
        self.back_end = BackEnd::Lost;
        if self.trouble.is_none() {
            let words = format!("{}: {error}", self.place());
            tracing::warn!("status LED: {words}; federation goes on without it");
            self.trouble = Some(words);
        }
        self.probe_ms = now_ms + PROBE_MS;
        self.probe_ms
    }
}

/// Whether a LED that nothing may be written to for long is there still; under light discipline it is made dark again,
/// whoever lit it.
fn check(pin: &mut Pin, dark: bool) -> Result<(), PinError> {
    match pin {
        Pin::Class(class) => {
            if dark {
                class.release()?;
            }
            match class.is_lit()? {
                true if dark => class.set_low(),
                _ => Ok(()),
            }
        }
        Pin::Line(line) => Ok(line.check()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::led::Fault;
    use std::fs;
    use std::path::Path;

    fn fitting(directory: &Path, dark: bool) -> Fitting {
        for (file, text) in [
            ("trigger", "[none] pattern\n"),
            ("brightness", "1\n"),
            ("max_brightness", "1\n"),
            ("pattern", ""),
            ("repeat", "3\n"),
        ] {
            fs::write(directory.join(file), text).unwrap();
        }
        Fitting::new(Led {
            place: LedPlace::Directory(directory.to_path_buf()),
            dark,
        })
    }

    #[test]
    fn what_is_forbidden_is_asked_for_again_and_then_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let mut fitting = fitting(directory.path(), false);
        let forbidden = PinError::from(io::Error::from(io::ErrorKind::PermissionDenied));
        let mut now_ms = 0;
        for _ in 1..PERMIT_TIMES {
            let next_ms = fitting.failed(&forbidden, now_ms);
            assert_eq!(next_ms, now_ms + PERMIT_MS);
            assert_eq!(fitting.trouble(), None, "udev is on its way");
            now_ms = next_ms;
        }
        let next_ms = fitting.failed(&forbidden, now_ms);
        assert_eq!(next_ms, now_ms + PROBE_MS);
        assert_eq!(fitting.back_end(), BackEnd::Lost);
        fitting.show(Signal::Flowing, next_ms);
        assert_eq!(
            fitting.back_end(),
            BackEnd::Class,
            "without the kernel's help"
        );
        let brightness = fs::read_to_string(directory.path().join("brightness"));
        assert_eq!(brightness.unwrap(), "1");
    }

    #[test]
    fn a_lease_is_for_ever_and_written_no_oftener_than_it_must() {
        let directory = tempfile::tempdir().unwrap();
        let mut fitting = fitting(directory.path(), false);
        let next_ms = fitting.show(Signal::Fault(Fault::Clock), 0);
        assert!(next_ms >= 2000, "{next_ms}");
        assert_eq!(fitting.back_end(), BackEnd::Kernel);
        let read = |file: &str| fs::read_to_string(directory.path().join(file)).unwrap();
        assert_eq!(read("repeat"), "-1");
        let first = read("pattern");
        fs::write(directory.path().join("pattern"), "").unwrap();
        assert_eq!(fitting.show(Signal::Fault(Fault::Clock), 250), next_ms);
        assert_eq!(read("pattern"), "", "not yet");
        fitting.show(Signal::Fault(Fault::Clock), next_ms);
        assert!(read("pattern").len() > 1000 && first.len() > 1000);
    }

    #[test]
    fn dark_takes_the_led_from_the_kernel_and_writes_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let mut fitting = fitting(directory.path(), true);
        fs::write(directory.path().join("trigger"), "none [pattern]\n").unwrap();
        fitting.show(Signal::Fault(Fault::Storage), 0);
        let read = |file: &str| fs::read_to_string(directory.path().join(file)).unwrap();
        assert_eq!(read("trigger"), "none");
        assert_eq!(read("brightness"), "0");
        assert_eq!(read("pattern"), "");
        fitting.goodbye();
        assert_eq!(read("pattern"), "");
    }

    #[test]
    fn another_place_leaves_the_old_one_dark() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut here = fitting(old.path(), false);
        here.show(Signal::Flowing, 0);
        let there = fitting(new.path(), false);
        here.set(&there.settings);
        here.show(Signal::Flowing, 1);
        let trigger = fs::read_to_string(old.path().join("trigger")).unwrap();
        let brightness = fs::read_to_string(old.path().join("brightness")).unwrap();
        assert_eq!((trigger.as_str(), brightness.as_str()), ("none", "0"));
        assert!(
            !fs::read_to_string(new.path().join("pattern"))
                .unwrap()
                .is_empty()
        );
    }
}
