//! The commands: one file each.

pub mod cert;
pub mod export;
pub mod local;
