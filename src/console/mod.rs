//! The console: what a signaller with a serial cable sees. Lines come in, text and orders go out.
//!
//! Pure: no terminal, files, clocks or sockets. `cli::console` performs what [`Console`] orders and hands the answers
//! back. Every prompt ends in `"> "` without a line's end; what a command says ends in a line `ok` or `error: ...`.
//! All output is ASCII, no line is longer than 79 columns.

mod answers;
mod ca;
mod commands;
mod guide;
mod help;
mod lock;
mod network;
mod order;
mod pair;
mod paste;
mod peer;
mod session;
mod show;
mod text;
pub mod wording;
mod words;

pub use network::Network;
pub use order::{
    Action, Answer, Check, Input, Order, OwnCertificates, PinOrder, Sight, SystemOrder,
};
pub use session::{Console, Manner};

#[cfg(test)]
mod tests;
