//! Addresses as `203.0.113.0/24`, or one alone.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    address: IpAddr,
    /// Bits that count.
    length: u8,
}

/// The text is no range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotASubnet;

impl fmt::Display for NotASubnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is no IP address and no range of them")
    }
}

impl Subnet {
    /// Whether an address is in it. IPv4 within IPv6 counts as IPv4.
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => {
                let all = ours.to_bits() ^ other.to_bits();
                all.checked_shr(32 - u32::from(self.length)).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(other)) => {
                let all = ours.to_bits() ^ other.to_bits();
                all.checked_shr(128 - u32::from(self.length)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// Whether somebody may come from an address: from everywhere where nothing is listed.
pub fn allows(listed: &[Subnet], address: IpAddr) -> bool {
    listed.is_empty() || listed.iter().any(|subnet| subnet.holds(address))
}

impl FromStr for Subnet {
    type Err = NotASubnet;

    fn from_str(text: &str) -> Result<Self, NotASubnet> {
        let (address, length) = match text.trim().split_once('/') {
            None => (text.trim(), None),
            Some((address, length)) => (address, Some(length)),
        };
        let address = address
            .parse::<IpAddr>()
            .map_err(|_| NotASubnet)?
            .to_canonical();
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => most,
            Some(length) => length.parse().map_err(|_| NotASubnet)?,
        };
        match length <= most {
            true => Ok(Self { address, length }),
            false => Err(NotASubnet),
        }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.length) {
            (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => self.address.fmt(f),
            (address, length) => write!(f, "{address}/{length}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_is_in_them() {
        let holds = |subnet: &str, address: &str| {
            subnet
                .parse::<Subnet>()
                .unwrap()
                .holds(address.parse().unwrap())
        };
        assert!(holds("203.0.113.0/24", "203.0.113.255"));
        assert!(!holds("203.0.113.0/24", "203.0.114.0"));
        assert!(holds("203.0.113.7", "203.0.113.7") && !holds("203.0.113.7", "203.0.113.8"));
        assert!(holds("0.0.0.0/0", "8.8.8.8") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("::/0", "2001:db8::1") && !holds("2001:db8::/32", "2001:db9::1"));
        assert!(holds("203.0.113.0/24", "::ffff:203.0.113.9"));
        assert!(allows(&[], "::1".parse().unwrap()));
        for wrong in ["", "host", "203.0.113.0/33", "::/129", "10.0.0.0/", "10/8"] {
            assert_eq!(wrong.parse::<Subnet>(), Err(NotASubnet), "{wrong}");
        }
        assert_eq!(
            "10.0.0.0/8".parse::<Subnet>().unwrap().to_string(),
            "10.0.0.0/8"
        );
        assert_eq!("::1/128".parse::<Subnet>().unwrap().to_string(), "::1");
    }
}
