//! What one box tells the other about itself, so that each can register the other.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::sealed::MOST_PLAIN;

/// Most characters of a name.
const NAME: usize = 64;
/// Most characters of an address.
const ADDRESS: usize = 255;
/// Most addresses.
const ADDRESSES: usize = 4;
/// Most CA certificates.
const AUTHORITIES: usize = 4;

/// A box as it introduces itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// What it calls itself, 1 to 64 characters.
    pub name: String,
    /// Its id in provenance, 32 hex digits.
    pub federate_id: String,
    /// SHA-256 of its federation certificate.
    pub fingerprint: [u8; 32],
    /// The CA that issued it, DER; 1 to 4 certificates.
    pub authorities: Vec<Vec<u8>>,
    /// Where it listens for federates; none: it does not.
    pub port: Option<u16>,
    /// Under which hosts others reach it, as far as it was told, at most 4.
    pub hosts: Vec<String>,
    /// It is to be dialled, too.
    pub is_reachable: bool,
}

/// It is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoIntroduction {
    /// It does not fit: so many bytes of so many.
    TooLong(usize, usize),
    /// It cannot be understood.
    Unreadable,
    /// What it says cannot be so.
    Wrong(&'static str),
}

impl fmt::Display for NoIntroduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length, most) => write!(
                f,
                "what this box has to tell takes {length} bytes of {most}: its CA certificate is too large to be paired by a \
                 code; register both with `tombolo peer add --ca-cert`"
            ),
            Self::Unreadable => f.write_str(
                "what the other box tells about itself cannot be read; are both of the same release?",
            ),
            Self::Wrong(what) => write!(f, "what the other box tells about itself is wrong: {what}"),
        }
    }
}

impl std::error::Error for NoIntroduction {}

impl Introduction {
    /// As bytes.
    ///
    /// # Errors
    /// When they are too many.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, NoIntroduction> {
        let bytes = postcard::to_stdvec(self).map_err(|_| NoIntroduction::Unreadable)?;
        match bytes.len() {
            length if length > MOST_PLAIN => Err(NoIntroduction::TooLong(length, MOST_PLAIN)),
            _ => Ok(bytes),
        }
    }

    /// Of bytes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, NoIntroduction> {
        if bytes.len() > MOST_PLAIN {
            return Err(NoIntroduction::TooLong(bytes.len(), MOST_PLAIN));
        }
        let read: Self = postcard::from_bytes(bytes).map_err(|_| NoIntroduction::Unreadable)?;
        match read.fault() {
            None => Ok(read),
            Some(fault) => Err(NoIntroduction::Wrong(fault)),
        }
    }

    fn fault(&self) -> Option<&'static str> {
        let is_host = |host: &String| {
            (1..=ADDRESS).contains(&host.len())
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte))
        };
        let is_name = (1..=NAME).contains(&self.name.chars().count())
            && !self.name.chars().any(char::is_control)
            && self.name.trim() == self.name;
        let is_id =
            self.federate_id.len() == 32 && self.federate_id.bytes().all(|b| b.is_ascii_hexdigit());
        match () {
            () if !is_name => Some("its name"),
            () if !is_id => Some("its federate id"),
            () if !(1..=AUTHORITIES).contains(&self.authorities.len()) => Some("its CA"),
            () if self.port == Some(0) => Some("its port"),
            () if self.hosts.len() > ADDRESSES || !self.hosts.iter().all(is_host) => {
                Some("its addresses")
            }
            () => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::tests::introduction;
    use proptest::prelude::*;

    #[test]
    fn it_comes_as_it_went() {
        let one = introduction("alpha");
        assert_eq!(Introduction::read(&one.bytes().unwrap()), Ok(one.clone()));
        let large = Introduction {
            authorities: vec![vec![0; 2000]],
            ..one
        };
        let fault = large.bytes().unwrap_err();
        assert!(fault.to_string().contains("too large"), "{fault}");
    }

    #[test]
    fn what_cannot_be_so_is_refused() {
        let good = introduction("alpha");
        for (bad, about) in [
            (introduction(""), "its name"),
            (introduction("a\nb"), "its name"),
            (introduction(&"x".repeat(65)), "its name"),
            (
                Introduction {
                    federate_id: "x".repeat(32),
                    ..good.clone()
                },
                "its federate id",
            ),
            (
                Introduction {
                    authorities: Vec::new(),
                    ..good.clone()
                },
                "its CA",
            ),
            (
                Introduction {
                    port: Some(0),
                    ..good.clone()
                },
                "its port",
            ),
            (
                Introduction {
                    hosts: vec!["a b".into()],
                    ..good.clone()
                },
                "its addresses",
            ),
        ] {
            let read = Introduction::read(&bad.bytes().unwrap());
            assert_eq!(read, Err(NoIntroduction::Wrong(about)));
        }
        let mut bytes = good.bytes().unwrap();
        bytes.truncate(10);
        assert_eq!(Introduction::read(&bytes), Err(NoIntroduction::Unreadable));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let _ = Introduction::read(&bytes);
        }
    }
}
