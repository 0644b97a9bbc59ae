//! Lines from a terminal, a pipe or a file. Echo and erasing are left to the kernel's terminal.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{
    ControlFlags, InputFlags, LocalFlags, OutputFlags, SetArg, SpecialCharacterIndices, Termios,
    tcgetattr, tcsetattr,
};

use crate::console::Input;

/// Longest line taken, bytes; a terminal's own limit is 4095.
const MOST_LINE: usize = 8192;
const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
/// Ends in a row after which an input that is no terminal has nothing more.
const MOST_ENDS: u32 = 3;

/// The input, set up as the console needs it; put back as it was when dropped.
#[derive(Debug)]
pub(super) struct Terminal {
    input: File,
    /// How the terminal was, and how it is while lines are read.
    settings: Option<(Termios, Termios)>,
    lines: Lines,
    ends: u32,
    is_gone: bool,
}

impl Terminal {
    pub(super) fn new(input: OwnedFd) -> Self {
        let input = File::from(input);
        let settings = input
            .is_terminal()
            .then(|| tcgetattr(&input).ok())
            .flatten()
            .map(|was| (was.clone(), suited(was)));
        let terminal = Self {
            input,
            settings,
            lines: Lines::default(),
            ends: 0,
            is_gone: false,
        };
        terminal.echo(true);
        terminal
    }

    /// The next line, at most after `idle`.
    pub(super) fn read(&mut self, is_secret: bool, idle: Option<Duration>) -> Input {
        if is_secret {
            self.echo(false);
        }
        let input = self.next(idle);
        if is_secret {
            self.echo(true);
            if self.settings.is_some() {
                // The line's own end was not echoed either.
                let _ = super::print("\n");
            }
        }
        input
    }

    /// Nothing more will ever come.
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone
    }

    fn next(&mut self, idle: Option<Duration>) -> Input {
        loop {
            if let Some(input) = self.lines.next() {
                self.ends = 0;
                return input;
            }
            let timeout = idle.map_or(PollTimeout::NONE, |idle| {
                PollTimeout::try_from(idle).unwrap_or(PollTimeout::NONE)
            });
            let mut wait = [PollFd::new(self.input.as_fd(), PollFlags::POLLIN)];
            let is_idle = poll(&mut wait, timeout) == Ok(0);
            let hung_up = wait[0]
                .revents()
                .is_some_and(|events| events.contains(PollFlags::POLLHUP));
            if is_idle {
                return Input::Idle;
            }
            let mut bytes = [0; 1024];
            match self.input.read(&mut bytes) {
                Ok(count) if count > 0 => self.lines.add(&bytes[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                ended => {
                    self.ends += 1;
                    let no_terminal = self.settings.is_none();
                    self.is_gone =
                        ended.is_err() || hung_up || no_terminal && self.ends >= MOST_ENDS;
                    return self.lines.last().unwrap_or(Input::End);
                }
            }
        }
    }

    fn echo(&self, on: bool) {
        if let Some((_, suited)) = &self.settings {
            let mut settings = suited.clone();
            settings.local_flags.set(LocalFlags::ECHO, on);
            // A terminal that went away shows at the next reading.
            let _ = tcsetattr(&self.input, SetArg::TCSADRAIN, &settings);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some((was, _)) = &self.settings {
            let _ = tcsetattr(&self.input, SetArg::TCSADRAIN, was);
        }
    }
}

/// Whole lines with echo, either line end, and Ctrl-C as a character that ends a line.
fn suited(mut settings: Termios) -> Termios {
    settings.input_flags |= InputFlags::ICRNL;
    settings.input_flags &= !(InputFlags::IGNCR | InputFlags::INLCR | InputFlags::ISTRIP);
    settings.output_flags |= OutputFlags::OPOST | OutputFlags::ONLCR;
    settings.control_flags |= ControlFlags::CREAD;
    settings.local_flags |=
        LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ECHOE | LocalFlags::ECHOK;
    let off = nix::libc::_POSIX_VDISABLE;
    let keys = &mut settings.control_chars;
    keys[SpecialCharacterIndices::VINTR as usize] = off;
    keys[SpecialCharacterIndices::VQUIT as usize] = off;
    keys[SpecialCharacterIndices::VSUSP as usize] = off;
    keys[SpecialCharacterIndices::VEOL as usize] = INTERRUPT;
    keys[SpecialCharacterIndices::VEOF as usize] = END;
    settings
}

/// Bytes cut into lines.
#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    /// The line is too long: what still comes of it is dropped.
    overflows: bool,
    /// A line ended in a carriage return: a line feed behind it belongs to that.
    skips_feed: bool,
}

impl Lines {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn next(&mut self) -> Option<Input> {
        if std::mem::take(&mut self.skips_feed) {
            match self.bytes.first() {
                Some(b'\n') => drop(self.bytes.remove(0)),
                Some(_) => {}
                None => self.skips_feed = true,
            }
        }
        if self.bytes.first() == Some(&END) && !self.overflows {
            self.bytes.remove(0);
            return Some(Input::End);
        }
        let ends = |byte: &u8| matches!(*byte, b'\n' | b'\r' | INTERRUPT);
        let Some(at) = self.bytes.iter().position(ends) else {
            if self.bytes.len() > MOST_LINE {
                self.overflows = true;
                self.bytes.clear();
            }
            return None;
        };
        let end = self.bytes[at];
        let line: Vec<u8> = self.bytes.drain(..=at).take(at).collect();
        self.skips_feed = end == b'\r';
        let overflowed = std::mem::take(&mut self.overflows) || line.len() > MOST_LINE;
        Some(match end {
            INTERRUPT => Input::Interrupt,
            _ if overflowed => Input::TooLong,
            _ => String::from_utf8(line).map_or(Input::NotText, Input::Line),
        })
    }

    /// What came before the end of the input without an end of its own.
    fn last(&mut self) -> Option<Input> {
        let rest = std::mem::take(&mut self.bytes);
        match std::mem::take(&mut self.overflows) {
            true => Some(Input::TooLong),
            false if rest.is_empty() => None,
            false => Some(String::from_utf8(rest).map_or(Input::NotText, Input::Line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(pieces: &[&[u8]]) -> Vec<Input> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for piece in pieces {
            lines.add(piece);
            found.extend(std::iter::from_fn(|| lines.next()));
        }
        found.extend(lines.last());
        found
    }

    fn line(text: &str) -> Input {
        Input::Line(text.to_owned())
    }

    #[test]
    fn every_line_end_is_one_line_end() {
        let wanted = [line("a"), line("b"), line(""), line("c"), line("d")];
        assert_eq!(cut(&[b"a\r\nb\r", b"\n\r\nc\rd"]), wanted);
        assert_eq!(cut(&[b"a\nb\n\nc\nd\n"]), wanted);
    }

    #[test]
    fn keys_and_broken_lines_are_told_apart() {
        assert_eq!(
            cut(&[b"half\x03whole\n\x04\xff\xfe\n"]),
            [Input::Interrupt, line("whole"), Input::End, Input::NotText]
        );
        let long = vec![b'x'; 10_000];
        assert_eq!(cut(&[&long, b"\nfine\n"]), [Input::TooLong, line("fine")]);
        assert_eq!(cut(&[&long, &long, b"\x03"]), [Input::Interrupt]);
        assert_eq!(cut(&[&long]), [Input::TooLong]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_nothing_grows(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20)) {
            let mut lines = Lines::default();
            for piece in pieces {
                lines.add(&piece);
                while lines.next().is_some() {}
                prop_assert!(lines.bytes.len() <= MOST_LINE);
            }
        }
    }
}
