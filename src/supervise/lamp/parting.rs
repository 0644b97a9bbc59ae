//! The LED while the box is not running: before its start, and after a death.

use super::error::PinError;
use super::pin::Pin;
use crate::config::Led;
use crate::led::Pattern;
use crate::led::lease::endless;

/// Who shows the pattern.
#[derive(Debug)]
pub enum Left {
    /// There is no LED, or light discipline forbids it.
    Nothing,
    /// The kernel, for as long as nobody does something else.
    Kernel,
    /// Nobody: whoever holds this pin must play.
    Pin(Pin),
}

/// Leaves a pattern on the LED of the settings.
///
/// # Errors
/// What the system says of the LED.
pub fn leave(settings: &Led, pattern: Pattern) -> Result<Left, PinError> {
    use embedded_hal::digital::OutputPin;

    let Some(mut pin) = Pin::open(settings)? else {
        return Ok(Left::Nothing);
    };
    if let Pin::Class(class) = &pin {
        if !settings.dark && class.plays_patterns()? {
            class.take_patterns()?;
            class.play(&endless(pattern, class.full()))?;
            return Ok(Left::Kernel);
        }
        class.release()?;
    }
    pin.set_low()?;
    match settings.dark {
        true => Ok(Left::Nothing),
        false => Ok(Left::Pin(pin)),
    }
}
