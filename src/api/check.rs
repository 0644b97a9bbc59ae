//! What `check` answers: each step of a peer's link, and whether a probe came back.

use serde::{Deserialize, Serialize};

/// How far a peer's link comes, step by step.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CheckReport {
    /// The peer's name.
    pub peer: String,
    /// Number of this check, to ask for the rest.
    pub id: u64,
    /// Nothing is under way any more.
    pub done: bool,
    /// `proven`: a probe came back. `flowing`: events crossed in the last minute, but a probe was not possible.
    /// `connected`: up, and nothing proven. `stopped`: see `stopped_by`. Empty while it is under way.
    pub verdict: String,
    /// The step that stops it, in one word.
    pub stopped_by: Option<String>,
    /// The steps, in their order.
    pub steps: Vec<Step>,
    /// How long the probe took there and back, milliseconds.
    pub round_trip_ms: Option<u64>,
    /// The peer's wall clock minus ours, milliseconds, as far as half of the round trip tells.
    pub clock_ms: Option<i64>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Step {
    /// `network`, `name`, `tcp`, `tls`, `usage`, `clock`, `registration`, `version`, `groups`, `health`, `connection`,
    /// `direction`, `filter`, `echo`; at a TAK Server also `login`, `out`, `in`.
    pub step: String,
    /// `ok`, `failed`, `unknown` (not reached, or not to be seen from here), or `skipped`.
    pub state: String,
    /// What is so, or what is wrong and what to do about it.
    pub words: String,
}

impl Step {
    /// A step.
    pub fn new(step: &str, state: StepState, words: impl Into<String>) -> Self {
        Self {
            step: step.to_owned(),
            state: state.word().to_owned(),
            words: words.into(),
        }
    }

    /// It failed.
    pub fn is_failed(&self) -> bool {
        self.state == StepState::Failed.word()
    }
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// Done, and well.
    Ok,
    /// Not well.
    Failed,
    /// Not reached, or not to be seen from here.
    Unknown,
    /// Left out.
    Skipped,
}

impl StepState {
    /// The word that scripts see.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
        }
    }
}

impl CheckReport {
    /// Adds a step; a failed one is what stops the link, unless another one did before.
    pub fn add(&mut self, step: Step) {
        if step.is_failed() && self.stopped_by.is_none() {
            self.stopped_by = Some(step.step.clone());
        }
        self.steps.push(step);
    }

    /// In lines for people, not wrapped.
    pub fn lines(&self) -> Vec<String> {
        let steps = self.steps.iter();
        let mut lines: Vec<String> = steps
            .map(|step| format!("{:<8} {}: {}", step.state, step.step, step.words))
            .collect();
        lines.push(self.verdict_in_words());
        lines
    }

    /// The verdict in a sentence.
    pub fn verdict_in_words(&self) -> String {
        let peer = &self.peer;
        match (self.verdict.as_str(), self.round_trip_ms) {
            ("proven", Some(ms)) => format!("{peer}: proven, a probe came back in {ms} ms"),
            ("proven", None) => format!("{peer}: proven, a probe came out and was deleted again"),
            ("flowing", _) => {
                format!("{peer}: events crossed in the last minute; a probe was not possible")
            }
            ("connected", _) => format!("{peer}: connected, and nothing is proven"),
            _ => match &self.stopped_by {
                Some(step) => format!("{peer}: stopped by: {step}"),
                None => format!("{peer}: not proven"),
            },
        }
    }

    /// Whether events are known to cross.
    pub fn is_good(&self) -> bool {
        matches!(self.verdict.as_str(), "proven" | "flowing") && self.stopped_by.is_none()
    }
}
