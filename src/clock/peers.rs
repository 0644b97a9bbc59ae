//! The peers' clocks: what they say, and the median of it. Pure.

use super::quality::Quality;

/// More peers than this are not asked: the median does not get better.
pub const MOST_PEERS: usize = 64;
/// Without a peer that knows the time for sure, at least so many must be there: of three, one may be wrong.
const LEAST_UNKNOWN: usize = 3;
/// No offset that came over a network is better than this, milliseconds.
const LEAST_ERROR_MS: u64 = 100;

/// How far one peer's clock is from ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerOffset {
    /// Its clock less ours (`Now::wall_ms`), milliseconds.
    pub offset_ms: i64,
    /// It is this far off at most, milliseconds.
    pub error_ms: u32,
    /// What the peer says of its own clock; none where it says nothing (a TAK Server does not).
    pub quality: Option<Quality>,
}

/// The median of the peers' offsets and how far it may be off, milliseconds. None when too few know the time: a peer
/// whose own clock is not set by GPS or NTP counts nothing, or two boxes without a source would follow each other.
pub fn median(offsets: &[PeerOffset]) -> Option<(i64, u64)> {
    let of = |knows: fn(&PeerOffset) -> bool| -> Vec<PeerOffset> {
        let fitting = offsets.iter().copied().filter(knows);
        fitting.take(MOST_PEERS).collect()
    };
    let mut chosen = of(|peer| matches!(peer.quality, Some(Quality::Gps | Quality::Ntp)));
    if chosen.is_empty() {
        chosen = of(|peer| peer.quality.is_none());
        if chosen.len() < LEAST_UNKNOWN {
            return None;
        }
    }
    let middle = middle_of(chosen.iter().map(|peer| peer.offset_ms).collect())?;
    // What half of them differ from it, and what half of them may be off.
    let spread = middle_of(
        chosen
            .iter()
            .map(|peer| peer.offset_ms.saturating_sub(middle).saturating_abs())
            .collect(),
    )?;
    let error = middle_of(chosen.iter().map(|peer| i64::from(peer.error_ms)).collect())?;
    let error = spread.saturating_add(error).unsigned_abs();
    Some((middle, error.max(LEAST_ERROR_MS)))
}

fn middle_of(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    let upper = *values.get(values.len() / 2)?;
    match values.len() % 2 {
        1 => Some(upper),
        _ => {
            let lower = *values.get(values.len() / 2 - 1)?;
            // Both halves of the number line: no sum overflows.
            Some(lower / 2 + upper / 2 + (lower % 2 + upper % 2) / 2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn peer(offset_ms: i64, quality: Option<Quality>) -> PeerOffset {
        PeerOffset {
            offset_ms,
            error_ms: 20,
            quality,
        }
    }

    #[test]
    fn one_box_with_gps_is_enough_and_boxes_without_a_source_count_nothing() {
        let gps = peer(5_000, Some(Quality::Gps));
        assert_eq!(median(&[gps]), Some((5_000, 100)));
        let blind = peer(-9_000, Some(Quality::Floor));
        assert_eq!(median(&[blind, gps, blind]), Some((5_000, 100)));
        assert_eq!(median(&[blind; 9]), None);
        assert_eq!(median(&[peer(1, Some(Quality::Peers)); 9]), None);
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn of_three_strangers_one_may_be_wrong() {
        let server = |offset| peer(offset, None);
        assert_eq!(median(&[server(700), server(710)]), None);
        let (middle, error) = median(&[server(700), server(86_400_000), server(720)]).unwrap();
        assert_eq!(middle, 720);
        assert!(error < 100_000_000, "{error}");
        assert_eq!(
            median(&[server(700), server(710), server(720)]),
            Some((710, 100))
        );
    }

    proptest! {
        /// Fewer than half of them, however wrong, never move it out of the range of the others.
        #[test]
        fn a_minority_of_liars_is_outvoted(
            honest in proptest::collection::vec(-1_000_i64..1_000, 3..20),
            lies in proptest::collection::vec(any::<i64>(), 0..2),
        ) {
            let all: Vec<PeerOffset> = honest.iter().chain(&lies)
                .map(|&offset| peer(offset, Some(Quality::Ntp))).collect();
            let (middle, _) = median(&all).unwrap();
            prop_assert!((-1_000..1_000).contains(&middle), "{middle}");
        }
    }
}
