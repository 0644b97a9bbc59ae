//! Whatever comes and goes, the store stays within its bounds.

use super::*;
use proptest::prelude::*;

const FREE: u64 = 1_000_000;

fn bounds(bytes: u64, count: usize) -> Bounds {
    Bounds {
        bytes,
        largest: bytes,
        count,
        age_ms: 1000,
        free_space: 100,
    }
}

fn hash(number: u8) -> Hash {
    Hash::new([number; 32])
}

fn shelf(sizes: &[u64]) -> Shelf {
    let mut shelf = Shelf::new(bounds(100, 10));
    for (number, &size) in sizes.iter().enumerate() {
        shelf.insert(hash(number as u8), size, number as u64 * 100);
    }
    shelf
}

#[test]
fn what_was_used_longest_ago_goes_first_and_what_is_read_stays() {
    let mut shelf = shelf(&[40, 30, 30]);
    assert_eq!(shelf.touch(&hash(0)), Some(40));
    shelf.reads(&hash(1), true);
    shelf.begin(Some(50), 0).unwrap();
    let victims = shelf.grant(50, 50, FREE).unwrap();
    assert_eq!(
        victims,
        [Victim::Package(hash(2)), Victim::Package(hash(0))]
    );
    shelf.end(50, 0);
    assert_eq!(
        shelf.begin(Some(71), 0),
        Err(StoreError::Full),
        "one of 30 is being read"
    );
    shelf.reads(&hash(1), false);
    shelf.begin(Some(71), 0).unwrap();
}

#[test]
fn what_cannot_find_room_drives_nothing_out() {
    let mut shelf = shelf(&[40, 30, 30]);
    assert!(matches!(
        shelf.begin(Some(101), 0),
        Err(StoreError::TooLarge { .. })
    ));
    shelf.begin(Some(60), 0).unwrap();
    assert_eq!(
        shelf.begin(Some(41), 0),
        Err(StoreError::Full),
        "the other one announced 60"
    );
    assert_eq!(
        shelf.grant(60, 60, 0),
        Err(StoreError::LowSpace { floor: 100 }),
        "all of it would not do"
    );
    assert_eq!(shelf.grant(10, 10, 105).unwrap().len(), 1);
}

#[test]
fn parts_that_rest_go_before_any_package() {
    let mut shelf = shelf(&[40, 30]);
    assert_eq!(shelf.take_part(&hash(9)), Ok(None));
    assert_eq!(shelf.take_part(&hash(9)), Err(StoreError::Busy(hash(9))));
    assert!(shelf.rest_part(&hash(9), 20, 5).is_empty());
    shelf.begin(None, 0).unwrap();
    assert_eq!(shelf.grant(30, 0, FREE).unwrap(), [Victim::Part(hash(9))]);
    assert_eq!(shelf.stale_parts(10, 4), [Victim::Part(hash(9))]);
    assert_eq!(shelf.take_part(&hash(9)), Ok(Some(20)));
    assert!(shelf.stale_parts(10, 4).is_empty());
    for number in 10..10 + PARTS as u8 {
        assert!(shelf.rest_part(&hash(number), 1, 0).is_empty());
    }
    let victims = shelf.rest_part(&hash(99), 1, 0);
    assert_eq!(victims, [Victim::Part(hash(10))]);
}

#[test]
fn count_and_age_are_bounds_too() {
    let mut shelf = shelf(&[1; 5]);
    shelf.bounds.count = 5;
    assert_eq!(shelf.place().unwrap(), [Victim::Package(hash(0))]);
    assert_eq!(
        shelf.outdated(1250),
        [0, 1, 2].map(|number| Victim::Package(hash(number)))
    );
    shelf.bounds.count = 3;
    assert_eq!(
        shelf.excess(),
        [0, 1].map(|number| Victim::Package(hash(number)))
    );
    for number in 0..5 {
        shelf.reads(&hash(number), true);
    }
    assert_eq!(shelf.place(), Err(StoreError::Full));
}

proptest! {
    /// Whatever comes and goes, the sum stays within the bound, and at rest nothing is granted.
    #[test]
    fn the_sum_never_exceeds_the_bound(steps in proptest::collection::vec((0u8..5, 0u8..12, 0u64..60), 0..120)) {
        let mut shelf = Shelf::new(bounds(100, 4));
        let mut under_way: Vec<(u8, u64, u64)> = Vec::new();
        for (act, number, size) in steps {
            let name = hash(number);
            match act {
                0 => {
                    if shelf.begin(Some(size), 0).is_ok() {
                        under_way.push((number, 0, size));
                    }
                }
                1 => if let Some((_, granted, announced)) = under_way.last_mut() {
                    let more = size.min(*announced);
                    if let Ok(victims) = shelf.grant(more, more, FREE) {
                        go(&mut shelf, &victims);
                        *granted += more;
                        *announced -= more;
                    }
                }
                2 => if let Some((number, granted, announced)) = under_way.pop() {
                    shelf.end(granted, announced);
                    if let Ok(victims) = shelf.place() {
                        go(&mut shelf, &victims);
                        shelf.insert(hash(number), granted, 0);
                    }
                }
                3 => shelf.reads(&name, size % 2 == 0),
                _ => drop(shelf.touch(&name)),
            }
            prop_assert!(shelf.bytes() + shelf.part_bytes() + shelf.granted <= 100);
            prop_assert!(shelf.count() <= 4);
            prop_assert!(shelf.coming_in() == under_way.len());
        }
        for (_, granted, announced) in under_way {
            shelf.end(granted, announced);
        }
        prop_assert_eq!((shelf.granted, shelf.announced, shelf.coming_in()), (0, 0, 0));
    }
}

fn go(shelf: &mut Shelf, victims: &[Victim]) {
    for victim in victims {
        match victim {
            Victim::Package(hash) => drop(shelf.remove(hash)),
            Victim::Part(hash) => shelf.drop_part(hash),
        }
    }
}
