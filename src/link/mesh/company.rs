//! Who on a mesh can be written to directly: what is addressed to one person need not be said to all.
//!
//! A user's own position names the endpoint at which he listens (`10.0.0.7:4242:tcp`, protocol reference 6.3). It is
//! believed only if it is the very address that the datagram came from: nobody can make this box talk to somebody else.

use std::net::{Ipv4Addr, SocketAddrV4};

use foldhash::fast::FixedState;
use std::hash::BuildHasher;

/// People whose endpoints are known at once; the one who was heard longest ago gives way.
const PEOPLE: usize = 128;
/// Who was not heard for so long is written to at his endpoint no more.
const HEARD_WITHIN_MS: u64 = 10 * 60_000;

/// Bytes that it takes.
pub const BYTES: usize = PEOPLE * size_of::<Person>();

/// Where somebody listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// Address and port.
    pub address: SocketAddrV4,
    /// A connection is wanted, and not a datagram.
    pub tcp: bool,
}

impl Endpoint {
    /// Reads `contact@endpoint` of somebody whose datagram came from `from`.
    pub fn read(text: &[u8], from: Ipv4Addr) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut parts = text.split(':');
        let (host, port, way) = (parts.next()?, parts.next()?, parts.next()?);
        let address: Ipv4Addr = host.parse().ok()?;
        let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
        let tcp = match way {
            "tcp" => true,
            "udp" => false,
            _ => return None,
        };
        (address == from && parts.next().is_none()).then(|| Self {
            address: SocketAddrV4::new(address, port),
            tcp,
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Person {
    uid: u64,
    callsign: u64,
    endpoint: Endpoint,
    heard_ms: u64,
}

/// The people on one mesh.
#[derive(Debug)]
pub struct Company {
    hasher: FixedState,
    people: Vec<Person>,
}

impl Company {
    /// Nobody yet. `seed` keeps others from making names that are taken for each other.
    pub fn new(seed: u64) -> Self {
        Self {
            hasher: FixedState::with_seed(seed),
            people: Vec::new(),
        }
    }

    /// Somebody said where he is; names as they are meant. Without an endpoint he is written to by way of all.
    pub fn heard(
        &mut self,
        (uid, callsign): (&[u8], &[u8]),
        endpoint: Option<Endpoint>,
        now_ms: u64,
    ) {
        let key = self.hasher.hash_one(uid);
        let known = self.people.iter().position(|person| person.uid == key);
        let Some(endpoint) = endpoint else {
            if let Some(at) = known {
                self.people.swap_remove(at);
            }
            return;
        };
        let person = Person {
            uid: key,
            callsign: self.hasher.hash_one(callsign),
            endpoint,
            heard_ms: now_ms,
        };
        if let Some(at) = known {
            self.people[at] = person;
        } else if self.people.len() < PEOPLE {
            self.people.push(person);
        } else if let Some(oldest) = self.people.iter_mut().min_by_key(|person| person.heard_ms) {
            *oldest = person;
        }
    }

    /// Where somebody of that uid listens.
    pub fn of_uid(&self, uid: &[u8], now_ms: u64) -> Option<Endpoint> {
        let key = self.hasher.hash_one(uid);
        self.find(now_ms, |person| person.uid == key)
    }

    /// Where somebody of that callsign listens.
    pub fn of_callsign(&self, callsign: &[u8], now_ms: u64) -> Option<Endpoint> {
        let key = self.hasher.hash_one(callsign);
        self.find(now_ms, |person| person.callsign == key)
    }

    fn find(&self, now_ms: u64, is: impl Fn(&Person) -> bool) -> Option<Endpoint> {
        let is = |person: &&Person| is(person) && now_ms < person.heard_ms + HEARD_WITHIN_MS;
        self.people.iter().find(is).map(|person| person.endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);

    #[test]
    fn only_the_senders_own_address_is_believed() {
        let read = |text: &str| Endpoint::read(text.as_bytes(), FROM);
        let tcp = read("10.0.0.7:4242:tcp").unwrap();
        assert_eq!(
            (tcp.address.to_string().as_str(), tcp.tcp),
            ("10.0.0.7:4242", true)
        );
        assert!(!read("10.0.0.7:4242:udp").unwrap().tcp);
        for other in [
            "10.0.0.8:4242:tcp",
            "*:-1:stcp",
            "10.0.0.7:0:udp",
            "10.0.0.7:4242:tcp:x",
            "10.0.0.7:4242",
            "10.0.0.7:99999:tcp",
            "",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn the_company_is_bounded_and_forgets() {
        let mut company = Company::new(1);
        let endpoint = Endpoint::read(b"10.0.0.7:4242:tcp", FROM);
        for number in 0..=PEOPLE as u64 {
            company.heard((&number.to_le_bytes(), b"A"), endpoint, number);
        }
        assert_eq!(company.people.len(), PEOPLE);
        let now = PEOPLE as u64;
        assert_eq!(company.of_uid(&0u64.to_le_bytes(), now), None);
        assert_eq!(company.of_uid(&1u64.to_le_bytes(), now), endpoint);
        assert_eq!(company.of_callsign(b"A", now), endpoint);
        assert_eq!(company.of_callsign(b"B", now), None);
        assert_eq!(company.of_callsign(b"A", now + HEARD_WITHIN_MS), None);
        company.heard((&1u64.to_le_bytes(), b"A"), None, now);
        assert_eq!(company.of_uid(&1u64.to_le_bytes(), now), None);
    }
}
