//! One event in its forms: what class of traffic it is, and the way from one wire form to the other.

pub mod addressee;
pub mod base64;
pub mod class;
pub mod content;
pub mod echo;
pub mod encode;
pub mod federated;
pub mod fileshare;
pub mod flow_tag;
pub mod groups;
mod marti;
pub mod patch;
pub mod render;
pub mod tak;

pub use class::Class;

#[cfg(test)]
mod tests;
