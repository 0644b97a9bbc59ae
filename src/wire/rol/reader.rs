//! Takes one ROL message apart while it arrives: its payload is given on piece by piece, so that a message of 100 MiB
//! needs no more memory than its text.

use bytes::{Buf, Bytes};

use super::program::{Meaning, Program};
use super::{PROGRAM_LIMIT, RELAY_LIMIT, blob, field};
use crate::wire::fig::federated;

/// Most that is kept of a message longer than [`RELAY_LIMIT`] before the reader asks again, bytes: more than any program
/// with a file behind it.
pub const FIRST_ROOM: usize = 2048;

/// Groups, provenance, hops and unknown fields together, bytes.
pub const ENVELOPE_LIMIT: usize = 4096;

/// Key and length of a field at their longest, bytes.
const LONGEST_HEAD: usize = 20;

/// What comes next of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// All input is taken.
    More,
    /// So many bytes are going to be kept. Said before they are; the one who reads may wait for room, or give up.
    Room(usize),
    /// A payload of that many bytes begins. [`Reader::program`] is known, unless the sender puts its payload first.
    Payload(u64),
    /// The next bytes of that payload.
    Piece(Bytes),
    /// It is whole.
    PayloadEnd,
    /// The message is whole.
    End(Rol),
}

/// A whole message, without a payload that was given on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rol {
    /// The program.
    pub program: String,
    /// Groups, provenance, hops and short unknown fields, as they stand in the message.
    pub envelope: Bytes,
    /// All other fields as they stand there, if it is [`Meaning::Other`] and not longer than [`RELAY_LIMIT`]: the body,
    /// behind which a relay puts what it makes of the envelope.
    pub body: Option<Bytes>,
    /// The first payload, where it stood before the program in a short message.
    pub payload: Option<Bytes>,
    /// How many payloads it had.
    pub payloads: u32,
}

/// Why a message cannot be read; the rest of it ([`Reader::left`]) is to be skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable(pub &'static str);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between two fields, or inside the key or length of one.
    Field,
    /// Inside a string that is kept as the program.
    Program(u64),
    /// Inside any other field; whether it goes into the envelope.
    Other(u64, bool),
    /// Inside the data of a payload that is given on.
    Data(u64),
    /// Inside the data of a payload that stays with the message.
    Kept(u64),
}

/// Reads one message.
#[derive(Debug)]
pub struct Reader {
    left: u64,
    /// What is left of the payload's own message.
    in_blob: Option<u64>,
    blob_had_data: bool,
    state: State,
    head: [u8; LONGEST_HEAD],
    head_length: usize,
    asked: bool,
    room: usize,
    program: Option<String>,
    text: Vec<u8>,
    meaning: Option<Meaning>,
    envelope: Vec<u8>,
    body: Option<Vec<u8>>,
    kept: Option<(usize, usize)>,
    payloads: u32,
}

impl Reader {
    /// For a message of that many bytes, as its frame says. Nothing is allocated for it yet.
    pub fn new(length: u64) -> Self {
        let is_short = length <= RELAY_LIMIT as u64;
        Self {
            left: length,
            in_blob: None,
            blob_had_data: false,
            state: State::Field,
            head: [0; LONGEST_HEAD],
            head_length: 0,
            asked: false,
            // Whole, and its text once more.
            room: if is_short {
                2 * length as usize
            } else {
                FIRST_ROOM
            },
            program: None,
            text: Vec::new(),
            meaning: None,
            envelope: Vec::new(),
            body: is_short.then(Vec::new),
            kept: None,
            payloads: 0,
        }
    }

    /// Bytes of the message that were not taken yet.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The program, once it is known.
    pub fn program(&self) -> Option<&str> {
        self.program.as_deref()
    }

    /// The program, once it is known; from now on it is not kept here, and empty at the end.
    pub fn take_program(&mut self) -> Option<String> {
        self.program.as_mut().map(std::mem::take)
    }

    /// Which payload it is that was told of last, from 1.
    pub fn payload_number(&self) -> u32 {
        self.payloads
    }

    /// What it means, once it is known.
    pub fn meaning(&self) -> Option<Meaning> {
        self.meaning
    }

    /// Takes from `input` what is needed for the next step; bytes behind the message stay there.
    ///
    /// # Errors
    /// [`Unreadable`]; after that the reader is not to be asked again.
    pub fn step(&mut self, input: &mut Bytes) -> Result<Step, Unreadable> {
        if !self.asked {
            self.asked = true;
            return Ok(Step::Room(self.room));
        }
        loop {
            match self.state {
                State::Field => {
                    if self.in_blob == Some(0) && self.head_length == 0 {
                        self.in_blob = None;
                    }
                    if self.left == 0 && self.head_length == 0 {
                        return self.end().map(Step::End);
                    }
                    if self.in_blob == Some(0) || self.left == 0 {
                        return Err(Unreadable("a field is cut off"));
                    }
                    if input.is_empty() {
                        return Ok(Step::More);
                    }
                    let byte = self.take(input, 1);
                    self.head[self.head_length] = byte[0];
                    self.head_length += 1;
                    if let Some(step) = self.head_grew()? {
                        return Ok(step);
                    }
                }
                State::Program(0) => {
                    self.state = State::Field;
                    self.read_program()?;
                }
                State::Other(0, _) | State::Kept(0) => self.state = State::Field,
                State::Data(0) => {
                    self.state = State::Field;
                    return Ok(Step::PayloadEnd);
                }
                State::Program(left)
                | State::Other(left, _)
                | State::Data(left)
                | State::Kept(left) => {
                    if input.is_empty() {
                        return Ok(Step::More);
                    }
                    let piece = self.take(input, left);
                    let left = left - piece.len() as u64;
                    match &mut self.state {
                        State::Program(rest) => {
                            if self.text.capacity() == 0 {
                                self.text.reserve_exact(piece.len() + left as usize);
                            }
                            self.text.extend_from_slice(&piece);
                            *rest = left;
                        }
                        State::Other(rest, keep) => {
                            if *keep {
                                self.envelope.extend_from_slice(&piece);
                            }
                            *rest = left;
                        }
                        State::Kept(rest) => *rest = left,
                        State::Data(rest) => {
                            *rest = left;
                            return Ok(Step::Piece(piece));
                        }
                        State::Field => {}
                    }
                }
            }
        }
    }

    /// At most `most` bytes of the input, of the message and of the payload's message.
    fn take(&mut self, input: &mut Bytes, most: u64) -> Bytes {
        let most = most.min(self.left).min(self.in_blob.unwrap_or(u64::MAX));
        let length = usize::try_from(most).map_or(input.len(), |most| most.min(input.len()));
        let piece = input.split_to(length);
        self.left -= length as u64;
        if let Some(left) = &mut self.in_blob {
            *left -= length as u64;
        }
        let goes_elsewhere = matches!(self.state, State::Data(_) | State::Other(_, true));
        if let Some(body) = self.body.as_mut().filter(|_| !goes_elsewhere) {
            if body.capacity() == 0 {
                body.reserve_exact(length + self.left as usize);
            }
            body.extend_from_slice(&piece);
        }
        piece
    }

    /// One more byte of a field's key, length or number came.
    fn head_grew(&mut self) -> Result<Option<Step>, Unreadable> {
        let head = &self.head[..self.head_length];
        let Some((key, after)) = varint(head)? else {
            return Ok(None);
        };
        let number = u32::try_from(key >> 3).map_err(|_| Unreadable("a field has no number"))?;
        if number == 0 {
            return Err(Unreadable("a field has no number"));
        }
        let (length, is_bytes) = match key & 7 {
            0 => match varint(&head[after..])? {
                None => return Ok(None),
                Some(_) => (0, false),
            },
            1 => (8, false),
            2 => match varint(&head[after..])? {
                None => return Ok(None),
                Some((length, _)) => (length, true),
            },
            5 => (4, false),
            _ => return Err(Unreadable("a field is of a kind that does not exist")),
        };
        // A length that lies is refused before anything is kept for it.
        if length > self.left.min(self.in_blob.unwrap_or(u64::MAX)) {
            return Err(Unreadable("a field is longer than what it stands in"));
        }
        let head_length = std::mem::take(&mut self.head_length);
        match (self.in_blob.is_some(), number) {
            (false, field::PROGRAM | field::PAYLOAD) | (true, blob::DATA) if !is_bytes => {
                Err(Unreadable("a field is of another kind than it should be"))
            }
            (false, field::PROGRAM) => self.begin_program(length),
            (false, field::PAYLOAD) => {
                self.payloads += 1;
                self.in_blob = Some(length);
                self.blob_had_data = false;
                Ok(None)
            }
            (true, blob::DATA) => self.begin_data(length),
            (true, _) => {
                self.state = State::Other(length, false);
                Ok(None)
            }
            (false, _) => self.begin_other(number, length, head_length),
        }
    }

    fn begin_program(&mut self, length: u64) -> Result<Option<Step>, Unreadable> {
        if self.program.is_some() {
            return Err(Unreadable("it has two programs"));
        }
        if length > PROGRAM_LIMIT as u64 {
            return Err(Unreadable("the program is too long"));
        }
        self.state = State::Program(length);
        Ok(self.more_room(length as usize))
    }

    /// A message that was not kept whole is about to keep more than was said at its beginning.
    fn more_room(&mut self, length: usize) -> Option<Step> {
        let needed = self.text.len() + self.envelope.len() + length;
        (needed > self.room).then(|| {
            self.room = needed;
            Step::Room(needed)
        })
    }

    fn begin_data(&mut self, length: u64) -> Result<Option<Step>, Unreadable> {
        if std::mem::replace(&mut self.blob_had_data, true) {
            return Err(Unreadable("a payload has its data twice"));
        }
        let keeps =
            self.body.is_some() && self.meaning.is_none_or(|meaning| meaning == Meaning::Other);
        if !keeps {
            self.state = State::Data(length);
            return Ok(Some(Step::Payload(length)));
        }
        self.state = State::Kept(length);
        if let (Some(body), 1) = (&self.body, self.payloads) {
            self.kept = Some((body.len(), length as usize));
        }
        Ok(None)
    }

    fn begin_other(
        &mut self,
        number: u32,
        length: u64,
        head_length: usize,
    ) -> Result<Option<Step>, Unreadable> {
        let fits =
            self.envelope.len() as u64 + head_length as u64 + length <= ENVELOPE_LIMIT as u64;
        if !fits && (federated::GROUPS..=federated::GROUP_HOPS).contains(&number) {
            return Err(Unreadable("groups and provenance are too long"));
        }
        self.state = State::Other(length, fits);
        if !fits {
            return Ok(None);
        }
        if let Some(body) = &mut self.body {
            body.truncate(body.len().saturating_sub(head_length));
        }
        let room = self.more_room(head_length + length as usize);
        self.envelope.extend_from_slice(&self.head[..head_length]);
        Ok(room)
    }

    fn read_program(&mut self) -> Result<(), Unreadable> {
        let text = String::from_utf8(std::mem::take(&mut self.text))
            .map_err(|_| Unreadable("the program is no text"))?;
        let program = Program::read(&text).map_err(|error| Unreadable(error.words()))?;
        self.meaning = Some(program.meaning());
        if program.meaning() != Meaning::Other && self.kept.is_none() {
            self.body = None;
        }
        self.program = Some(text);
        Ok(())
    }

    fn end(&mut self) -> Result<Rol, Unreadable> {
        let program = self.program.take();
        let program = program.ok_or(Unreadable("it has no program"))?;
        let body = self.body.take().map(Bytes::from);
        let payload = match (&body, self.kept) {
            (Some(body), Some((at, length))) => body
                .get(at..at + length)
                .map(|_| body.slice(at..at + length)),
            _ => None,
        };
        let is_other = self.meaning == Some(Meaning::Other);
        Ok(Rol {
            program,
            envelope: std::mem::take(&mut self.envelope).into(),
            payload: payload.filter(|_| !is_other),
            body: body.filter(|_| is_other),
            payloads: self.payloads,
        })
    }
}

/// A varint and its length; none while it is not whole.
fn varint(bytes: &[u8]) -> Result<Option<(u64, usize)>, Unreadable> {
    let mut value = 0_u64;
    for (at, &byte) in bytes.iter().enumerate() {
        if at == 9 && byte > 1 {
            return Err(Unreadable("a number is too long"));
        }
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Ok(Some((value, at + 1)));
        }
    }
    Ok(None)
}

/// Throws bytes away, at most `most`; gives how many.
pub fn skip(input: &mut Bytes, most: u64) -> u64 {
    let length = usize::try_from(most).map_or(input.len(), |most| most.min(input.len()));
    input.advance(length);
    length as u64
}

#[cfg(test)]
mod tests;
