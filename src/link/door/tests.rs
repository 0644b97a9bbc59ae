//! The rules of the door, without sockets, and how somebody is seen off, with one.

use super::*;
use crate::budget::DOOR_EACH;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

const PATIENCE: Duration = Duration::from_secs(20);

fn address(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

fn table(places: usize, waiting: usize) -> Table {
    Table {
        places,
        waiting,
        serial: 0,
        guests: Vec::new(),
    }
}

impl Table {
    /// One more of that address; its serial, unless it was sent away.
    fn comes(&mut self, number: u8, now: Instant) -> Option<u64> {
        self.arrive(address(number), now).map(|(serial, _)| serial)
    }

    fn is_inside(&self, serial: u64) -> bool {
        self.position(serial)
            .is_some_and(|position| self.guests[position].inside.is_some())
    }

    fn inside_of(&self, number: u8) -> usize {
        self.inside()
            .filter(|guest| guest.origin == address(number))
            .count()
    }
}

#[tokio::test]
async fn one_address_never_keeps_another_out() {
    let (mut table, now) = (table(16, 16), Instant::now());
    for _ in 0..200 {
        table.comes(66, now);
    }
    assert_eq!(table.inside_of(66), 8, "half of the places");
    assert_eq!(table.guests.len(), 8 + 16, "the table is bounded");
    let friend = table.comes(1, now).unwrap();
    assert!(table.is_inside(friend), "at once");
    for _ in 0..200 {
        table.comes(66, now);
    }
    assert!(table.is_inside(friend), "and it stays");
}

#[tokio::test]
async fn two_addresses_with_all_places_make_room_for_a_third() {
    let (mut table, now) = (table(16, 16), Instant::now());
    for _ in 0..100 {
        table.comes(66, now);
        table.comes(67, now);
    }
    assert_eq!((table.inside_of(66), table.inside_of(67)), (8, 8));
    let friends: Vec<u64> = (0..4).map(|_| table.comes(1, now).unwrap()).collect();
    assert!(friends.iter().all(|&friend| table.is_inside(friend)));
    assert_eq!((table.inside_of(66), table.inside_of(67)), (6, 6));
}

#[tokio::test]
async fn of_equals_the_old_one_goes_and_not_before() {
    let (mut table, now) = (table(4, 4), Instant::now());
    let first: Vec<u64> = (1..=4).map(|n| table.comes(n, now).unwrap()).collect();
    let later = table.comes(5, now).unwrap();
    assert_eq!(table.look(later, now + YOUNG / 2), Some(false), "all young");
    assert_eq!(table.look(later, now + YOUNG), Some(true));
    assert_eq!(table.look(first[0], now + YOUNG), None, "the oldest went");
    assert!(first[1..].iter().all(|&guest| table.is_inside(guest)));
}

#[tokio::test]
async fn a_site_behind_one_address_is_let_in_one_after_the_other() {
    let (mut table, now) = (table(16, 32), Instant::now());
    let site: Vec<u64> = (0..32).map(|_| table.comes(1, now).unwrap()).collect();
    assert_eq!(table.inside_of(1), 8);
    for (done, &guest) in site.iter().enumerate() {
        assert!(table.is_inside(guest), "number {done} has its turn");
        table.leave(guest, now);
    }
    assert!(table.guests.is_empty());
}

#[tokio::test]
async fn the_waiting_room_is_shared_as_fairly() {
    let (mut table, now) = (table(2, 4), Instant::now());
    let [one, two] = [1, 2].map(|number| table.comes(number, now).unwrap());
    let waiting: Vec<u64> = (0..4).map(|_| table.comes(66, now).unwrap()).collect();
    assert_eq!(table.comes(66, now), None, "no more of the same");
    let friend = table.comes(3, now).unwrap();
    assert_eq!(table.position(waiting[3]), None, "the latest of the many");
    assert_eq!(table.look(waiting[0], now), Some(false));
    for inside in [one, two] {
        table.leave(inside, now);
    }
    assert!(table.is_inside(waiting[0]), "first come, first served");
    assert!(table.is_inside(friend), "the many have their share");
}

#[test]
fn a_network_counts_as_one_address() {
    let origin = |text: &str| super::origin(text.parse().unwrap());
    assert_eq!(origin("2001:db8:1:2::1"), origin("2001:db8:1:2:ffff::7"));
    assert_ne!(origin("2001:db8:1:2::1"), origin("2001:db8:1:3::1"));
    assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
    assert_eq!(origin("::ffff:192.0.2.1"), origin("192.0.2.1"));
}

#[tokio::test]
async fn whoever_leaves_makes_room() {
    let door = Door::new(2, 1);
    let inside = door.arrive(address(1)).unwrap().place(PATIENCE).await;
    let waits = door.arrive(address(1)).unwrap();
    assert!(door.arrive(address(1)).is_none(), "the room is full");
    assert_eq!(door.free(), 1);
    drop(inside.unwrap());
    let place = waits.place(PATIENCE).await.unwrap();
    assert_eq!(door.free(), 1);
    drop(place);
    assert_eq!(door.free(), 2);
}

#[tokio::test]
async fn one_who_must_go_is_told() {
    let door = Door::new(2, 4);
    let lasts = door.arrive(address(1)).unwrap().place(PATIENCE).await;
    let follows = door.arrive(address(1)).unwrap();
    // Nothing but its age speaks against the first.
    let (lasts, mut placed) = (lasts.unwrap(), false);
    let place = async {
        let _place = follows.place(PATIENCE).await.unwrap();
        placed = true;
    };
    tokio::join!(place, lasts.put_out());
    assert!(placed);
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let door = Door::new(2, 4);
    let _lasts = door.arrive(address(1)).unwrap().place(PATIENCE).await;
    let waits = door.arrive(address(1)).unwrap();
    let failure = waits.place(YOUNG / 4).await.unwrap_err();
    assert_eq!(failure, Failure::TimedOut);
    assert_eq!(door.lock().guests.len(), 1);
}

#[tokio::test]
async fn somebody_seen_off_reads_what_we_said_last() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stranger = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (mut ours, _) = listener.accept().await.unwrap();
    stranger.write_all(&[7; 10_000]).await.unwrap();
    ours.readable().await.unwrap();
    ours.write_all(b"because").await.unwrap();
    let door = Door::default();
    door.see_off(ours);
    stranger.write_all(&[7; 1000]).await.unwrap();
    let mut heard = Vec::new();
    let end = timeout(PATIENCE, stranger.read_to_end(&mut heard)).await;
    end.unwrap().expect("no reset");
    assert_eq!(heard, b"because");
    let freed = async {
        while door.lingering.available_permits() < DOOR_LINGERING as usize {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(PATIENCE, freed).await.is_ok(), "it does not last");
}

#[test]
fn one_who_waits_takes_what_the_budget_says() {
    let guest = Door::default().arrive(address(1)).unwrap();
    // What a listener adds to this is its connection's own: socket, address, handles.
    let task = size_of_val(&guest.place(PATIENCE)) + size_of::<Entry>() + size_of::<Notify>();
    assert!(task < DOOR_EACH as usize / 2, "{task} bytes");
}
