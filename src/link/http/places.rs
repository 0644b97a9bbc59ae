//! Places for connections. Few may be open at once; those too many wait, and strangers keep nobody out:
//!
//! - One place is always there. Further ones are lent: each takes [`LENT`] places of local clients while those are free.
//! - When all places are taken, the one that has been idle for longest makes room: first those who have not shown who
//!   they are, after [`YOUNG`]; then the others, after [`RESTED`]. Who is being answered stays.
//! - Few wait ([`WAITING`]); next is who came first from the address that has the fewest inside. One more, and the latest of the address that waits most goes.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

/// So many places of local clients have the memory of one connection.
pub const LENT: u32 = 3;
/// A stranger's connection younger than this stays.
const YOUNG: Duration = Duration::from_secs(2);
/// A known one that had an answer within this stays.
const RESTED: Duration = Duration::from_secs(5);
/// Those who may wait.
pub const WAITING: usize = 8;
/// How long at most.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often those who wait look.
const LOOK: Duration = Duration::from_millis(100);

/// The places; clones share them.
#[derive(Debug, Clone)]
pub struct Places(Arc<Mutex<Table>>);

#[derive(Debug)]
struct Table {
    places: usize,
    lender: Arc<Semaphore>,
    serial: u64,
    guests: Vec<Guest>,
}

#[derive(Debug)]
struct Guest {
    serial: u64,
    address: IpAddr,
    inside: Option<Inside>,
    notify: Arc<Notify>,
}

#[derive(Debug)]
struct Inside {
    /// It has shown who it is.
    known: bool,
    /// Requests being answered.
    busy: u32,
    /// When it came in, or had its last answer.
    since: Instant,
    /// What it took of the clients' places; none: it has the one that is always there.
    lent: Option<OwnedSemaphorePermit>,
}

/// A place, or one who waits for it. Dropping it makes room.
#[derive(Debug)]
pub struct Seat {
    places: Places,
    serial: u64,
    notify: Arc<Notify>,
}

/// A request is being answered.
#[derive(Debug)]
pub struct Busy(Arc<Seat>);

impl Places {
    /// So many at most; all but one take places of local clients from `lender`.
    pub fn new(places: usize, lender: Arc<Semaphore>) -> Self {
        Self(Arc::new(Mutex::new(Table {
            places: places.max(1),
            lender,
            serial: 0,
            guests: Vec::new(),
        })))
    }

    /// Waits for a place; none if too many wait, or it takes too long.
    pub async fn enter(&self, address: IpAddr) -> Option<Seat> {
        let seat = self.arrive(address)?;
        let waited = timeout(PATIENCE, async {
            loop {
                match self.lock().look(seat.serial, Instant::now()) {
                    Some(true) => return true,
                    Some(false) => {}
                    None => return false,
                }
                tokio::select! {
                    () = seat.notify.notified() => {}
                    () = sleep(LOOK) => {}
                }
            }
        });
        let is_in = waited.await == Ok(true);
        is_in.then_some(seat)
    }

    fn arrive(&self, address: IpAddr) -> Option<Seat> {
        let mut table = self.lock();
        table.serial += 1;
        let (serial, notify) = (table.serial, Arc::new(Notify::new()));
        table.guests.push(Guest {
            serial,
            address: address.to_canonical(),
            inside: None,
            notify: Arc::clone(&notify),
        });
        table.look(serial, Instant::now());
        table.shed();
        table.position(serial)?;
        Some(Seat {
            places: self.clone(),
            serial,
            notify,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// A request is being answered, until that is dropped.
    pub fn busy(self: &Arc<Self>) -> Busy {
        self.with(|inside| inside.busy += 1);
        Busy(Arc::clone(self))
    }

    /// It has shown who it is.
    pub fn known(&self) {
        self.with(|inside| inside.known = true);
    }

    /// How long nothing was answered; none while something is.
    pub fn idle(&self) -> Option<Duration> {
        let table = self.places.lock();
        let inside = table.guests[table.position(self.serial)?].inside.as_ref()?;
        (inside.busy == 0).then(|| inside.since.elapsed())
    }

    /// Waits until somebody else was given this place.
    pub async fn put_out(&self) {
        while self.places.lock().position(self.serial).is_some() {
            self.notify.notified().await;
        }
    }

    fn with(&self, act: impl FnOnce(&mut Inside)) {
        let mut table = self.places.lock();
        if let Some(place) = table.position(self.serial)
            && let Some(inside) = &mut table.guests[place].inside
        {
            act(inside);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.with(|inside| {
            inside.busy -= 1;
            inside.since = Instant::now();
        });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = self.places.lock();
        table.remove(self.serial);
        let next = table.next().and_then(|serial| table.position(serial));
        if let Some(place) = next {
            table.guests[place].notify.notify_one();
        }
    }
}

impl Table {
    fn position(&self, serial: u64) -> Option<usize> {
        self.guests.iter().position(|guest| guest.serial == serial)
    }

    fn waiting(&self) -> impl Iterator<Item = &Guest> {
        self.guests.iter().filter(|guest| guest.inside.is_none())
    }

    fn remove(&mut self, serial: u64) {
        if let Some(place) = self.position(serial) {
            self.guests.remove(place).notify.notify_one();
        }
    }

    /// Lets one in who waits, if it is its turn and there is a place. Tells whether it is inside; none: it was put out.
    fn look(&mut self, serial: u64, now: Instant) -> Option<bool> {
        let place = self.position(serial)?;
        if self.guests[place].inside.is_some() {
            return Some(true);
        }
        if self.next() != Some(serial) {
            return Some(false);
        }
        let lent = loop {
            match self.free() {
                Some(lent) => break lent,
                None => {
                    let idle = self.idlest(now);
                    let Some(idle) = idle else {
                        return Some(false);
                    };
                    self.remove(idle);
                }
            }
        };
        let place = self.position(serial)?;
        self.guests[place].inside = Some(Inside {
            known: false,
            busy: 0,
            since: now,
            lent,
        });
        Some(true)
    }

    /// A place that nobody has, with what it takes of the clients' places.
    fn free(&self) -> Option<Option<OwnedSemaphorePermit>> {
        let inside = || self.guests.iter().filter_map(|guest| guest.inside.as_ref());
        if inside().all(|inside| inside.lent.is_some()) {
            return Some(None);
        }
        if inside().count() >= self.places {
            return None;
        }
        let lent = Arc::clone(&self.lender).try_acquire_many_owned(LENT);
        lent.ok().map(Some)
    }

    /// Whose turn it is: of the address with the fewest inside, whoever came first.
    fn next(&self) -> Option<u64> {
        let inside = |address: IpAddr| {
            let inside = self.guests.iter().filter(|guest| guest.inside.is_some());
            inside.filter(|guest| guest.address == address).count()
        };
        let waiting = self
            .waiting()
            .map(|guest| (inside(guest.address), guest.serial));
        waiting.min().map(|(_, serial)| serial)
    }

    /// Who makes room for another one.
    fn idlest(&self, now: Instant) -> Option<u64> {
        let inside = self.guests.iter().filter_map(|guest| {
            let inside = guest.inside.as_ref()?;
            let rest = if inside.known { RESTED } else { YOUNG };
            let idle = inside.busy == 0 && now.duration_since(inside.since) >= rest;
            idle.then_some((inside.known, inside.since, guest.serial))
        });
        inside.min().map(|(_, _, serial)| serial)
    }

    /// One too many waits: the latest of the address that waits most goes.
    fn shed(&mut self) {
        if self.waiting().count() <= WAITING {
            return;
        }
        let many = |address: IpAddr| {
            let same = self.waiting().filter(move |guest| guest.address == address);
            same.count()
        };
        let most = self
            .waiting()
            .map(|guest| (many(guest.address), guest.serial));
        if let Some((_, serial)) = most.max() {
            self.remove(serial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn address(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
    }

    fn clients(free: usize) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(free))
    }

    #[tokio::test]
    async fn all_but_one_take_places_of_clients_and_give_them_back() {
        let lender = clients(7);
        let places = Places::new(8, Arc::clone(&lender));
        let own = places.enter(address(1)).await.unwrap();
        assert_eq!(lender.available_permits(), 7);
        let lent = places.enter(address(2)).await.unwrap();
        let _more = places.enter(address(3)).await.unwrap();
        assert_eq!(lender.available_permits(), 1);
        let waiting = places.arrive(address(4)).unwrap();
        assert_eq!(look(&places, &waiting, Duration::ZERO), Some(false));
        drop(own);
        assert_eq!(look(&places, &waiting, Duration::ZERO), Some(true));
        assert_eq!(
            lender.available_permits(),
            1,
            "it has the one that is always there"
        );
        drop(lent);
        assert_eq!(lender.available_permits(), 4);
    }

    fn look(places: &Places, seat: &Seat, after: Duration) -> Option<bool> {
        places.lock().look(seat.serial, Instant::now() + after)
    }

    #[tokio::test]
    async fn strangers_make_room_and_who_is_being_answered_stays() {
        let places = Places::new(2, clients(9));
        let stranger = places.enter(address(1)).await.unwrap();
        let working = Arc::new(places.enter(address(2)).await.unwrap());
        working.known();
        let busy = working.busy();
        let newcomer = Arc::new(places.arrive(address(3)).unwrap());
        assert_eq!(look(&places, &newcomer, YOUNG / 2), Some(false));
        assert_eq!(look(&places, &newcomer, YOUNG), Some(true));
        stranger.put_out().await;
        assert_eq!(stranger.idle(), None);
        newcomer.known();
        let _answering = newcomer.busy();
        let next = places.arrive(address(4)).unwrap();
        assert_eq!(
            look(&places, &next, RESTED * 10),
            Some(false),
            "both are busy"
        );
        drop(busy);
        assert_eq!(look(&places, &next, YOUNG), Some(false), "it is known");
        assert_eq!(look(&places, &next, RESTED), Some(true));
        working.put_out().await;
    }

    #[tokio::test]
    async fn a_place_that_is_left_is_taken_at_once_and_in_turn() {
        let places = Places::new(1, clients(9));
        let first = places.enter(address(1)).await.unwrap();
        let second = tokio::spawn({
            let places = places.clone();
            async move { places.enter(address(2)).await }
        });
        tokio::task::yield_now().await;
        let third = places.arrive(address(3)).unwrap();
        drop(first);
        assert_eq!(look(&places, &third, Duration::ZERO), Some(false));
        assert!(second.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn who_sends_many_loses_his_own_turns() {
        let places = Places::new(1, clients(9));
        let inside = Arc::new(places.enter(address(9)).await.unwrap());
        let _busy = inside.busy();
        let many: Vec<_> = (0..20).map(|_| places.arrive(address(1))).collect();
        assert_eq!(many.iter().flatten().count(), WAITING);
        let other = places.arrive(address(2)).unwrap();
        let table = places.lock();
        assert!(table.position(other.serial).is_some());
        assert_eq!(table.waiting().count(), WAITING);
        drop(table);
    }
}
