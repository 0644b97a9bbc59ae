//! Installing, going back, and noting how the last update ended.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use super::admission::{admit, may_write};
use super::machine::Machine;
use super::outcome::{Outcome, in_words, judge};
use super::record::{Phase, Records, TrialRecord};
use super::{UpdateError, rauc};
use crate::api::{self, PastUpdate, PeerState, Request, Response, UpdateEnd, UpdateReport};
use crate::slot::{Change, Slot, USUAL_ATTEMPTS};

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The slot that is tried with the next restart.
    pub slot: Slot,
    /// The version in it.
    pub version: String,
}

/// Checks a bundle, writes it into the slot that does not run and puts that on trial. The caller sees to the restart.
///
/// # Errors
/// Why not; the running system stays the committed one whatever happens.
pub fn install(
    machine: &Machine,
    bundle: &Path,
    allow_downgrade: bool,
) -> Result<Installed, UpdateError> {
    let booted = machine.booted()?;
    let release = machine.release()?;
    let device = machine.device()?;
    settle(machine)?;
    let refused = |refusal: &dyn std::fmt::Display| {
        UpdateError::Refused(format!("{}: {refusal}", bundle.display()))
    };
    may_write(booted, &device.read()?.state())
        .map_err(|refusal| UpdateError::NotNow(format!("{}: {refusal}", bundle.display())))?;
    let facts = rauc::info(&machine.keyring(), bundle)?;
    admit(&facts, &release, allow_downgrade).map_err(|refusal| refused(&refusal))?;
    let slot = booted.slot.other();
    let records = Records::of(machine);
    let mut record = TrialRecord {
        slot: slot.to_string(),
        version: facts.version.clone(),
        from_version: release.version,
        boot_id: machine.boot_id()?,
        phase: Phase::Installing,
        flowing: flowing(machine),
        trouble: None,
    };
    records.set_trial(&record)?;
    let installed = rauc::install(bundle).and_then(|()| {
        let is_tried = device.read()?.state().trial.is_some_and(|trial| trial.slot == slot);
        is_tried.then_some(()).ok_or_else(|| {
            UpdateError::Rauc(format!(
                "rauc install: slot {slot} is written and was not put on trial; is /usr/lib/tombolo/rauc-slot its \
                 bootloader-custom-backend?"
            ))
        })
    });
    if let Err(error) = installed {
        // What is half written must not be tried.
        device.change(|state| Ok::<_, UpdateError>(state.cancelled()))?;
        records.end(past(&record, UpdateEnd::Failed, &error.to_string()))?;
        return Err(error);
    }
    record.phase = Phase::Installed;
    records.set_trial(&record)?;
    Ok(Installed {
        slot,
        version: facts.version,
    })
}

/// Goes back: ends a trial, or tries the system that ran before the last update. Says what happens with the restart.
///
/// # Errors
/// If there is nothing to go back to.
pub fn rollback(machine: &Machine) -> Result<String, UpdateError> {
    let booted = machine.booted()?;
    let release = machine.release()?;
    let device = machine.device()?;
    settle(machine)?;
    let records = Records::of(machine);
    let state = device.read()?.state();
    if state.trial.is_some() {
        let state = device.change(|state| Ok::<_, UpdateError>(state.cancelled()))?;
        if let Some(record) = records.trial() {
            records.end(past(
                &record,
                UpdateEnd::Cancelled,
                "called off by the operator",
            ))?;
        }
        return Ok(format!(
            "the trial is ended; slot {} boots with the next restart",
            state.good
        ));
    }
    let history = records.history();
    let slot = booted.slot.other();
    let last = history.last();
    if let Some(past) =
        last.filter(|past| past.end != UpdateEnd::Committed && past.slot == slot.letter())
    {
        return Err(UpdateError::Refused(format!(
            "slot {slot} does not hold a system that once worked ({}); install a bundle instead",
            in_words(&Outcome::Ended(past.clone()), &[])
        )));
    }
    let record = TrialRecord {
        slot: slot.to_string(),
        version: last
            .map(|past| past.from_version.clone())
            .unwrap_or_default(),
        from_version: release.version,
        boot_id: machine.boot_id()?,
        phase: Phase::Installed,
        flowing: flowing(machine),
        trouble: None,
    };
    // With the trial first and no record, a power cut in between would leave a trial without its story; with the
    // record first it leaves a story without its trial, which ends as cancelled.
    records.set_trial(&record)?;
    device.change(|state| {
        let wrong = |change: Change| UpdateError::Refused(change.to_string());
        state.tried(slot, USUAL_ATTEMPTS).map_err(wrong)
    })?;
    Ok(format!(
        "slot {slot} is tried with the next restart, and kept when it is healthy"
    ))
}

/// Brings card and notes in line with what happened: repairs the slot state after a power cut, and when the update
/// under way is over, ends its trial and notes how it went. Says how, if it was over.
///
/// # Errors
/// If this is no box with two slots, or a file cannot be written.
pub fn settle(machine: &Machine) -> Result<Option<PastUpdate>, UpdateError> {
    let booted = machine.booted()?;
    let device = machine.device()?;
    device.repair()?;
    let records = Records::of(machine);
    let state = device.read()?.state();
    let record = records.trial();
    let Outcome::Ended(past) = judge(record.as_ref(), Some(&state), booted, &machine.boot_id()?)
    else {
        return Ok(None);
    };
    if state.trial.is_some_and(|trial| trial.slot != booted.slot) {
        device.change(|state| Ok::<_, UpdateError>(state.cancelled()))?;
    }
    records.end(past.clone())?;
    Ok(Some(past))
}

/// How updates stand. Whoever may not read the card (the daemon) is told what the notes say.
///
/// # Errors
/// If this is no box with two slots.
pub fn report(machine: &Machine) -> Result<UpdateReport, UpdateError> {
    let booted = machine.booted()?;
    let release = machine.release()?;
    let state = machine
        .device()
        .ok()
        .and_then(|device| device.read().ok())
        .map(|copies| copies.state());
    let records = Records::of(machine);
    let outcome = judge(
        records.trial().as_ref(),
        state.as_ref(),
        booted,
        &machine.boot_id()?,
    );
    let history = records.history();
    let word = match outcome {
        Outcome::Nothing => "nothing",
        Outcome::Installing => "installing",
        Outcome::Waiting => "waiting",
        Outcome::OnTrial => "on_trial",
        Outcome::Ended(_) => "ended",
    };
    Ok(UpdateReport {
        version: release.version,
        board: release.board,
        running: booted.slot.to_string(),
        on_trial: outcome == Outcome::OnTrial,
        committed: state.map(|state| state.good.to_string()),
        left: state.and_then(|state| state.trial).map(|trial| trial.left),
        state: word.into(),
        words: in_words(&outcome, &history),
        history,
    })
}

/// Asks the service manager to restart the machine.
///
/// # Errors
/// If it cannot be asked.
pub fn restart() -> Result<(), UpdateError> {
    let failed = |cause: String| {
        UpdateError::Io(format!(
            "systemctl reboot: {cause}; restart the box by hand, the update is tried then"
        ))
    };
    let mut child = Command::new("systemctl")
        .args(["--no-block", "reboot"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let mut words = String::new();
    if let Some(errors) = child.stderr.take() {
        let _ = errors.take(4096).read_to_string(&mut words);
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(failed(words.trim().to_owned())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Peers that flow now; none if no daemon answers.
fn flowing(machine: &Machine) -> Vec<String> {
    let Ok(Response::Status(status)) = api::ask(&machine.state, &Request::Status) else {
        return Vec::new();
    };
    let flows = status
        .peers
        .into_iter()
        .filter(|peer| peer.state == PeerState::Flowing);
    flows.map(|peer| peer.name).collect()
}

fn past(record: &TrialRecord, end: UpdateEnd, why: &str) -> PastUpdate {
    PastUpdate {
        version: record.version.clone(),
        from_version: record.from_version.clone(),
        slot: record.slot.clone(),
        end,
        why: why.to_owned(),
    }
}
