//! The interface of a mesh: whether it is there, and our address on it.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::SockaddrIn;

/// Without news from the kernel an interface is looked at this often.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);

/// An interface that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's number; another one when the interface was taken away and came back.
    pub index: u32,
    /// Our first address.
    pub address: Option<Ipv4Addr>,
}

/// Why there is nothing to join on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// No interface is called so.
    Interface,
    /// It is switched off.
    Off,
    /// Nothing is at the other end.
    Carrier,
    /// It has no IPv4 address, and without one nothing can be said.
    Address,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interface => {
                "there is no such interface; `ip link` lists those there are. It is joined when it comes"
            }
            Self::Off => "the interface is switched off; it is joined when it runs",
            Self::Carrier => "nothing is at the other end of the interface; it is joined when it runs",
            Self::Address => "the interface has no IPv4 address; it is joined when it has one",
        })
    }
}

/// Looks at an interface.
///
/// # Errors
/// What is missing; an address only if it is needed.
pub fn look(name: &str, needs_address: bool) -> Result<Interface, Missing> {
    let index = if_nametoindex(name).map_err(|_| Missing::Interface)?;
    let mut flags = InterfaceFlags::empty();
    let mut address = None;
    for entry in getifaddrs().map_err(|_| Missing::Interface)? {
        if entry.interface_name != name {
            continue;
        }
        flags |= entry.flags;
        let own = entry
            .address
            .as_ref()
            .and_then(|address| address.as_sockaddr_in());
        address = address.or(own.map(SockaddrIn::ip));
    }
    if !flags.contains(InterfaceFlags::IFF_UP) {
        return Err(Missing::Off);
    }
    if !flags.contains(InterfaceFlags::IFF_RUNNING) {
        return Err(Missing::Carrier);
    }
    if needs_address && address.is_none() {
        return Err(Missing::Address);
    }
    Ok(Interface { index, address })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_there_and_others_are_not() {
        let found = look("lo", true).unwrap();
        assert_eq!(found.address, Some(Ipv4Addr::LOCALHOST));
        assert_eq!(look("no-such-one", true), Err(Missing::Interface));
    }
}
