//! The clock in which an event's times are: judged when it comes, and moved into ours where it differs.
//!
//! Time, start and stale move as one, so an event lives as long as its sender meant, a delete (`stale` before `start`)
//! stays one, and what has expired stays expired. Where the clocks agree not a byte is touched. Repeats are recognised
//! before, by the content as it came.

use super::{Kind, Router};
use crate::clock::Now;
use crate::clock::skew::{Judgement, Offset, Sample};
use crate::cot::patch::{self, Times};
use crate::route::link::LinkId;
use crate::wire::fig::Geo;
use crate::wire::stamp;
use crate::wire::tak;
use crate::wire::xml::Event;

/// The XML of a longer event, bytes, keeps its times (federates get it corrected all the same): it would take as much
/// memory once more, and it is no track.
pub(super) const MOVED_MAX: usize = 32 * 1024;

impl Router {
    /// Judges the clock of an event. `kept`: its uid will come again, and is remembered.
    #[inline(always)]
    pub(super) fn judge_time(
        &mut self,
        from: LinkId,
        key: u64,
        kept: bool,
        time: Option<i64>,
        now: Now,
    ) -> Judgement {
        // A time of zero is how some programs say none at all.
        let Some(time) = time.filter(|&time| time != 0) else {
            return Judgement::default();
        };
        match self.links.get(usize::from(from.0)) {
            Some(link) if !link.frame.passes(time, now) => {
                self.judge_closely(from, (key, kept), time, now)
            }
            _ => Judgement::default(),
        }
    }

    #[inline(never)]
    fn judge_closely(
        &mut self,
        from: LinkId,
        (key, kept): (u64, bool),
        time: i64,
        now: Now,
    ) -> Judgement {
        let Some(link) = self.links.get_mut(usize::from(from.0)) else {
            return Judgement::default();
        };
        // A device is the same on whatever connection it comes; of a federate, each way is judged by itself.
        let (key, correct) = match &link.kind {
            Kind::Commands => return Judgement::default(),
            Kind::Client | Kind::Neighbour(_) => (key, true),
            Kind::Federate(federate) => {
                let way = (u64::from(from.0) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                (key ^ way, federate.correct)
            }
        };
        let judged = self
            .skew
            .judge(&mut link.frame, (from.0, key, kept), time, now);
        // An event that shows that we judged by the wrong clock is not moved into that one.
        let stands = !self.look_for_reference(now);
        match correct && stands && self.reference.is_known() {
            true => judged,
            false => Judgement::default(),
        }
    }

    /// Moves a client's event. `room` is where its bytes then are, and goes back with [`Router::moved`].
    pub(super) fn move_xml<'a>(
        &mut self,
        from: LinkId,
        event: &mut Event<'a>,
        room: &'a mut Vec<u8>,
        shift_ms: i64,
    ) {
        let times = [event.time, event.start, event.stale];
        let Some(moved) = moved_times(times.map(|time| time.unwrap_or(0)), shift_ms) else {
            return;
        };
        let [time, start, stale] = std::array::from_fn(|at| times[at].map(|_| moved[at]));
        (event.time, event.start, event.stale) = (time, start, stale);
        if event.bytes.len() <= MOVED_MAX {
            // The buffer for XML is not wanted by an event that is XML already.
            *room = std::mem::take(&mut self.scratch.xml);
            room.clear();
            patch::put_moved(room, event.bytes, shift_ms, &mut self.scratch.stamps);
            event.bytes = room;
        }
        self.count_moved(from);
    }

    /// Takes the room of [`Router::move_xml`] back.
    pub(super) fn moved(&mut self, room: Vec<u8>) {
        if room.capacity() > 0 {
            self.scratch.xml = room;
            self.scratch.give_back();
        }
    }

    /// Moves a federate's event; gives what must be appended to its message.
    pub(super) fn move_geo(
        &mut self,
        from: LinkId,
        event: &mut Geo<'_>,
        shift_ms: i64,
    ) -> Option<Times> {
        let times = moved_times([event.time, event.start, event.stale], shift_ms)?;
        [event.time, event.start, event.stale] = times;
        self.count_moved(from);
        Some(Times::of(times))
    }

    /// Moves the event of a `TakMessage`; gives what must be appended to the message.
    pub(super) fn move_tak(
        &mut self,
        from: LinkId,
        event: &mut tak::Event<'_>,
        shift_ms: i64,
    ) -> Option<Times> {
        let times = [event.time, event.start, event.stale];
        // Protobuf has no time before 1970.
        let moved = moved_times(times.map(|time| time.unwrap_or(0)), shift_ms)
            .filter(|moved| moved.iter().all(|&time| time >= 0))?;
        [event.time, event.start, event.stale] =
            std::array::from_fn(|at| times[at].map(|_| moved[at]));
        self.count_moved(from);
        Some(Times::of_tak([event.time, event.start, event.stale]))
    }

    fn count_moved(&mut self, from: LinkId) {
        if let Some(counters) = self.counters(from) {
            counters.corrected += 1;
        }
    }

    /// A box told its time on the way of this peer. Tells whether its clock stepped.
    pub fn hear_time(&mut self, peer: &str, sample: &Sample, now: Now) -> bool {
        match self.federate_at(peer) {
            Some(place) => self.links[place].frame.hear(sample, now),
            None => false,
        }
    }

    /// Notes how long the way to this peer and back was measured to take, milliseconds.
    pub fn note_round_trip(&mut self, peer: &str, milliseconds: u32) {
        if let Some(place) = self.federate_at(peer) {
            self.links[place].frame.note_round_trip(milliseconds);
        }
    }

    /// What is known of a peer's clock.
    pub fn peer_offset(&self, peer: &str, now: Now) -> Offset {
        let place = self.federate_at(peer);
        place.map_or_else(Offset::default, |place| self.links[place].frame.offset(now))
    }

    /// What is known of the clocks of all peers that are connected.
    pub fn peer_offsets(&self, now: Now) -> impl Iterator<Item = Offset> + '_ {
        let federates = self
            .links
            .iter()
            .filter(|link| link.up && matches!(link.kind, Kind::Federate(_)));
        federates.map(move |link| link.frame.offset(now))
    }

    fn federate_at(&self, peer: &str) -> Option<usize> {
        self.number_of(peer).map(usize::from)
    }
}

/// The times moved as one; those of zero say nothing and stay. `None`: no calendar has them.
fn moved_times(times: [i64; 3], shift_ms: i64) -> Option<[i64; 3]> {
    let mut moved = [0; 3];
    for (moved, time) in moved.iter_mut().zip(times) {
        if time != 0 {
            *moved = time
                .checked_add(shift_ms)
                .filter(|&time| stamp::is_in_calendar(time))?;
        }
    }
    Some(moved)
}
