//! The pattern machine: what is to be shown, and the moment, give on or off and when to ask again.

use embedded_hal::digital::{OutputPin, PinState};

use super::pattern::Pattern;
use super::signal::Signal;

/// Two edges are never closer than this, milliseconds, whoever asks when; only the change to dark does not wait.
pub const LEAST_MS: u64 = 50;

/// An answer of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Lit from now on.
    pub lit: bool,
    /// When to ask again, milliseconds of the same clock; none = not before there is something else to show.
    pub again_ms: Option<u64>,
}

/// The machine. It starts dark.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    signal: Signal,
    /// When the pattern began.
    began_ms: u64,
    lit: bool,
    /// The last edge.
    edge_ms: Option<u64>,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            signal: Signal::Dark,
            began_ms: 0,
            lit: false,
            edge_ms: None,
        }
    }
}

impl Machine {
    /// Says what is to be shown from now on. A pattern that is shown already goes on undisturbed.
    pub fn show(&mut self, signal: Signal, now_ms: u64) {
        if signal.pattern() != self.signal.pattern() {
            self.began_ms = now_ms;
        }
        self.signal = signal;
    }

    /// What is shown.
    pub fn pattern(&self) -> Pattern {
        self.signal.pattern()
    }

    /// On or off now, and when to ask again. `now_ms` is monotonic.
    pub fn beat(&mut self, now_ms: u64) -> Beat {
        if self.signal == Signal::Dark {
            self.turn(false, now_ms);
            return Beat {
                lit: false,
                again_ms: None,
            };
        }
        let pattern = self.pattern();
        let moment = pattern.at(now_ms.saturating_sub(self.began_ms));
        let free_ms = self.edge_ms.map_or(0, |edge| edge.saturating_add(LEAST_MS));
        let again_ms = if moment.step.lit != self.lit && now_ms < free_ms {
            Some(free_ms)
        } else {
            self.turn(moment.step.lit, now_ms);
            let left = moment.step.ms - moment.into_ms;
            pattern
                .still()
                .is_none()
                .then(|| now_ms.saturating_add(left))
        };
        Beat {
            lit: self.lit,
            again_ms,
        }
    }

    fn turn(&mut self, lit: bool, now_ms: u64) {
        if lit != self.lit {
            self.lit = lit;
            self.edge_ms = Some(now_ms);
        }
    }
}

/// A machine and the pin that it drives.
#[derive(Debug)]
pub struct Lamp<P> {
    pin: P,
    machine: Machine,
    /// What the pin was told last.
    told: Option<bool>,
}

impl<P: OutputPin> Lamp<P> {
    /// A lamp on that pin; nothing is written yet.
    pub fn new(pin: P) -> Self {
        Self {
            pin,
            machine: Machine::default(),
            told: None,
        }
    }

    /// Shows the signal, and tells when to be called again.
    ///
    /// # Errors
    /// What the pin says. The next call tries again.
    pub fn drive(&mut self, signal: Signal, now_ms: u64) -> Result<Option<u64>, P::Error> {
        self.machine.show(signal, now_ms);
        let beat = self.machine.beat(now_ms);
        if self.told != Some(beat.lit) {
            self.told = None;
            self.pin.set_state(PinState::from(beat.lit))?;
            self.told = Some(beat.lit);
        }
        Ok(beat.again_ms)
    }

    /// The pin.
    pub fn pin(&mut self) -> &mut P {
        &mut self.pin
    }
}
