//! The pins of both kinds as one, for the machine that plays patterns.

use std::io;
use std::path::Path;

use embedded_hal::digital::{ErrorType, OutputPin};

use super::class::Class;
use super::error::PinError;
use super::line::Line;
use crate::config::led::USUAL_LED;
use crate::config::{Led, LedPlace};

/// A LED.
#[derive(Debug)]
pub enum Pin {
    /// One that the kernel knows.
    Class(Class),
    /// A bare line.
    Line(Line),
}

impl Pin {
    /// Opens the LED of the settings; none where there is none to be.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(settings: &Led) -> Result<Option<Self>, PinError> {
        Ok(match &settings.place {
            LedPlace::Nowhere => None,
            LedPlace::Usual => match Class::open(Path::new(USUAL_LED)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                class => Some(Self::Class(class?)),
            },
            LedPlace::Directory(directory) => Some(Self::Class(Class::open(directory)?)),
            LedPlace::Line {
                chip,
                line,
                active_low,
            } => Some(Self::Line(Line::open(chip, *line, *active_low)?)),
        })
    }
}

impl ErrorType for Pin {
    type Error = PinError;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), PinError> {
        match self {
            Self::Class(class) => class.set_low(),
            Self::Line(line) => line.set_low(),
        }
    }

    fn set_high(&mut self) -> Result<(), PinError> {
        match self {
            Self::Class(class) => class.set_high(),
            Self::Line(line) => line.set_high(),
        }
    }
}
