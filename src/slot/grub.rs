//! One copy of the slot state as GRUB's `load_env` reads and `save_env` writes it: an environment block of 512 bytes.
//!
//! Such a block has no checksum, so the state stands in it twice, as `state` and as `again`, three characters each:
//! the committed slot, the one on trial (`-`: none), the boots it has left. A copy counts when both say the same.
//! A write that is cut short changes a first part of the block. If that ends inside `state`, `again` is the old one
//! still; if it ends inside `again`, `state` is the new one already. So either they differ, or the copy is wholly the
//! old one or the new one. All states are of one length, so GRUB changes them in place.

use super::block::{BLOCK_BYTES, MOST_ATTEMPTS, Slot, SlotState, Trial};

/// How every block of GRUB's begins.
pub const SIGNATURE: &[u8] = b"# GRUB Environment Block\n";
/// What follows the last line, to the end.
const PADDING: u8 = b'#';
const NO_TRIAL: u8 = b'-';

/// The 512 bytes of a copy.
pub fn encode(state: &SlotState) -> [u8; BLOCK_BYTES] {
    let (trial, left) = match state.trial {
        Some(trial) => (trial.slot.letter(), trial.left.min(MOST_ATTEMPTS)),
        None => ("-", 0),
    };
    let words = format!("{}{trial}{left}", state.good);
    let text = format!("state={words}\nagain={words}\n");
    let mut block = [PADDING; BLOCK_BYTES];
    for (place, &byte) in block
        .iter_mut()
        .zip(SIGNATURE.iter().chain(text.as_bytes()))
    {
        *place = byte;
    }
    block
}

/// Reads a copy; none if it is damaged. It finds what GRUB finds in the same bytes.
pub fn decode(block: &[u8]) -> Option<SlotState> {
    let body = block.get(..BLOCK_BYTES)?.strip_prefix(SIGNATURE)?;
    let (mut state, mut again) = (None, None);
    let mut rest = body;
    // Not the lines of a text: a name reaches to the next =, whatever is between.
    while let Some(&first) = rest.first() {
        if first != PADDING {
            let Some(equals) = rest.iter().position(|&byte| byte == b'=') else {
                break;
            };
            let (name, behind) = (&rest[..equals], &rest[equals + 1..]);
            let Some(end) = behind.iter().position(|&byte| byte == b'\n') else {
                break;
            };
            match name {
                b"state" => state = Some(&behind[..end]),
                b"again" => again = Some(&behind[..end]),
                _ => {}
            }
            rest = &behind[end..];
        }
        match rest.iter().position(|&byte| byte == b'\n') {
            Some(end) => rest = &rest[end + 1..],
            None => break,
        }
    }
    let &[good, trial, left] = state.filter(|_| state == again)? else {
        return None;
    };
    let good = slot(good)?;
    let left = char::from(left).to_digit(10)?;
    let trial = match trial {
        NO_TRIAL => None,
        letter => Some(slot(letter)?),
    };
    Some(SlotState {
        good,
        trial: trial.filter(|&slot| slot != good).map(|slot| Trial {
            slot,
            left: u8::try_from(left).unwrap_or(0),
        }),
    })
}

fn slot(letter: u8) -> Option<Slot> {
    match letter {
        b'A' => Some(Slot::A),
        b'B' => Some(Slot::B),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::tests::states;
    use super::*;
    use proptest::prelude::*;

    fn block(text: &str) -> Vec<u8> {
        let mut block = [SIGNATURE, text.as_bytes()].concat();
        block.resize(BLOCK_BYTES, PADDING);
        block
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(state in states()) {
            prop_assert_eq!(decode(&encode(&state)), Some(state));
        }

        /// The sector is cut after any number of bytes, and what was there before follows.
        #[test]
        fn a_torn_copy_is_the_old_one_or_the_new_or_none(old in states(), new in states(), torn in 0..=BLOCK_BYTES) {
            let mut block = encode(&old);
            block[..torn].copy_from_slice(&encode(&new)[..torn]);
            let found = decode(&block);
            prop_assert!(found.is_none() || found == Some(old) || found == Some(new), "{found:?}");
        }

        /// Or the disk gives it back with some stretch of it lost.
        #[test]
        fn a_copy_with_a_hole_is_whole_or_none(state in states(), from in 0..BLOCK_BYTES, length in 1..BLOCK_BYTES, byte in any::<u8>()) {
            let mut block = encode(&state);
            for place in block.iter_mut().skip(from).take(length) {
                *place = byte;
            }
            let found = decode(&block);
            prop_assert!(found.is_none() || found == Some(state), "{found:?}");
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), text in "[a-z=\\n\\\\#AB0-9-]{0,80}") {
            decode(&bytes);
            decode(&block(&text));
        }
    }

    /// The first bytes of what `grub-editenv FILE set state=AB2 again=AB2` makes of `grub-editenv FILE create`.
    const EDITENV: &str = "# GRUB Environment Block\n# WARNING: Do not edit this file by tools other than grub-editenv!!!\nstate=AB2\nagain=AB2\n";

    #[test]
    fn what_grub_writes_is_read() {
        let state = SlotState::default().tried(Slot::B, 2).unwrap();
        let mut block = EDITENV.as_bytes().to_vec();
        block.resize(BLOCK_BYTES, PADDING);
        assert_eq!(decode(&block), Some(state));
        let ours = encode(&state);
        assert!(ours.starts_with(b"# GRUB Environment Block\nstate=AB2\nagain=AB2\n####"));
        assert!(ours.ends_with(b"##"));
    }

    #[test]
    fn only_what_makes_sense_counts() {
        let read = |text: &str| decode(&block(text));
        let committed = |good| Some(SlotState { good, trial: None });
        assert_eq!(read("state=B-0\nagain=B-0\n"), committed(Slot::B));
        // The committed slot is never on trial.
        assert_eq!(read("state=AA2\nagain=AA2\n"), committed(Slot::A));
        assert_eq!(
            read("#state=B-0\nstate=A-0\nagain=A-0\n"),
            committed(Slot::A)
        );
        // The last of several holds, as it does for GRUB.
        assert_eq!(
            read("state=A-0\nagain=B-0\nstate=B-0\n"),
            committed(Slot::B)
        );
        for damaged in [
            "",
            "state=A-0\n",
            "state=A-0\nagain=B-0\n",
            "state=\nagain=\n",
            "state=C-0\nagain=C-0\n",
            "state=AC0\nagain=AC0\n",
            "state=A-x\nagain=A-x\n",
            "state=A-00\nagain=A-00\n",
            "state=A-0\nagain=A-0",
            "x\nstate=A-0\nagain=A-0\n",
        ] {
            assert_eq!(read(damaged), None, "{damaged}");
        }
        assert_eq!(decode(&encode(&SlotState::default())[..511]), None);
    }
}
