//! Tombolo: a low-memory TAK federation bridge.
//!
//! Every neighbour (an ATAK client, a federate) is a *link*; one *router* stands between the links, and nothing
//! else moves events. The floors, bottom up; nothing imports upward:
//!
//! | floor | modules | owns |
//! |---|---|---|
//! | 1 | [`wire`] [`clock`] [`pki`] [`led`] [`config`] [`counters`] [`files`] [`state`] [`log`] [`slot`] [`system`] [`access`] [`pair`] [`packages`] | bytes, time, keys, light, settings, tallies, disk, words, card, machine, who may ask, pairing by a code, data packages |
//! | 2 | [`cot`] [`budget`] | one event in its forms; the memory sum |
//! | 3 | [`route`] | who gets an event, and what waits |
//! | 4 | [`link`] | everything with a socket |
//! | 5 | [`api`] | the typed requests that console, socket and HTTPS share |
//! | 6 | [`console`] [`supervise`] [`update`] [`provision`] | what is typed; start, reload, drain, stop; new systems; sticks |
//! | 7 | [`cli`] | one file per subcommand |
//!
//! `wire`, `cot`, `route`, `led` and `pair` are pure: same inputs, same outputs, no sockets, files, clock or environment.

// Allowed in one file: `clock/kernel.rs`.
#![deny(unsafe_code)]

pub mod access;
pub mod api;
pub mod budget;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod cot;
pub mod counters;
pub mod files;
pub mod led;
pub mod link;
pub mod log;
pub mod packages;
pub mod pair;
pub mod pki;
pub mod provision;
pub mod route;
pub mod slot;
pub mod state;
pub mod supervise;
pub mod system;
pub mod update;
pub mod wire;
