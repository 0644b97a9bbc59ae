//! A bare line of a GPIO chip, by the kernel's character device.
//!
//! The kernel plays nothing on such a line, and gives it back when the program ends: a dead program shows as a LED that
//! stands still, mostly dark. Where a dead program must be seen, the LED belongs into the device tree.

use std::io;
use std::path::Path;

use embedded_hal::digital::{ErrorType, OutputPin};
use gpiocdev::line::Value;
use gpiocdev::request::Request;

use super::error::PinError;

/// A line that is ours as long as this lives.
#[derive(Debug)]
pub struct Line {
    request: Request,
    offset: u32,
}

impl Line {
    /// Takes the line; it is dark at first.
    pub(super) fn open(chip: &Path, offset: u32, active_low: bool) -> io::Result<Self> {
        let mut builder = Request::builder();
        builder
            .on_chip(chip)
            .with_consumer("tombolo")
            .with_line(offset)
            .as_output(Value::Inactive);
        if active_low {
            builder.as_active_low();
        }
        let request = builder.request().map_err(of)?;
        Ok(Self { request, offset })
    }

    /// Whether the line is still there.
    pub(super) fn check(&self) -> io::Result<()> {
        self.request.value(self.offset).map(drop).map_err(of)
    }

    fn set(&self, value: Value) -> Result<(), PinError> {
        Ok(self
            .request
            .set_value(self.offset, value)
            .map(drop)
            .map_err(of)?)
    }
}

impl ErrorType for Line {
    type Error = PinError;
}

impl OutputPin for Line {
    fn set_low(&mut self) -> Result<(), PinError> {
        self.set(Value::Inactive)
    }

    fn set_high(&mut self) -> Result<(), PinError> {
        self.set(Value::Active)
    }
}

fn of(error: gpiocdev::Error) -> io::Error {
    let words = error.to_string();
    match error {
        gpiocdev::Error::Os(number) => io::Error::from_raw_os_error(number.0),
        _ => io::Error::other(words),
    }
}
