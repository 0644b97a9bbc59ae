//! A LED that the kernel knows: a directory of its LED class. Tests give a directory of plain files.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use embedded_hal::digital::{ErrorType, OutputPin};

use super::error::PinError;
use crate::files;

/// The kernel's list of triggers is some KiB long.
const MOST_BYTES: u64 = 64 * 1024;

/// The LED of one directory.
#[derive(Debug, Clone)]
pub struct Class {
    directory: PathBuf,
    /// What its brightest is.
    full: u32,
}

impl Class {
    /// Finds the LED.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let class = Self {
            directory: directory.to_path_buf(),
            full: 1,
        };
        let text = class.read("max_brightness")?;
        let full = text.trim().parse().ok().filter(|full| *full > 0);
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "max_brightness is no number");
        Ok(Self {
            full: full.ok_or_else(wrong)?,
            ..class
        })
    }

    /// What its brightest is.
    pub(super) fn full(&self) -> u32 {
        self.full
    }

    /// Whether the kernel can play patterns on it.
    pub(super) fn plays_patterns(&self) -> io::Result<bool> {
        let triggers = self.read("trigger")?;
        Ok(triggers
            .split_whitespace()
            .any(|trigger| trigger.trim_matches(['[', ']']) == "pattern"))
    }

    /// Makes the kernel take patterns for it, repeated for ever. A trigger that is set already is not set again: the
    /// files of a trigger are made anew whenever it is set, and belong to root until somebody gives them away.
    pub(super) fn take_patterns(&self) -> io::Result<()> {
        if !self.read("trigger")?.contains("[pattern]") {
            self.write("trigger", "pattern")?;
        }
        match self.read("repeat") {
            Ok(repeat) if repeat.trim() == "-1" => Ok(()),
            _ => self.write("repeat", "-1"),
        }
    }

    /// Hands the kernel a pattern.
    pub(super) fn play(&self, pattern: &str) -> io::Result<()> {
        self.write("pattern", pattern)
    }

    /// Takes the LED away from the kernel's triggers.
    pub(super) fn release(&self) -> io::Result<()> {
        let trigger = self.read("trigger")?;
        match trigger.contains("[none]") || trigger.trim() == "none" {
            true => Ok(()),
            false => self.write("trigger", "none"),
        }
    }

    /// Whether it is lit at this moment.
    pub(super) fn is_lit(&self) -> io::Result<bool> {
        Ok(self.read("brightness")?.trim() != "0")
    }

    fn read(&self, file: &str) -> io::Result<String> {
        let bytes = files::read_bounded(&self.directory.join(file), MOST_BYTES)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// One call of the system for the whole text, as the kernel wants it. A file that is not there is not made.
    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        let path = self.directory.join(file);
        let mut file = OpenOptions::new().write(true).truncate(true).open(path)?;
        match file.write(text.as_bytes())? {
            written if written == text.len() => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::WriteZero,
                "taken in part only",
            )),
        }
    }
}

impl ErrorType for Class {
    type Error = PinError;
}

impl OutputPin for Class {
    fn set_low(&mut self) -> Result<(), PinError> {
        Ok(self.write("brightness", "0")?)
    }

    fn set_high(&mut self) -> Result<(), PinError> {
        Ok(self.write("brightness", &self.full.to_string())?)
    }
}
