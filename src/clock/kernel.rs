//! What the kernel says of its own clock: `adjtimex(2)`, asked and never set.
//!
//! The only `unsafe` of the program: neither the standard library nor a crate in our tree wraps this call.
#![allow(
    unsafe_code,
    reason = "one system call without a safe wrapper; see `ask`"
)]

use std::io;

use super::judge::{KernelClock, Leap};

/// The kernel calls its clock synchronised as long as its largest error is below this, microseconds.
const UNSYNCHRONISED_US: u64 = 16_000_000;

/// Asks the kernel. Needs no privilege.
///
/// # Errors
/// If the kernel, or a filter of system calls before it, refuses the question.
pub fn ask() -> io::Result<KernelClock> {
    // SAFETY: `timex` is a C struct of plain integers and of one `timeval` of integers, so all zeros is a value of it.
    // `modes` stays 0: the kernel reads nothing else from it, changes no clock, and writes within the struct whose
    // address it is given and which outlives the call.
    let (state, answer) = unsafe {
        let mut question: libc::timex = std::mem::zeroed();
        let state = libc::adjtimex(&raw mut question);
        (state, question)
    };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    let micros = |value: libc::c_long| u64::try_from(value).unwrap_or(0);
    let largest_error_us = micros(answer.maxerror);
    let unsynchronised = answer.status & libc::STA_UNSYNC != 0;
    Ok(KernelClock {
        is_synchronised: !unsynchronised && largest_error_us < UNSYNCHRONISED_US,
        estimated_error_us: micros(answer.esterror),
        largest_error_us,
        leap: match state {
            libc::TIME_INS => Leap::Insert,
            libc::TIME_DEL => Leap::Delete,
            libc::TIME_OOP => Leap::Now,
            _ => Leap::None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers_and_its_answer_hangs_together() {
        match ask() {
            Ok(clock) => {
                assert!(
                    !clock.is_synchronised || clock.largest_error_us < UNSYNCHRONISED_US,
                    "{clock:?}"
                );
                assert!(
                    clock.largest_error_us <= UNSYNCHRONISED_US,
                    "the kernel's own bound: {clock:?}"
                );
            }
            // A container may forbid it.
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EPERM), "{error}"),
        }
    }
}
