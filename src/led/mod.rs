//! The status LED: what it says, and how. Pure: the time is an argument, and whoever owns the LED performs.
//!
//! [`picture::signal`] decides what to say from the facts; [`Signal::pattern`] says how; [`Machine`] plays it on any
//! [`OutputPin`](embedded_hal::digital::OutputPin); [`Lease`] hands it to the kernel, with what is to be shown should
//! this program die.
//!
//! | pattern | meaning |
//! |---|---|
//! | steady | every enabled peer is flowing |
//! | steady, a wink every 4 s | every enabled peer is connected, at least one has proven nothing |
//! | 1 s on, 1 s off | some peers up, some down |
//! | 0.3 s, 0.3 s | none up, retrying |
//! | 0.1 s, 0.1 s | booting, connecting, or just stopped |
//! | double pulse | waiting for provisioning, or what was provided has mistakes |
//! | 2 blinks and a pause | no network |
//! | 3 | name lookup fails |
//! | 4 | refused or timed out |
//! | 5 | certificate or registration not accepted |
//! | 6 | clock |
//! | 7 | protocol version |
//! | 8 | storage |
//! | 9 | under-voltage |
//! | 10 | nobody drives the LED: the program died or hangs |
//! | 0.05 s, 0.05 s | safe mode |
//! | off | every peer paused by the operator; or light discipline |
//!
//! When more than one would be true: [`picture::signal`] has the order.

pub mod lease;
pub mod machine;
pub mod pattern;
pub mod picture;
pub mod signal;

pub use lease::Lease;
pub use machine::{Beat, Lamp, Machine};
pub use pattern::Pattern;
pub use picture::{Link, PeerPicture, Picture, Trouble};
pub use signal::{Fault, Signal};

#[cfg(test)]
mod tests;
