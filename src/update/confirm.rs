//! The health check of a new system, by asking its daemon again and again.

#![allow(
    clippy::disallowed_methods,
    reason = "a command that ends waits for the daemon; no event loop runs here"
)]

use std::thread;
use std::time::Duration;

use super::UpdateError;
use super::health::{Answer, Health};
use super::install::settle;
use super::machine::Machine;
use super::record::Records;
use crate::api::{self, PeerState, Request, Response};
use crate::clock::{Clock, SystemClock};

/// How often the daemon is asked.
const PAUSE: Duration = Duration::from_secs(1);
/// What the daemon's status says of safe mode.
const SAFE: &str = "safe";

/// Waits until the system on trial is healthy, at most so long, and commits its slot. Says what was done.
///
/// # Errors
/// If it is not healthy in time: the box must then restart.
pub fn confirm(machine: &Machine, wait: Duration) -> Result<String, UpdateError> {
    let booted = machine.booted()?;
    let device = machine.device()?;
    device.repair()?;
    let is_tried = device
        .read()?
        .state()
        .trial
        .is_some_and(|trial| trial.slot == booted.slot);
    if !is_tried {
        return Ok(match settle(machine)? {
            Some(_) => format!("slot {} is committed already", booted.slot),
            None => format!(
                "slot {} runs and is not on trial; nothing to confirm",
                booted.slot
            ),
        });
    }
    let records = Records::of(machine);
    let record = records
        .trial()
        .filter(|record| record.slot == booted.slot.letter());
    let wanted = record
        .as_ref()
        .map(|record| record.flowing.clone())
        .unwrap_or_default();
    let mut health = Health::of(wanted);
    let clock = SystemClock::new();
    loop {
        let answer = answer(machine);
        let now = Duration::from_millis(clock.now().mono_ms);
        if health.observe(now, answer.as_ref()) {
            break;
        }
        if now >= wait {
            let trouble = health.trouble();
            if let Some(record) = record {
                let record = super::record::TrialRecord {
                    trouble: Some(trouble.clone()),
                    ..record
                };
                // Only the story is lost when this fails; the box restarts all the same.
                let _ = records.set_trial(&record);
            }
            return Err(UpdateError::Unhealthy(format!(
                "the system in slot {} did not become healthy within {} s: {trouble}",
                booted.slot,
                wait.as_secs()
            )));
        }
        thread::sleep(PAUSE.min(wait.saturating_sub(now)));
    }
    device.change(|state| match state.trial {
        Some(trial) if trial.slot == booted.slot => state
            .committed()
            .map_err(|change| UpdateError::Refused(change.to_string())),
        _ => Err(UpdateError::Refused("the trial was ended meanwhile".into())),
    })?;
    settle(machine)?;
    Ok(format!("slot {} is healthy and committed", booted.slot))
}

fn answer(machine: &Machine) -> Option<Answer> {
    let Ok(Response::Status(status)) = api::ask(&machine.state, &Request::Status) else {
        return None;
    };
    let names = |wanted: fn(PeerState) -> bool| {
        let chosen = status.peers.iter().filter(|peer| wanted(peer.state));
        chosen.map(|peer| peer.name.clone()).collect()
    };
    Some(Answer {
        is_safe_mode: status.node.state == SAFE,
        uptime_seconds: status.node.uptime_seconds,
        peers: names(|state| !matches!(state, PeerState::Disabled | PeerState::Paused)),
        flowing: names(|state| state == PeerState::Flowing),
    })
}
