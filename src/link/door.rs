//! The door: who may do a TLS handshake now.
//!
//! A handshake costs memory and ends only when the stranger at the other end likes, so there are few places
//! ([`HANDSHAKES`]) for all listeners together, and a table of fixed size says who has them. The rules:
//!
//! - One address has half of the places at most; what comes over IPv6 counts by /64. Loopback is no exception.
//! - A newcomer who finds no place takes that of the oldest handshake of the address with the most, if that address
//!   has two more than its own, or if that handshake is older than [`YOUNG`]. Otherwise it waits.
//! - Few wait ([`DOOR_WAITING`]), with nothing but their TCP connection. One more, and the latest of the address that
//!   waits most is closed.
//!
//! So strangers who connect and say nothing keep nobody else out, from however many connections; and a site whose
//! devices share one address and come all at once is let in one after the other.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::handshake::Failure;
use crate::budget::{DOOR_LINGERING, DOOR_WAITING, HANDSHAKES};

/// A handshake younger than this is not ended for another one of equal right.
const YOUNG: Duration = Duration::from_secs(2);
/// How often those who wait look whether somebody has grown old.
const LOOK: Duration = Duration::from_millis(200);
/// Longest that a refused stranger is listened to, so that our alert reaches it.
const LINGER: Duration = Duration::from_millis(500);
/// Most that is read of it, bytes.
const LINGER_BYTES: usize = 64 * 1024;

/// The places of one box; clones share them.
#[derive(Clone)]
pub struct Door {
    table: Arc<Mutex<Table>>,
    lingering: Arc<Semaphore>,
}

impl Default for Door {
    fn default() -> Self {
        Self::new(HANDSHAKES as usize, DOOR_WAITING as usize)
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

impl Door {
    /// With so many places, and so many more who may wait for one.
    pub fn new(places: usize, waiting: usize) -> Self {
        Self {
            table: Arc::new(Mutex::new(Table {
                places,
                waiting,
                serial: 0,
                guests: Vec::with_capacity(places + waiting + 1),
            })),
            lingering: Arc::new(Semaphore::new(DOOR_LINGERING as usize)),
        }
    }

    /// Somebody has connected from there. `None`: close it, too many wait already.
    pub fn arrive(&self, address: IpAddr) -> Option<Guest> {
        let (serial, notify) = self.lock().arrive(origin(address), Instant::now())?;
        Some(Guest {
            door: self.clone(),
            serial,
            notify,
        })
    }

    /// Listens to somebody who was refused for a moment more. Closing with bytes unread would reset the connection,
    /// and take our alert with it. Few are done this honour at once.
    pub fn see_off(&self, stream: TcpStream) {
        if let Ok(permit) = Arc::clone(&self.lingering).try_acquire_owned() {
            tokio::spawn(async move {
                let _ = timeout(LINGER, linger(stream)).await;
                drop(permit);
            });
        }
    }

    /// Places that nobody has.
    #[cfg(test)]
    pub fn free(&self) -> usize {
        let table = self.lock();
        table.places - table.inside().count()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits for a place. Dropping it makes room.
#[derive(Debug)]
pub struct Guest {
    door: Door,
    serial: u64,
    notify: Arc<Notify>,
}

/// One who has a place. Dropping it makes room.
#[derive(Debug)]
pub struct Place(Guest);

/// A handshake that did not come about.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub failure: Failure,
    /// The connection, if TLS has said something on it that the stranger should read: see [`Door::see_off`].
    pub stream: Option<TcpStream>,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            stream: None,
        }
    }
}

impl Guest {
    /// Waits for a place. What comes after belongs in a box of its own, so that those who wait cost no room for it.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn place(self, within: Duration) -> Result<Place, Failure> {
        timeout(within, self.let_in())
            .await
            .map_err(|_| Failure::TimedOut)??;
        Ok(Place(self))
    }

    async fn let_in(&self) -> Result<(), Failure> {
        loop {
            match self.door.lock().look(self.serial, Instant::now()) {
                Some(true) => return Ok(()),
                Some(false) => {}
                None => return Err(Failure::Crowded),
            }
            tokio::select! {
                () = self.notify.notified() => {}
                () = sleep(LOOK) => {}
            }
        }
    }
}

impl Place {
    /// Does the handshake. The place is free again afterwards.
    ///
    /// # Errors
    /// Why it failed.
    pub async fn handshake(
        self,
        tls: TlsAcceptor,
        stream: TcpStream,
        within: Duration,
    ) -> Result<TlsStream<TcpStream>, Refused> {
        tokio::select! {
            done = timeout(within, tls.accept(stream).into_fallible()) => done
                .map_err(|_| Failure::TimedOut)?
                .map_err(|(error, stream)| Refused {
                    failure: Failure::of(&error),
                    stream: Some(stream),
                }),
            () = self.put_out() => Err(Failure::Crowded.into()),
        }
    }

    /// Waits until somebody else was given this place.
    async fn put_out(&self) {
        while self.0.door.lock().position(self.0.serial).is_some() {
            self.0.notify.notified().await;
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.door.lock().leave(self.serial, Instant::now());
    }
}

/// Who is inside and who waits, in the order of their coming.
struct Table {
    places: usize,
    waiting: usize,
    serial: u64,
    guests: Vec<Entry>,
}

struct Entry {
    serial: u64,
    origin: IpAddr,
    /// Since when it has its place; none: it waits.
    inside: Option<Instant>,
    notify: Arc<Notify>,
}

impl Table {
    fn inside(&self) -> impl Iterator<Item = &Entry> {
        self.guests.iter().filter(|guest| guest.inside.is_some())
    }

    fn position(&self, serial: u64) -> Option<usize> {
        self.guests.iter().position(|guest| guest.serial == serial)
    }

    fn arrive(&mut self, origin: IpAddr, now: Instant) -> Option<(u64, Arc<Notify>)> {
        self.serial += 1;
        let (serial, notify) = (self.serial, Arc::new(Notify::new()));
        self.guests.push(Entry {
            serial,
            origin,
            inside: None,
            notify: Arc::clone(&notify),
        });
        self.look(serial, now);
        let waiting = || self.guests.iter().filter(|guest| guest.inside.is_none());
        if waiting().count() > self.waiting {
            let counts = count(waiting());
            let most = counts.values().copied().max().unwrap_or(0);
            let latest = match counts.get(&origin) == Some(&most) {
                true => Some(serial),
                false => waiting()
                    .filter(|guest| counts[&guest.origin] == most)
                    .map(|guest| guest.serial)
                    .max(),
            };
            self.remove(latest?);
        }
        self.position(serial)?;
        Some((serial, notify))
    }

    /// Lets one in who waits, if there is a place for it now. Tells whether it is inside; `None`: neither inside nor
    /// waiting any more.
    fn look(&mut self, serial: u64, now: Instant) -> Option<bool> {
        let position = self.position(serial)?;
        if self.guests[position].inside.is_some() {
            return Some(true);
        }
        let counts = count(self.inside());
        let of = |origin: &IpAddr| counts.get(origin).copied().unwrap_or(0);
        let own = self.guests[position].origin;
        let share = (self.places / 2).max(1);
        if of(&own) >= share || self.inside().count() >= self.places {
            let most = match of(&own) >= share {
                true => of(&own),
                false => counts.values().copied().max().unwrap_or(0),
            };
            // Entries keep their order of coming, but one who waited is not as old as its entry.
            let (since, oldest) = self
                .inside()
                .filter(|guest| of(&guest.origin) == most)
                .filter(|guest| of(&own) < share || guest.origin == own)
                .filter_map(|guest| Some((guest.inside?, guest.serial)))
                .min()?;
            if most < of(&own) + 2 && now.duration_since(since) < YOUNG {
                return Some(false);
            }
            self.remove(oldest);
        }
        let position = self.position(serial)?;
        let guest = &mut self.guests[position];
        guest.inside = Some(now);
        guest.notify.notify_one();
        Some(true)
    }

    fn leave(&mut self, serial: u64, now: Instant) {
        self.remove(serial);
        let waiting: Vec<u64> = self
            .guests
            .iter()
            .filter(|guest| guest.inside.is_none())
            .map(|guest| guest.serial)
            .collect();
        for serial in waiting {
            if self.inside().count() >= self.places {
                break;
            }
            self.look(serial, now);
        }
    }

    fn remove(&mut self, serial: u64) {
        if let Some(position) = self.position(serial) {
            self.guests.remove(position).notify.notify_one();
        }
    }
}

fn count<'a>(guests: impl Iterator<Item = &'a Entry>) -> BTreeMap<IpAddr, usize> {
    let mut counts = BTreeMap::new();
    for guest in guests {
        *counts.entry(guest.origin).or_default() += 1;
    }
    counts
}

/// What counts as one address: a site has a whole IPv6 /64 to connect from.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & (u128::from(u64::MAX) << 64);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address => address,
    }
}

async fn linger(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    let mut left = LINGER_BYTES;
    while stream.readable().await.is_ok() {
        match discard(&stream) {
            Ok(0) => return,
            Ok(count) if count >= left => return,
            Ok(count) => left -= count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// On its own, so that the buffer lives on the stack only.
fn discard(stream: &TcpStream) -> std::io::Result<usize> {
    stream.try_read(&mut [0; 1024])
}

#[cfg(test)]
mod tests;
