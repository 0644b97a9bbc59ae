//! `tombolo led`: the status LED while the box is not running. For units, and to see that the LED works.

use std::env;
use std::time::Duration;

use clap::{Args, Subcommand};
use embedded_hal::digital::{OutputPin, PinState};

use super::failure::{Exit, Failure};
use super::output::print;
use super::paths::Places;
use crate::config::Led;
use crate::led::Pattern;
use crate::supervise::lamp::PinError;
use crate::supervise::lamp::parting::{Left, leave};

/// What the LED is to say.
#[derive(Debug, Subcommand)]
pub enum LedArgs {
    /// Show "booting" (0.1 s on, 0.1 s off), for a unit that runs early
    Booting(Playing),
    /// Show "nobody is there" (ten blinks and a pause), for ExecStopPost=; leaves a LED alone after a clean stop
    Fault(Playing),
}

/// How long to stay.
#[derive(Debug, Args)]
pub struct Playing {
    /// Where the kernel does not make the LED blink by itself: play for so long, 0 to 60
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=60))]
    seconds: u64,
}

/// Runs `led`. The configuration may be wrong, for then the box did not start and the LED is needed most.
///
/// # Errors
/// If the LED cannot be reached.
pub fn run(arguments: &LedArgs, places: &Places) -> Result<(), Failure> {
    let (pattern, playing) = match arguments {
        LedArgs::Booting(playing) => (Pattern::Fast, playing),
        LedArgs::Fault(_) if ended_well() => return Ok(()),
        LedArgs::Fault(playing) => (Pattern::ABANDONED, playing),
    };
    let settings = Led::of_file(&places.config);
    let unreachable = |error: PinError| {
        let message =
            format!("the status LED cannot be reached: {error}; see [led] in the configuration");
        Failure::new(Exit::Unavailable, message)
    };
    let words = match leave(&settings, pattern).map_err(unreachable)? {
        Left::Nothing if settings.dark => "light discipline: the LED stays dark",
        Left::Nothing => "there is no status LED",
        Left::Kernel => "the kernel plays it",
        Left::Pin(mut pin) => {
            play(&mut pin, pattern, playing.seconds * 1000).map_err(unreachable)?;
            "the kernel cannot play on this LED: it is dark from now on"
        }
    };
    print(&format!("{}: {words}\n", pattern.in_words()))
}

/// systemd tells ExecStopPost= how the service ended; a box that ends to be started again has left its own words on
/// the LED.
fn ended_well() -> bool {
    let is = |name: &str, value: &str| env::var_os(name).is_some_and(|known| known == value);
    is("SERVICE_RESULT", "success") || is("EXIT_STATUS", "75")
}

#[allow(
    clippy::disallowed_methods,
    reason = "a command of its own process, with nothing else to do"
)]
fn play<P: OutputPin>(pin: &mut P, pattern: Pattern, for_ms: u64) -> Result<(), P::Error> {
    let mut left = for_ms;
    for step in pattern.steps().collect::<Vec<_>>().iter().cycle() {
        if left == 0 {
            break;
        }
        let ms = step.ms.min(left);
        pin.set_state(PinState::from(step.lit))?;
        std::thread::sleep(Duration::from_millis(ms));
        left -= ms;
    }
    pin.set_low()
}
