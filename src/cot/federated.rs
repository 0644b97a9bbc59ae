//! The envelope around an event on its way to federates: groups, provenance, hops (protocol reference 1.5, 1.6).
//!
//! Nearly every peer is told the same around an event, and for it all is ready made. What one peer is told differently
//! is its [`Label`]; peers with equal labels share one, by its number.

use super::groups::{DEFAULT_GROUP, GroupSet, GroupTable};
use super::{encode, tak};
use crate::counters::Reason;
use crate::wire::fig::{Federated, Hops, federated, group_hops};
use crate::wire::proto::{self, Value, bytes_length, int_length, put_bytes, put_header, put_int};
use crate::wire::tak::Event as TakEvent;
use crate::wire::xml::{Detail, Event};

/// A `ContactListEntry`'s operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactOperation {
    /// CREATE
    Create = 1,
    /// DELETE
    Delete = 4,
}

/// Without limit, as it is written.
pub const UNLIMITED: i64 = -1;

/// What a peer is told around an event, as far as the configuration says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Names of groups are told: those of the event that are in this set. None: [`DEFAULT_GROUP`] is all that is said of
    /// events that begin here, and what others said stays as it came.
    pub names: Option<GroupSet>,
    /// `maxHops` of events that begin here; [`UNLIMITED`] or 1 and more.
    pub max_hops: i64,
    /// Hops per group of events that begin here, by the group's place in the table; a group that is not named has no limit.
    pub group_hops: Vec<(usize, i64)>,
}

impl Label {
    /// What everybody is told who has no configuration of his own.
    pub const PLAIN: Self = Self {
        names: None,
        max_hops: UNLIMITED,
        group_hops: Vec::new(),
    };
}

/// A label's number at the [`Envelope`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LabelId(u16);

impl LabelId {
    /// [`Label::PLAIN`].
    pub const PLAIN: Self = Self(0);
}

/// What this box writes around every event.
#[derive(Debug, Clone)]
pub struct Envelope {
    id: Vec<u8>,
    /// All of it, for [`Label::PLAIN`].
    own: Vec<u8>,
    table: GroupTable,
    /// The others, counted from 1.
    labels: Vec<Label>,
}

impl Envelope {
    /// The envelope of a box whose federate id is `id` (32 hex digits).
    pub fn new(id: &[u8]) -> Self {
        let mut own = Vec::new();
        // The same list on every event: each one overwrites what a TAK Server shows (protocol reference 1.5).
        put_bytes(&mut own, federated::GROUPS, DEFAULT_GROUP);
        put_provenance(&mut own, id);
        put_hops(&mut own, first_hop(UNLIMITED));
        Self {
            id: id.to_vec(),
            own,
            table: GroupTable::default(),
            labels: Vec::new(),
        }
    }

    /// Our federate id.
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// The names of groups.
    pub fn table(&self) -> &GroupTable {
        &self.table
    }

    /// Other groups: all labels are forgotten.
    pub fn set_table(&mut self, table: GroupTable) {
        self.table = table;
        self.labels.clear();
    }

    /// The number of a label; equal ones have the same.
    pub fn label(&mut self, label: &Label) -> LabelId {
        if *label == Label::PLAIN {
            return LabelId::PLAIN;
        }
        let known = self.labels.iter().position(|known| known == label);
        let at = known.unwrap_or_else(|| {
            self.labels.push(label.clone());
            self.labels.len() - 1
        });
        LabelId(u16::try_from(at + 1).unwrap_or(0))
    }

    fn labelled(&self, id: LabelId) -> &Label {
        static PLAIN: Label = Label::PLAIN;
        let at = usize::from(id.0).checked_sub(1);
        at.and_then(|at| self.labels.get(at)).unwrap_or(&PLAIN)
    }

    /// Appends a local event as a `FederatedEvent`.
    ///
    /// # Errors
    /// [`Reason::Incomplete`]; `out` is as before.
    pub fn put_event(&self, out: &mut Vec<u8>, event: &Event<'_>) -> Result<(), Reason> {
        encode::put_event(out, federated::EVENT, event, &self.own)
    }

    /// Appends the event of a local `TakMessage` as a `FederatedEvent`; `shown` is what [`tak::read_detail`] noted.
    ///
    /// # Errors
    /// [`Reason::Incomplete`]; `out` is as before.
    pub fn put_tak_event(
        &self,
        out: &mut Vec<u8>,
        event: &TakEvent<'_>,
        shown: Option<&Detail<'_>>,
    ) -> Result<(), Reason> {
        tak::to_geo::put_event(out, federated::EVENT, event, shown, &self.own)
    }

    /// Appends a contact as a field of the message being written; follow with [`Envelope::finish`] or an event.
    pub fn put_contact(
        &self,
        out: &mut Vec<u8>,
        operation: ContactOperation,
        uid: &[u8],
        callsign: &[u8],
    ) {
        let length = int_length(1, operation as i64)
            + bytes_length(2, uid.len())
            + bytes_length(3, callsign.len());
        put_header(out, federated::CONTACT, length);
        put_int(out, 1, operation as i64);
        put_bytes(out, 2, uid);
        put_bytes(out, 3, callsign);
    }

    /// Appends groups, provenance and hops.
    pub fn finish(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.own);
    }

    /// Where what [`Envelope::put_event`] or [`Envelope::finish`] appended last begins.
    pub fn begin_of_tail(&self, out: &[u8]) -> usize {
        out.len().saturating_sub(self.own.len())
    }

    /// Appends groups, provenance and hops of something that begins here, in `groups`, as that label says them. At most
    /// `hops_left` hops are allowed, if that is less than the label says.
    pub fn put_tail(
        &self,
        out: &mut Vec<u8>,
        label: LabelId,
        groups: GroupSet,
        hops_left: Option<u8>,
    ) {
        if label == LabelId::PLAIN && hops_left.is_none() {
            return self.finish(out);
        }
        let label = self.labelled(label);
        match label.names {
            None => put_bytes(out, federated::GROUPS, DEFAULT_GROUP),
            Some(told) => self.put_names(out, groups & told),
        }
        put_provenance(out, &self.id);
        let max_hops = match (label.max_hops, hops_left.map(i64::from)) {
            (UNLIMITED, Some(left)) => left,
            (max, Some(left)) => max.min(left),
            (max, None) => max,
        };
        put_hops(out, first_hop(max_hops));
        if label.group_hops.is_empty() {
            return;
        }
        // Every group of the event has an entry: one without any has no hops left (protocol reference 1.6).
        let limits = || {
            groups.places().filter_map(|place| {
                let limit = label.group_hops.iter().find(|(known, _)| *known == place);
                let max = limit.map_or(UNLIMITED, |&(_, max)| max);
                Some((self.table.name(place)?, max))
            })
        };
        let length = |name: &str, max: i64| {
            bytes_length(group_hops::NAME, name.len())
                + int_length(group_hops::MAX, max)
                + int_length(group_hops::CURRENT, 1)
        };
        let each = limits().map(|(name, max)| bytes_length(group_hops::LIMIT, length(name, max)));
        let whole = each.sum::<usize>() + int_length(group_hops::IN_USE, 1);
        put_header(out, federated::GROUP_HOPS, whole);
        for (name, max) in limits() {
            put_header(out, group_hops::LIMIT, length(name, max));
            put_bytes(out, group_hops::NAME, name.as_bytes());
            put_int(out, group_hops::MAX, max);
            put_int(out, group_hops::CURRENT, 1);
        }
        put_int(out, group_hops::IN_USE, 1);
    }

    fn put_names(&self, out: &mut Vec<u8>, groups: GroupSet) {
        for name in self.table.names(groups) {
            put_bytes(out, federated::GROUPS, name.as_bytes());
        }
    }

    /// Appends another federate's message as it goes on to the next: its own bytes, then what we add. Fields that we do
    /// not know stay, because nothing is encoded again.
    ///
    /// # Errors
    /// [`Reason::HopLimit`] when it may not go on.
    pub fn put_relayed(&self, out: &mut Vec<u8>, message: &Federated<'_>) -> Result<(), Reason> {
        let hops = onward(message)?;
        if message.group_hops {
            self.put_changed(out, message, None, hops);
            return Ok(());
        }
        out.extend_from_slice(message.bytes);
        out.extend_from_slice(message.edits);
        put_provenance(out, &self.id);
        put_hops(out, hops);
        Ok(())
    }

    /// The same as that label says it, for a message of `groups`. Where it tells names, those that the message has give
    /// way to ours, unless the message is of all groups: then its own are the better ones.
    ///
    /// # Errors
    /// Those of [`Envelope::put_relayed`].
    pub fn put_relayed_as(
        &self,
        out: &mut Vec<u8>,
        message: &Federated<'_>,
        label: LabelId,
        groups: GroupSet,
    ) -> Result<(), Reason> {
        if label == LabelId::PLAIN || groups == GroupSet::ALL {
            return self.put_relayed(out, message);
        }
        let Some(told) = self.labelled(label).names else {
            return self.put_relayed(out, message);
        };
        let hops = onward(message)?;
        self.put_changed(out, message, Some(groups & told), hops);
        Ok(())
    }

    /// Appends a message field by field, with one hop more for each group and, if `names` are given, other names of
    /// groups; all other fields keep their bytes.
    #[cold]
    fn put_changed(
        &self,
        out: &mut Vec<u8>,
        message: &Federated<'_>,
        names: Option<GroupSet>,
        hops: Hops,
    ) {
        for_each_field(message.bytes, |number, value, field| {
            match (number, value) {
                (federated::GROUPS, _) if names.is_some() => {}
                (federated::GROUP_HOPS, Value::Bytes(limits)) => put_counted(out, limits),
                _ => out.extend_from_slice(field),
            }
        });
        out.extend_from_slice(message.edits);
        put_provenance(out, &self.id);
        put_hops(out, hops);
        if let Some(names) = names {
            self.put_names(out, names);
        }
    }
}

/// The hops of a message on its next way, by the rule of Federation Hub (protocol reference 1.6).
fn onward(message: &Federated<'_>) -> Result<Hops, Reason> {
    let hops = match message.hops {
        Some(Hops { max, current }) => Hops {
            max,
            current: current.saturating_add(1),
        },
        // What Federation Hub sets when there are none.
        None => Hops {
            max: UNLIMITED,
            current: 2,
        },
    };
    match by_group(message) {
        // Where hops are counted by group, the others do not count.
        Some(0) => Err(Reason::HopLimit),
        Some(_) => Ok(hops),
        None if hops.max != UNLIMITED && hops.current > hops.max => Err(Reason::HopLimit),
        None => Ok(hops),
    }
}

/// Hops left where they are counted by group; hardly any message does that.
#[inline(always)]
fn by_group(message: &Federated<'_>) -> Option<i64> {
    match message.group_hops {
        false => None,
        true => message.group_hops_left(),
    }
}

/// How many hops a message may go beyond this box, at most 254; none = without limit. 0 = it ends here.
#[inline]
pub fn hops_left(message: &Federated<'_>) -> Option<u8> {
    let left = match (by_group(message), message.hops) {
        (Some(left), _) => left,
        (None, Some(Hops { max, current })) if max != UNLIMITED => max.saturating_sub(current),
        _ => return None,
    };
    (left < i64::MAX).then(|| left.clamp(0, 254) as u8)
}

/// Whether the next hop is the last one that a message may take. A hub that got it could pass it to nobody, and has
/// nobody of its own (protocol reference 1.6).
pub fn is_last_hop(message: &Federated<'_>) -> bool {
    let last = |Hops { max, current }: Hops| max != UNLIMITED && current.saturating_add(1) == max;
    !message.counts_by_group() && message.hops.is_some_and(last)
}

/// Appends a `FederateGroupHopLimits` with one hop more in each of its limits.
fn put_counted(out: &mut Vec<u8>, limits: &[u8]) {
    let counted = |limit: &[u8]| {
        let current = group_hops::read(limit).current.saturating_add(1);
        (
            current,
            limit.len() + int_length(group_hops::CURRENT, current),
        )
    };
    let mut length = 0;
    for_each_field(limits, |number, value, field| {
        length += match (number, value) {
            (group_hops::LIMIT, Value::Bytes(limit)) => bytes_length(number, counted(limit).1),
            _ => field.len(),
        };
    });
    put_header(out, federated::GROUP_HOPS, length);
    for_each_field(limits, |number, value, field| match (number, value) {
        (group_hops::LIMIT, Value::Bytes(limit)) => {
            let (current, length) = counted(limit);
            put_header(out, number, length);
            out.extend_from_slice(limit);
            // The later one counts.
            put_int(out, group_hops::CURRENT, current);
        }
        _ => out.extend_from_slice(field),
    });
}

/// Each field of a message, with the bytes it stands in.
fn for_each_field(message: &[u8], mut each: impl FnMut(u32, Value<'_>, &[u8])) {
    let mut fields = proto::fields(message);
    loop {
        let rest = fields.rest();
        let Some(Ok((number, value))) = fields.next() else {
            return;
        };
        each(number, value, &rest[..rest.len() - fields.rest().len()]);
    }
}

const fn first_hop(max: i64) -> Hops {
    Hops { max, current: 1 }
}

fn put_provenance(out: &mut Vec<u8>, id: &[u8]) {
    put_header(out, federated::PROVENANCE, bytes_length(1, id.len()));
    put_bytes(out, 1, id);
}

fn put_hops(out: &mut Vec<u8>, hops: Hops) {
    let length = int_length(1, hops.max) + int_length(2, hops.current);
    put_header(out, federated::HOPS, length);
    put_int(out, 1, hops.max);
    put_int(out, 2, hops.current);
}

#[cfg(test)]
mod tests;
