//! The machine below the box: the service manager that started it, how often it came up and fell over, the card it
//! keeps its state on, and its power supply.
//!
//! Everything is read below a root directory that is `/` on a real machine, so that tests bring a machine of their own.
//! Nothing here is needed to run: without systemd, on another board or in a container, the answers are "unknown".

pub mod address;
pub mod boots;
pub mod notify;
pub mod power;
pub mod storage;
pub mod vitals;

pub use boots::{BootLog, Decision};
pub use notify::Manager;
pub use power::Power;
pub use storage::{Storage, StorageFault};
pub use vitals::{Vitals, Watcher};
