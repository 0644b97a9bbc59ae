//! Lines from a terminal, a pipe or a file. On a terminal the echo and the few editing keys are ours: the kernel's own
//! would take the CR LF that many terminal programs send for two line ends, and so for two answers.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{
    ControlFlags, InputFlags, LocalFlags, OutputFlags, SetArg, SpecialCharacterIndices, Termios,
    tcgetattr, tcsetattr,
};

use crate::cli::output::print;
use crate::console::Input;

/// Longest line taken, bytes.
const MOST_LINE: usize = 8192;
const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const ERASE_LINE: u8 = 0x15;
const DELETE: u8 = 0x7f;
/// Ends in a row after which an input that is no terminal has nothing more.
const MOST_ENDS: u32 = 3;

/// The input, set up as the console needs it; put back as it was when dropped.
#[derive(Debug)]
pub(super) struct Terminal {
    input: File,
    /// How the terminal was; none when it is no terminal.
    was: Option<Termios>,
    lines: Lines,
    ends: u32,
    is_gone: bool,
}

impl Terminal {
    pub(super) fn new(input: OwnedFd) -> Self {
        let input = File::from(input);
        let is_terminal = input.is_terminal();
        let was = is_terminal.then(|| tcgetattr(&input).ok()).flatten();
        if let Some(was) = &was {
            // A terminal that went away shows at the first reading.
            let _ = tcsetattr(&input, SetArg::TCSADRAIN, &suited(was.clone()));
        }
        Self {
            input,
            lines: Lines::new(was.is_some()),
            was,
            ends: 0,
            is_gone: false,
        }
    }

    /// The next line, at most after `idle`.
    pub(super) fn read(&mut self, is_secret: bool, idle: Option<Duration>) -> Input {
        loop {
            let (input, echo) = self.lines.next(is_secret);
            // A terminal that cannot be written shows at the next answer.
            let _ = print(&echo);
            if let Some(input) = input {
                self.ends = 0;
                return input;
            }
            let timeout = idle.map_or(PollTimeout::NONE, |idle| {
                PollTimeout::try_from(idle).unwrap_or(PollTimeout::NONE)
            });
            let mut wait = [PollFd::new(self.input.as_fd(), PollFlags::POLLIN)];
            let is_idle = poll(&mut wait, timeout) == Ok(0);
            if is_idle {
                return Input::Idle;
            }
            let mut bytes = [0; 1024];
            match self.input.read(&mut bytes) {
                Ok(count) if count > 0 => self.lines.add(&bytes[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                // A terminal gives nothing only when its other side is gone.
                ended => {
                    self.ends += 1;
                    self.is_gone = ended.is_err() || self.was.is_some() || self.ends >= MOST_ENDS;
                    return self.lines.last().unwrap_or(Input::End);
                }
            }
        }
    }

    /// Nothing more will ever come.
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(was) = &self.was {
            let _ = tcsetattr(&self.input, SetArg::TCSADRAIN, was);
        }
    }
}

/// Every byte as it comes, without echo and signals; a line feed in the output goes to the beginning of the line.
fn suited(mut settings: Termios) -> Termios {
    settings.input_flags &=
        !(InputFlags::ICRNL | InputFlags::IGNCR | InputFlags::INLCR | InputFlags::ISTRIP);
    settings.output_flags |= OutputFlags::OPOST | OutputFlags::ONLCR;
    settings.control_flags |= ControlFlags::CREAD;
    settings.local_flags &=
        !(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::IEXTEN);
    settings.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
    settings.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
    settings
}

/// Bytes cut into lines.
#[derive(Debug, Default)]
struct Lines {
    /// Somebody types: what comes is echoed and can be erased.
    is_typed: bool,
    /// What came and was not looked at.
    bytes: std::collections::VecDeque<u8>,
    line: Vec<u8>,
    /// The line is too long: what still comes of it is dropped.
    overflows: bool,
    /// A line ended in a carriage return: a line feed behind it belongs to that.
    skips_feed: bool,
}

impl Lines {
    fn new(is_typed: bool) -> Self {
        Self {
            is_typed,
            ..Self::default()
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// The next line or key, if it is whole, and what is to be echoed.
    fn next(&mut self, is_secret: bool) -> (Option<Input>, String) {
        let mut echo = String::new();
        while let Some(byte) = self.bytes.pop_front() {
            let skips_feed = std::mem::take(&mut self.skips_feed);
            match byte {
                b'\n' if skips_feed => {}
                b'\n' | b'\r' => {
                    self.skips_feed = byte == b'\r';
                    if self.is_typed {
                        echo.push('\n');
                    }
                    return (Some(self.whole()), echo);
                }
                INTERRUPT => {
                    self.line.clear();
                    self.overflows = false;
                    if self.is_typed {
                        echo.push_str("^C");
                    }
                    return (Some(Input::Interrupt), echo);
                }
                END if self.line.is_empty() && !self.overflows => return (Some(Input::End), echo),
                BACKSPACE | DELETE if self.is_typed => self.erase(is_secret, &mut echo),
                ERASE_LINE if self.is_typed => {
                    while !self.line.is_empty() {
                        self.erase(is_secret, &mut echo);
                    }
                }
                _ => {
                    self.line.push(byte);
                    if self.line.len() > MOST_LINE {
                        self.line.clear();
                        self.overflows = true;
                    }
                    // Only what cannot steer the terminal. The console's own words are ASCII too.
                    if self.is_typed
                        && !is_secret
                        && !self.overflows
                        && (b' '..=b'~').contains(&byte)
                    {
                        echo.push(char::from(byte));
                    }
                }
            }
        }
        (None, echo)
    }

    /// Takes the last letter away, all its bytes.
    fn erase(&mut self, is_secret: bool, echo: &mut String) {
        let Some(mut last) = self.line.pop() else {
            return;
        };
        let was_shown = (b' '..=b'~').contains(&last);
        while last & 0xc0 == 0x80 {
            match self.line.pop() {
                Some(byte) => last = byte,
                None => break,
            }
        }
        if was_shown && !is_secret {
            echo.push_str("\u{8} \u{8}");
        }
    }

    fn whole(&mut self) -> Input {
        let line = std::mem::take(&mut self.line);
        match std::mem::take(&mut self.overflows) {
            true => Input::TooLong,
            false => String::from_utf8(line).map_or(Input::NotText, Input::Line),
        }
    }

    /// What came before the end of the input without an end of its own.
    fn last(&mut self) -> Option<Input> {
        (self.overflows || !self.line.is_empty()).then(|| self.whole())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(is_typed: bool, pieces: &[&[u8]]) -> (Vec<Input>, String) {
        let mut lines = Lines::new(is_typed);
        let (mut found, mut echoed) = (Vec::new(), String::new());
        for piece in pieces {
            lines.add(piece);
            loop {
                let (input, echo) = lines.next(false);
                echoed += &echo;
                match input {
                    Some(input) => found.push(input),
                    None => break,
                }
            }
        }
        found.extend(lines.last());
        (found, echoed)
    }

    fn line(text: &str) -> Input {
        Input::Line(text.to_owned())
    }

    #[test]
    fn every_line_end_is_one_line_end() {
        let wanted = [line("a"), line("b"), line(""), line("c"), line("d")];
        for is_typed in [true, false] {
            assert_eq!(cut(is_typed, &[b"a\r\nb\r", b"\n\r\nc\rd"]).0, wanted);
            assert_eq!(cut(is_typed, &[b"a\nb\n\nc\nd\n"]).0, wanted);
        }
    }

    #[test]
    fn keys_and_broken_lines_are_told_apart() {
        assert_eq!(
            cut(false, &[b"half\x03whole\n\x04\xff\xfe\n"]).0,
            [Input::Interrupt, line("whole"), Input::End, Input::NotText]
        );
        let long = vec![b'x'; 10_000];
        assert_eq!(
            cut(false, &[&long, b"\nfine\n"]).0,
            [Input::TooLong, line("fine")]
        );
        assert_eq!(cut(false, &[&long, &long, b"\x03"]).0, [Input::Interrupt]);
        assert_eq!(cut(false, &[&long]).0, [Input::TooLong]);
    }

    #[test]
    fn what_is_typed_is_echoed_and_erased() {
        let (found, echoed) = cut(true, &[b"ax\x7fb\xc3\xa9\x08\x1b[A\r"]);
        assert_eq!(found, [line("ab\u{1b}[A")]);
        assert_eq!(echoed, "ax\u{8} \u{8}b[A\n");
        let (found, echoed) = cut(true, &[b"wrong\x15right\r\x7f\x7fx\x03"]);
        assert_eq!(found, [line("right"), Input::Interrupt]);
        assert!(echoed.ends_with("right\nx^C"), "{echoed:?}");
        let mut secret = Lines::new(true);
        secret.add(b"12x\x7f34\r");
        assert_eq!(secret.next(true), (Some(line("1234")), "\n".to_owned()));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_nothing_grows(
            is_typed in any::<bool>(),
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20),
        ) {
            let mut lines = Lines::new(is_typed);
            for piece in pieces {
                lines.add(&piece);
                loop {
                    let (input, echo) = lines.next(false);
                    prop_assert!(echo.is_ascii());
                    if input.is_none() {
                        break;
                    }
                }
                prop_assert!(lines.line.len() <= MOST_LINE && lines.bytes.is_empty());
            }
        }
    }
}
