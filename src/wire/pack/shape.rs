//! Where in a stream of gRPC frames with `FederatedEvent`s the next byte stands.
//!
//! Both ends follow the same bytes, so both know the same. Bytes that are no such stream are followed somehow, without
//! harm: they pack worse.

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The gRPC prefix.
    Prefix,
    /// A field's number and wire type.
    Tag,
    /// A whole number.
    Varint,
    /// Four or eight bytes.
    Fixed,
    /// A length.
    Length,
    /// Text or bytes.
    Bytes,
    /// The event's uid.
    Uid,
}

/// How many there are.
pub const PARTS: usize = 7;

/// The event within the message, and the uid within the event.
const EVENT: u32 = 1;
const UID: u32 = 9;
/// The event's detail.
const OTHER: u32 = 12;

/// Fields told apart, on each of two levels.
const FIELDS: usize = 32;
/// Bytes remembered of each.
const REMEMBERED: usize = 16;

/// The state.
#[derive(Debug, Clone)]
pub struct Shape {
    part: Part,
    field: u32,
    /// Bytes of this part so far.
    offset: u32,
    /// Inside the event.
    in_event: bool,
    number: u64,
    shift: u32,
    left_of_part: u32,
    left_of_message: u32,
    left_of_event: u32,
    /// The bytes that each field had last.
    last: Vec<[u8; REMEMBERED]>,
    /// By how much each number was above the one before it.
    step: Vec<u64>,
    /// The number before this one; at first the first of the message before.
    previous: u64,
    first: Option<u64>,
    /// Hashes of the uid of this event, as far as it is known, and of the one before it.
    uid: u32,
    uid_before: u32,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            part: Part::Prefix,
            field: 0,
            offset: 0,
            in_event: false,
            number: 0,
            shift: 0,
            left_of_part: PREFIX,
            left_of_message: 0,
            left_of_event: 0,
            last: vec![[0; REMEMBERED]; 2 * FIELDS],
            step: vec![0; 2 * FIELDS],
            previous: 0,
            first: None,
            uid: 0,
            uid_before: 0,
        }
    }
}

/// Bytes of a gRPC prefix.
const PREFIX: u32 = 5;

impl Shape {
    /// What the next byte belongs to.
    pub fn part(&self) -> Part {
        self.part
    }

    /// Bytes of this part so far.
    pub fn offset(&self) -> u32 {
        self.offset
    }

    /// Part, field and level in one number.
    pub fn place(&self) -> u32 {
        self.part as u32 | (self.field << 1 | u32::from(self.in_event)) << 3
    }

    /// Whether the next byte belongs to the event's detail.
    pub fn in_detail(&self) -> bool {
        self.part == Part::Bytes && self.in_event && self.field == OTHER
    }

    /// The byte that stood here when this field came last.
    pub fn last(&self) -> u8 {
        self.last[self.slot()][self.column()]
    }

    /// The byte that is expected when this number is as far above the one before it as last time.
    pub fn expected(&self) -> u8 {
        let number = self.previous.wrapping_add(self.step[self.slot()]);
        let shift = 7 * self.offset.min(9);
        let more = if shift < 63 && number >> (shift + 7) > 0 {
            0x80
        } else {
            0
        };
        (number >> shift & 0x7f) as u8 | more
    }

    /// Whose track this is, as far as that is known: its uid's hash, or before the uid came that of the event before
    /// it, because tracks come in turns.
    pub fn track(&self) -> u32 {
        let known = self.part != Part::Uid && (!self.in_event || self.field > UID);
        if known { self.uid } else { self.uid_before }
    }

    /// Takes the next byte in.
    pub fn take(&mut self, byte: u8) {
        if self.part != Part::Prefix {
            self.left_of_message = self.left_of_message.saturating_sub(1);
            if self.in_event {
                self.left_of_event = self.left_of_event.saturating_sub(1);
            }
        }
        match self.part {
            Part::Prefix => {
                self.number = self.number << 8 | u64::from(byte);
                self.count_down(byte);
            }
            Part::Tag => {
                if let Some(number) = self.varint(byte) {
                    self.field = (number >> 3) as u32 & 0xff_ffff;
                    let (part, left) = match number & 7 {
                        0 => (Part::Varint, 0),
                        1 => (Part::Fixed, 8),
                        5 => (Part::Fixed, 4),
                        2 => (Part::Length, 0),
                        _ => (Part::Bytes, u32::MAX),
                    };
                    self.begin(part, left);
                }
            }
            Part::Varint => {
                self.remember(byte);
                if let Some(number) = self.varint(byte) {
                    let slot = self.slot();
                    self.step[slot] = number.wrapping_sub(self.previous);
                    self.previous = number;
                    self.first.get_or_insert(number);
                    self.begin(Part::Tag, 0);
                }
            }
            Part::Length => {
                self.remember(byte);
                if let Some(number) = self.varint(byte) {
                    let length = u32::try_from(number).unwrap_or(u32::MAX);
                    if !self.in_event && self.field == EVENT {
                        (self.in_event, self.left_of_event) = (true, length);
                        self.begin(Part::Tag, 0);
                    } else if length == 0 {
                        self.begin(Part::Tag, 0);
                    } else if self.in_event && self.field == UID {
                        self.uid_before = std::mem::replace(&mut self.uid, 0);
                        self.begin(Part::Uid, length);
                    } else {
                        self.begin(Part::Bytes, length);
                    }
                }
            }
            Part::Fixed => {
                self.remember(byte);
                self.count_down(byte);
            }
            Part::Bytes => self.count_down(byte),
            Part::Uid => {
                self.uid = mixed(self.uid, byte.into());
                self.count_down(byte);
            }
        }
        if self.part == Part::Tag && self.offset == 0 && self.left_of_event == 0 {
            self.in_event = false;
        }
        if self.part != Part::Prefix && self.left_of_message == 0 {
            self.previous = self.first.take().unwrap_or(self.previous);
            // Before the next uid is known, this one tells whose turn it is.
            self.uid_before = self.uid;
            self.field = 0;
            self.begin(Part::Prefix, PREFIX);
        }
    }

    fn begin(&mut self, part: Part, left: u32) {
        (self.part, self.left_of_part) = (part, left);
        (self.offset, self.number, self.shift) = (0, 0, 0);
    }

    fn count_down(&mut self, _byte: u8) {
        self.offset += 1;
        self.left_of_part -= 1;
        if self.left_of_part == 0 {
            if self.part == Part::Prefix {
                self.left_of_message = self.number as u32;
                (self.in_event, self.left_of_event, self.field) = (false, 0, 0);
            }
            self.begin(Part::Tag, 0);
        }
    }

    fn varint(&mut self, byte: u8) -> Option<u64> {
        self.number |= u64::from(byte & 0x7f) << self.shift.min(57);
        self.shift += 7;
        self.offset += 1;
        (byte < 0x80 || self.shift >= 70).then_some(self.number)
    }

    fn remember(&mut self, byte: u8) {
        let (slot, column) = (self.slot(), self.column());
        self.last[slot][column] = byte;
    }

    fn slot(&self) -> usize {
        self.field as usize % FIELDS + if self.in_event { FIELDS } else { 0 }
    }

    fn column(&self) -> usize {
        (self.offset as usize).min(REMEMBERED - 1)
    }
}

/// Two numbers in one, well stirred.
pub fn mixed(a: u32, b: u32) -> u32 {
    let sum = a
        .wrapping_mul(0x2f0b_4c47)
        .wrapping_add(b.wrapping_mul(0x9e37_79b1));
    sum ^ sum >> 15
}
