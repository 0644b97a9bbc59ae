//! The commands: one file each.

pub mod cert;
pub mod demo;
pub mod export;
pub mod local;
