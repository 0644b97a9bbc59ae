//! How an update stands, from what was noted and which slot runs.

use super::record::{Phase, TrialRecord};
use crate::api::{PastUpdate, UpdateEnd};
use crate::slot::{Booted, Slot, SlotState};

/// How an update stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// No update is under way.
    Nothing,
    /// The slot is being written.
    Installing,
    /// It is written, and boots with the next restart.
    Waiting,
    /// It runs and is being judged.
    OnTrial,
    /// It is over.
    Ended(PastUpdate),
}

/// Judges. Without `state` (only root may read it) what was noted and the slot that runs must do.
pub fn judge(
    record: Option<&TrialRecord>,
    state: Option<&SlotState>,
    booted: Booted,
    boot_id: &str,
) -> Outcome {
    let Some(record) = record else {
        return untold(state, booted);
    };
    let end = |end, why: &str| {
        Outcome::Ended(PastUpdate {
            version: record.version.clone(),
            from_version: record.from_version.clone(),
            slot: record.slot.clone(),
            end,
            why: why.to_owned(),
        })
    };
    let slot = record.slot.parse::<Slot>().ok();
    if slot == Some(booted.slot) {
        // Without the state, the boot loader's word is that of this boot: it may have been committed since, and then
        // the record is gone.
        let is_committed = state.map_or(!booted.is_trial, |state| state.good == booted.slot);
        return match is_committed {
            true => end(UpdateEnd::Committed, ""),
            false => Outcome::OnTrial,
        };
    }
    let is_same_boot = record.boot_id == boot_id;
    let trial = state
        .and_then(|state| state.trial)
        .filter(|trial| Some(trial.slot) == slot);
    match (record.phase, is_same_boot) {
        (Phase::Installing, true) => Outcome::Installing,
        (_, true) if state.is_some() && trial.is_none() => {
            end(UpdateEnd::Cancelled, "its trial was ended before it began")
        }
        (Phase::Installed, true) => Outcome::Waiting,
        // The slot is put on trial only when it is whole, so one that is not was cut short.
        (Phase::Installing, false)
            if state.is_some() && trial.is_none() && record.trouble.is_none() =>
        {
            end(
                UpdateEnd::Interrupted,
                "the box went off while the slot was written; install it again",
            )
        }
        (_, false) => end(
            UpdateEnd::RolledBack,
            record.trouble.as_deref().unwrap_or(
                "it did not come as far as its health check (boot loader, kernel or power)",
            ),
        ),
    }
}

/// A trial that was begun by hand.
fn untold(state: Option<&SlotState>, booted: Booted) -> Outcome {
    if booted.is_trial && state.is_none_or(|state| state.good != booted.slot) {
        return Outcome::OnTrial;
    }
    match state.and_then(|state| state.trial) {
        Some(trial) if trial.left > 0 => Outcome::Waiting,
        Some(trial) => Outcome::Ended(PastUpdate {
            version: String::new(),
            from_version: String::new(),
            slot: trial.slot.to_string(),
            end: UpdateEnd::RolledBack,
            why: "it was not committed in the boots it had".into(),
        }),
        None => Outcome::Nothing,
    }
}

/// The outcome in words, as `update status` shows it; `history` holds the past, the newest last.
pub fn in_words(outcome: &Outcome, history: &[PastUpdate]) -> String {
    let past = |past: &PastUpdate| match past.end {
        UpdateEnd::Committed => format!("slot {} was committed", past.slot),
        UpdateEnd::RolledBack => {
            format!(
                "rolled back: trial {} did not become healthy: {}",
                past.slot, past.why
            )
        }
        UpdateEnd::Interrupted => format!("interrupted: {}", past.why),
        UpdateEnd::Failed => format!("not installed: {}", past.why),
        UpdateEnd::Cancelled => format!("cancelled: {}", past.why),
    };
    match outcome {
        Outcome::Nothing => history
            .last()
            .map_or_else(|| "no update was installed yet".into(), past),
        Outcome::Installing => "an update is being installed".into(),
        Outcome::Waiting => "an update is installed and is tried with the next restart".into(),
        Outcome::OnTrial => {
            "the running system is on trial; it is committed when it is found healthy".into()
        }
        Outcome::Ended(end) => past(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::Trial;

    fn record(phase: Phase, trouble: Option<&str>) -> TrialRecord {
        TrialRecord {
            slot: "B".into(),
            version: "2".into(),
            from_version: "1".into(),
            boot_id: "first".into(),
            phase,
            flowing: vec!["bravo".into()],
            trouble: trouble.map(Into::into),
        }
    }

    fn state(good: Slot, left: Option<u8>) -> SlotState {
        let trial = left.map(|left| Trial {
            slot: good.other(),
            left,
        });
        SlotState { good, trial }
    }

    const A: Booted = Booted {
        slot: Slot::A,
        is_trial: false,
    };
    const TRIED_B: Booted = Booted {
        slot: Slot::B,
        is_trial: true,
    };
    const B: Booted = Booted {
        slot: Slot::B,
        is_trial: false,
    };

    #[test]
    fn every_end_of_an_update_is_recognised() {
        use Phase::{Installed, Installing};
        use Slot::A as SlotA;
        use UpdateEnd::{Cancelled, Committed, Interrupted, RolledBack};
        let ended = |record: TrialRecord, state: Option<SlotState>, booted, boot| match judge(
            Some(&record),
            state.as_ref(),
            booted,
            boot,
        ) {
            Outcome::Ended(past) => past.end,
            other => panic!("{other:?}"),
        };
        let open = |record: TrialRecord, state: Option<SlotState>, booted, boot| {
            judge(Some(&record), state.as_ref(), booted, boot)
        };
        let some = |good, left| Some(state(good, left));
        // The way that all should go.
        assert_eq!(
            open(record(Installing, None), some(SlotA, None), A, "first"),
            Outcome::Installing
        );
        assert_eq!(
            open(record(Installed, None), some(SlotA, Some(2)), A, "first"),
            Outcome::Waiting
        );
        assert_eq!(
            open(
                record(Installed, None),
                some(SlotA, Some(1)),
                TRIED_B,
                "second"
            ),
            Outcome::OnTrial
        );
        assert_eq!(
            ended(
                record(Installed, None),
                some(Slot::B, None),
                TRIED_B,
                "second"
            ),
            Committed
        );
        assert_eq!(ended(record(Installed, None), None, B, "third"), Committed);
        // The power went between RAUC's last step and our note of it.
        assert_eq!(
            open(
                record(Installing, None),
                some(SlotA, Some(1)),
                TRIED_B,
                "second"
            ),
            Outcome::OnTrial
        );
        // Trials that failed: attempts spent, or the slot could not even be loaded.
        for left in [0, 1] {
            assert_eq!(
                ended(record(Installed, None), some(SlotA, Some(left)), A, "third"),
                RolledBack
            );
        }
        assert_eq!(
            ended(record(Installing, None), some(SlotA, Some(0)), A, "third"),
            RolledBack
        );
        assert_eq!(
            ended(record(Installed, Some("why")), None, A, "third"),
            RolledBack
        );
        // Cut short, called off.
        assert_eq!(
            ended(record(Installing, None), some(SlotA, None), A, "second"),
            Interrupted
        );
        assert_eq!(
            ended(record(Installed, None), some(SlotA, None), A, "first"),
            Cancelled
        );
    }

    #[test]
    fn trials_begun_by_hand_are_told_too() {
        assert_eq!(
            judge(None, Some(&state(Slot::A, None)), A, "x"),
            Outcome::Nothing
        );
        assert_eq!(
            judge(None, Some(&state(Slot::A, Some(2))), A, "x"),
            Outcome::Waiting
        );
        assert_eq!(
            judge(None, Some(&state(Slot::A, Some(1))), TRIED_B, "x"),
            Outcome::OnTrial
        );
        assert!(matches!(
            judge(None, Some(&state(Slot::A, Some(0))), A, "x"),
            Outcome::Ended(_)
        ));
        assert_eq!(judge(None, None, A, "x"), Outcome::Nothing);
    }

    #[test]
    fn the_words_name_slot_and_reason() {
        let outcome = judge(
            Some(&record(Phase::Installed, Some("no peer flows"))),
            Some(&state(Slot::A, Some(0))),
            A,
            "z",
        );
        let words = in_words(&outcome, &[]);
        assert_eq!(
            words,
            "rolled back: trial B did not become healthy: no peer flows"
        );
        let Outcome::Ended(past) = outcome else {
            panic!("over")
        };
        assert_eq!(in_words(&Outcome::Nothing, &[past]), words);
        assert_eq!(
            in_words(&Outcome::Nothing, &[]),
            "no update was installed yet"
        );
    }
}
