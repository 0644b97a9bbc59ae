//! What is read out of every event, in whatever form it came.

use super::deliver::Targets;
use crate::clock::Now;
use crate::cot::class;

/// How a uid is spelled, beside a callsign that stands in XML in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// As attribute text, references unresolved.
    Raw,
    /// As it is meant, which is how protobuf has it.
    Meant,
    /// As attribute text in an event in which all of that means itself, the callsign too.
    Plain,
}

/// Late joiners are shown positions and alarms that still hold.
pub(super) fn keeps(kind: &[u8], targets: &Targets) -> bool {
    let alarm = class::is_emergency(kind) && !class::is_cancellation(kind);
    !targets.is_directed() && (kind.starts_with(b"a-") || alarm)
}

/// Until when an event is worth sending: as long as it has to live from now. What was stale on arrival is passed
/// on as it came, and has no deadline: its sender's clock may be wrong, or it is a replay.
pub(super) fn deadline(stale: Option<i64>, now: Now) -> Option<u64> {
    let left = stale?.checked_sub(now.wall_ms)?;
    let left = u64::try_from(left).ok().filter(|&left| left > 0)?;
    Some(now.mono_ms.saturating_add(left))
}
