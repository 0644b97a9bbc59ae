//! The status LED of the running box: looks at the facts, has [`crate::led`] decide, and performs.
//!
//! | back end | who makes it blink | when this program dies or hangs |
//! |---|---|---|
//! | `kernel`: a LED of the kernel's LED class, with its `pattern` trigger | the kernel, on a lease of 6 s that is renewed every 2 s or so | within 6 s the kernel shows ten blinks, for a minute and a half at least |
//! | `class`: the same without that trigger | this program | it stands still; `ExecStopPost=tombolo led fault --for 8` plays the ten blinks once |
//! | `gpio`: a bare line | this program | the kernel takes the line back; as for `class` |
//!
//! A LED that cannot be reached is looked for every 2 s, told once and counted; nothing else of the box minds.

mod class;
mod error;
mod fitting;
mod line;
mod look;
pub mod parting;
mod pin;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use error::PinError;
pub use fitting::{BackEnd, Fitting};

use super::Shared;
use crate::api::status::LedStatus;
use crate::led::{Signal, picture};
use look::Looker;

/// The facts are looked at so often, milliseconds,
const LOOK_MS: u64 = 500;
/// and where there is no LED, for `status` alone, so often.
const IDLE_MS: u64 = 1_000;

/// What the LED shows, for `status`.
#[derive(Debug, Default)]
pub struct Shown(Mutex<LedStatus>);

impl Shown {
    /// What it shows now.
    pub fn status(&self) -> LedStatus {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LedStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, signal: Signal, fitting: &Fitting) {
        let mut shown = self.lock();
        let (word, back_end) = (signal.word(), fitting.back_end().word());
        let problem = fitting.trouble();
        let is_same = shown.signal == word
            && shown.back_end == back_end
            && shown.problem.as_deref() == problem
            && shown.losses == fitting.losses();
        if is_same {
            return;
        }
        *shown = LedStatus {
            signal: word.to_owned(),
            meaning: signal.meaning().to_owned(),
            pattern: signal.pattern().in_words(),
            back_end: back_end.to_owned(),
            place: fitting.place(),
            problem: problem.map(str::to_owned),
            losses: fitting.losses(),
        };
    }
}

/// Drives the LED until the box stops. `root` is `/`; tests have another.
pub(super) async fn run(shared: Arc<Shared>, mut fitting: Fitting, root: PathBuf) {
    let mut looker = Looker::new(&root.join("run/tombolo"));
    let mut stop = shared.stop.subscribe();
    let (mut signal, mut look_ms) = (Signal::Booting, 0);
    while !*stop.borrow() {
        let now_ms = shared.hub.now().mono_ms;
        if now_ms >= look_ms {
            fitting.set(&shared.config().led);
            let new = picture::signal(&looker.look(&shared, now_ms));
            if new != signal {
                tracing::debug!(
                    "status LED: {} ({})",
                    new.meaning(),
                    new.pattern().in_words()
                );
            }
            signal = new;
        }
        let due_ms = fitting.show(signal, now_ms);
        if now_ms >= look_ms {
            shared.shown.note(signal, &fitting);
            look_ms = now_ms.saturating_add(match fitting.back_end() {
                BackEnd::None => IDLE_MS,
                _ => LOOK_MS,
            });
        }
        let pause = due_ms.min(look_ms).saturating_sub(now_ms).max(1);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(pause)) => {}
            changed = stop.changed() => if changed.is_err() { break },
        }
    }
    fitting.goodbye();
}
