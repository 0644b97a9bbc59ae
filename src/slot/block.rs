//! One copy of the slot state: 512 bytes, as U-Boot's `env export -c -s 0x200` makes and `env import -c` reads them.

use std::fmt;
use std::str::FromStr;

/// Size of a copy, bytes.
pub const BLOCK_BYTES: usize = 512;
/// Most attempts that one decimal digit can count.
pub const MOST_ATTEMPTS: u8 = 9;
/// The CRC-32 in front of the text.
const CRC_BYTES: usize = 4;

/// One of the two places for a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The second partition.
    A,
    /// The third partition.
    B,
}

impl Slot {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Its letter, which is also its name for RAUC.
    pub fn letter(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.letter())
    }
}

/// A slot that is neither A nor B.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownSlot(String);

impl fmt::Display for UnknownSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is no slot; the slots are A and B", self.0)
    }
}

impl std::error::Error for UnknownSlot {}

impl FromStr for Slot {
    type Err = UnknownSlot;

    fn from_str(text: &str) -> Result<Self, UnknownSlot> {
        match text {
            "A" | "a" => Ok(Self::A),
            "B" | "b" => Ok(Self::B),
            _ => Err(UnknownSlot(text.chars().take(32).collect())),
        }
    }
}

/// A slot that must prove itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// Which one; never the committed one.
    pub slot: Slot,
    /// Boots it still gets, 0 to 9. The boot loader takes one off before each.
    pub left: u8,
}

/// What the boot loader goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotState {
    /// The committed slot, which always boots.
    pub good: Slot,
    /// The slot that is tried first while attempts are left.
    pub trial: Option<Trial>,
}

impl Default for SlotState {
    /// What holds when both copies are damaged.
    fn default() -> Self {
        Self {
            good: Slot::A,
            trial: None,
        }
    }
}

/// Why a change of the state makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The committed slot needs no trial.
    CommittedAlready(Slot),
    /// There is no trial to commit.
    NoTrial,
    /// That slot is neither committed nor on trial.
    NotOnTrial(Slot),
    /// The committed slot must always boot.
    MustBoot(Slot),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommittedAlready(slot) => write!(
                f,
                "slot {slot} is the committed one and boots without a trial; `tombolo slot cancel` ends the trial of the other"
            ),
            Self::NoTrial => f.write_str("no slot is on trial, so there is nothing to commit"),
            Self::NotOnTrial(slot) => write!(
                f,
                "slot {slot} is not on trial; install into it first, or try what it holds with `tombolo slot trial {slot}`"
            ),
            Self::MustBoot(slot) => write!(
                f,
                "slot {slot} is the committed one and must stay bootable; commit the other slot first"
            ),
        }
    }
}

impl std::error::Error for Change {}

impl SlotState {
    /// The slot that boots next.
    pub fn next(&self) -> Slot {
        match self.trial {
            Some(trial) if trial.left > 0 => trial.slot,
            _ => self.good,
        }
    }

    /// With a slot on trial for so many boots (1 to 9).
    ///
    /// # Errors
    /// If that is the committed one.
    pub fn tried(self, slot: Slot, attempts: u8) -> Result<Self, Change> {
        if slot == self.good {
            return Err(Change::CommittedAlready(slot));
        }
        let left = attempts.clamp(1, MOST_ATTEMPTS);
        Ok(Self {
            trial: Some(Trial { slot, left }),
            ..self
        })
    }

    /// With the slot on trial committed.
    ///
    /// # Errors
    /// If there is none.
    pub fn committed(self) -> Result<Self, Change> {
        let trial = self.trial.ok_or(Change::NoTrial)?;
        Ok(Self {
            good: trial.slot,
            trial: None,
        })
    }

    /// Without a trial.
    #[must_use]
    pub fn cancelled(self) -> Self {
        Self {
            trial: None,
            ..self
        }
    }

    /// RAUC's `set-primary`: the other slot goes on trial, the committed one ends a trial.
    #[must_use]
    pub fn with_primary(self, slot: Slot, attempts: u8) -> Self {
        self.tried(slot, attempts)
            .unwrap_or_else(|_| self.cancelled())
    }

    /// RAUC's `get-state`: whether the boot loader would ever boot this slot.
    pub fn is_bootable(&self, slot: Slot) -> bool {
        slot == self.good
            || self
                .trial
                .is_some_and(|trial| trial.slot == slot && trial.left > 0)
    }

    /// RAUC's `set-state`: good commits a trial, bad ends it. Bad for a slot that nobody boots changes nothing: so
    /// RAUC marks the slot that it is about to write.
    ///
    /// # Errors
    /// Good for a slot that was not tried, bad for the committed one.
    pub fn judged(self, slot: Slot, good: bool) -> Result<Self, Change> {
        let is_tried = self.trial.is_some_and(|trial| trial.slot == slot);
        match (good, slot == self.good) {
            (true, true) => Ok(self),
            (true, false) if is_tried => self.committed(),
            (true, false) => Err(Change::NotOnTrial(slot)),
            (false, true) => Err(Change::MustBoot(slot)),
            (false, false) if is_tried => Ok(self.cancelled()),
            (false, false) => Ok(self),
        }
    }

    /// The 512 bytes of a copy.
    pub fn encode(&self) -> [u8; BLOCK_BYTES] {
        let (trial, left) = match self.trial {
            Some(trial) => (trial.slot.letter(), trial.left.min(MOST_ATTEMPTS)),
            None => ("none", 0),
        };
        // U-Boot writes the keys in this order too.
        let text = format!("good={}\0left={left}\0trial={trial}\0\0", self.good);
        let mut block = [0; BLOCK_BYTES];
        let (crc, body) = block.split_at_mut(CRC_BYTES);
        for (place, byte) in body.iter_mut().zip(text.bytes()) {
            *place = byte;
        }
        crc.copy_from_slice(&crc32fast::hash(body).to_le_bytes());
        block
    }

    /// Reads a copy; none if its checksum is wrong.
    ///
    /// With a right checksum every text means something, as it does for the boot loader: what is missing or is not
    /// understood has the value it has by default.
    pub fn decode(block: &[u8]) -> Option<Self> {
        let (crc, body) = block.get(..BLOCK_BYTES)?.split_at(CRC_BYTES);
        if crc32fast::hash(body).to_le_bytes() != crc {
            return None;
        }
        let value = |key: &str| {
            body.split(|&byte| byte == 0)
                .take_while(|entry| !entry.is_empty())
                .filter_map(|entry| std::str::from_utf8(entry).ok()?.split_once('='))
                .find_map(|(name, value)| (name == key).then_some(value))
        };
        let slot = |key| value(key).and_then(|letter| letter.parse::<Slot>().ok());
        let good = slot("good").unwrap_or(Slot::A);
        let left = value("left")
            .and_then(|digits| digits.parse::<u8>().ok())
            .filter(|&left| left <= MOST_ATTEMPTS)
            .unwrap_or(0);
        let trial = slot("trial")
            .filter(|&slot| slot != good)
            .map(|slot| Trial { slot, left });
        Some(Self { good, trial })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in crate::slot) fn states() -> impl Strategy<Value = SlotState> {
        let slots = prop_oneof![Just(Slot::A), Just(Slot::B)];
        (slots, proptest::option::of(0..=MOST_ATTEMPTS)).prop_map(|(good, left)| SlotState {
            good,
            trial: left.map(|left| Trial {
                slot: good.other(),
                left,
            }),
        })
    }

    fn block(text: &[u8]) -> Vec<u8> {
        let mut body = text.to_vec();
        body.resize(BLOCK_BYTES - CRC_BYTES, 0);
        let mut block = crc32fast::hash(&body).to_le_bytes().to_vec();
        block.extend(body);
        block
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(state in states()) {
            prop_assert_eq!(SlotState::decode(&state.encode()), Some(state));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), text in "[a-z=\\x00AB0-9]{0,80}") {
            SlotState::decode(&bytes);
            prop_assert!(SlotState::decode(&block(text.as_bytes())).is_some());
        }

        #[test]
        fn no_change_leaves_the_box_without_a_committed_slot(state in states(), b in any::<bool>(), good in any::<bool>(), attempts in any::<u8>()) {
            let slot = if b { Slot::B } else { Slot::A };
            prop_assert_eq!(state.with_primary(slot, attempts).good, state.good);
            prop_assert_eq!(state.with_primary(slot, attempts).next(), slot);
            prop_assert_eq!(state.cancelled().next(), state.good);
            if let Ok(judged) = state.judged(slot, good) {
                prop_assert!(judged.is_bootable(judged.good));
                prop_assert!(good || judged.good == state.good);
            }
        }
    }

    /// Made by `mkenvimage -s 512` from the lines good=B, left=2, trial=A.
    const MKENVIMAGE: &[u8] = b"\x45\x94\xff\x4bgood=B\0left=2\0trial=A\0\0";

    #[test]
    fn the_bytes_are_those_of_u_boot() {
        let state = SlotState {
            good: Slot::B,
            trial: Some(Trial {
                slot: Slot::A,
                left: 2,
            }),
        };
        let bytes = state.encode();
        assert_eq!(bytes[..MKENVIMAGE.len()], *MKENVIMAGE);
        assert!(bytes[MKENVIMAGE.len()..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn a_right_checksum_always_means_something() {
        let decode = |text: &[u8]| SlotState::decode(&block(text)).unwrap();
        assert_eq!(decode(b""), SlotState::default());
        assert_eq!(decode(b"good=C\0trial=none\0"), SlotState::default());
        // The committed slot is never on trial.
        assert_eq!(decode(b"good=A\0trial=A\0left=2\0").trial, None);
        for left in ["x", "10", "-1", ""] {
            let text = format!("arch=arm\0good=A\0trial=B\0left={left}\0");
            assert_eq!(
                decode(text.as_bytes()).trial,
                Some(Trial {
                    slot: Slot::B,
                    left: 0
                })
            );
        }
        // Nothing behind the end of the list counts.
        assert_eq!(decode(b"good=A\0\0good=B\0").good, Slot::A);
    }

    #[test]
    fn one_wrong_bit_anywhere_is_noticed() {
        let bytes = SlotState::default().encode();
        for at in 0..BLOCK_BYTES {
            let mut wrong = bytes;
            wrong[at] ^= 0x10;
            assert_eq!(SlotState::decode(&wrong), None, "byte {at}");
        }
        assert_eq!(SlotState::decode(&bytes[..BLOCK_BYTES - 1]), None);
    }

    #[test]
    fn rauc_gets_what_it_asks_for_and_no_more() {
        let fresh = SlotState::default();
        assert_eq!(fresh.judged(Slot::A, false), Err(Change::MustBoot(Slot::A)));
        assert_eq!(fresh.judged(Slot::B, false), Ok(fresh));
        assert_eq!(
            fresh.judged(Slot::B, true),
            Err(Change::NotOnTrial(Slot::B))
        );
        assert!(!fresh.is_bootable(Slot::B));
        let tried = fresh.with_primary(Slot::B, 2);
        assert!(tried.is_bootable(Slot::B) && tried.next() == Slot::B);
        assert_eq!(tried.judged(Slot::B, false), Ok(fresh));
        assert_eq!(tried.with_primary(Slot::A, 2), fresh);
        let committed = tried.judged(Slot::B, true).unwrap();
        assert_eq!((committed.good, committed.trial), (Slot::B, None));
        assert_eq!(fresh.committed(), Err(Change::NoTrial));
        assert_eq!(
            fresh.tried(Slot::A, 1),
            Err(Change::CommittedAlready(Slot::A))
        );
    }
}
