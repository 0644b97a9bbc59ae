//! Errands from their beginning to their end.

use super::*;

fn errand(key: u64, size: u64, from: Option<&str>, to: &[&str]) -> Errand {
    let mut errand = Errand::new(
        key,
        &Hash::of(&key.to_be_bytes()),
        vec![1; 900],
        GroupSet::ALL,
        0,
    );
    errand.size = size;
    errand.from = from.map(str::to_owned);
    errand.told = from.is_none();
    errand.fetch = from.is_some();
    let target = |peer: &&str| Target::new((*peer).to_owned(), None, Mark::default());
    errand.targets = to.iter().map(target).collect();
    errand
}

#[test]
fn the_smallest_goes_first_and_nobody_before_the_bytes_are_here() {
    let mut table = Table::default();
    assert_eq!(table.begin(errand(1, 50, None, &["b", "c"])), Begun::New);
    assert_eq!(table.begin(errand(2, 5, None, &["b"])), Begun::New);
    assert_eq!(table.step((0, 0), |_| false, |_| Path::Box), None);
    let hand = |key, peer: &str| Some(Step::Hand(key, peer.to_owned(), Path::Box));
    assert_eq!(table.step((0, 0), |_| true, |_| Path::Box), hand(2, "b"));
    assert_eq!(table.step((0, 0), |_| true, |_| Path::Box), hand(1, "b"));
    assert_eq!(
        table.step((0, 0), |_| true, |_| Path::Box),
        None,
        "two at once"
    );
    table.settle(2, "b").unwrap();
    assert_eq!(table.all().len(), 1);
    assert_eq!(table.step((0, 0), |_| true, |_| Path::Away), None);
    assert_eq!(table.step((0, 0), |_| true, |_| Path::Box), hand(1, "c"));
}

#[test]
fn what_came_is_fetched_told_and_handed_on() {
    let mut table = Table::default();
    table.begin(errand(1, 50, Some("a"), &[]));
    assert_eq!(table.step((0, 0), |_| false, |_| Path::Away), None);
    assert_eq!(
        table.step((0, 0), |_| false, |_| Path::Box),
        Some(Step::Fetch(1))
    );
    table.begin(errand(2, 5, Some("a"), &[]));
    assert_eq!(
        table.step((0, 0), |_| false, |_| Path::Box),
        None,
        "one after the other"
    );
    table.put_off(1, true, 0);
    assert_eq!(
        table.step((0, 0), |_| false, |_| Path::Box),
        Some(Step::Fetch(2))
    );
    table.put_off(2, false, 0);
    let here = |hash: &Hash| *hash == Hash::of(&1u64.to_be_bytes());
    assert_eq!(
        table.step((9_000, 0), here, |_| Path::Away),
        Some(Step::Tell(1))
    );
    // The router names who may have it while it is told.
    let mut more = errand(1, 50, Some("a"), &["c"]);
    more.told = true;
    assert_eq!(table.begin(more), Begun::Joined);
    table.told(1, 9_000);
    assert!(table.was_told(1, 10, 9_005) && !table.was_told(1, 10, 9_050));
    let next = table.step((9_000, 0), here, |_| Path::Resource);
    assert_eq!(next, Some(Step::Hand(1, "c".into(), Path::Resource)));
}

#[test]
fn everything_ends_and_nothing_grows() {
    let mut table = Table::default();
    table.begin(errand(1, 50, None, &["b"]));
    assert_eq!(table.step((0, UPLOAD_MS), |_| false, |_| Path::Box), None);
    let missing = table.step((0, UPLOAD_MS + 1), |_| false, |_| Path::Box);
    assert_eq!(missing, Some(Step::Missing(1)));
    let gone = table.step((0, AGE_MS + 1), |_| true, |_| Path::Away);
    assert_eq!(gone, Some(Step::GiveUp(1, "b".into(), Path::Away)));
    table.settle(1, "b");
    let none = table.all().len();
    assert_eq!(none, 0);
    let begun: Vec<Begun> = (0..10_000)
        .map(|key| table.begin(errand(key, 1, None, &["b"])))
        .collect();
    assert_eq!(
        begun.iter().filter(|begun| **begun == Begun::New).count(),
        MOST_ERRANDS
    );
    let bytes: usize = table.all().iter().map(Errand::bytes).sum();
    assert!(bytes <= MOST_BYTES);
    for key in 0..1000 {
        table.remember(key, 0);
    }
    assert_eq!(table.told.len(), REMEMBERED);
}

#[test]
fn who_fails_too_often_is_given_up() {
    let mut table = Table::default();
    table.begin(errand(1, 50, None, &["b"]));
    let mut now = 0;
    for tried in 0..=TRIES {
        let step = table.step((now, 0), |_| true, |_| Path::Upload);
        assert!(matches!(step, Some(Step::Hand(..))), "{step:?}");
        table.put_off_target(1, "b", true, now);
        let next = table.step((now, 0), |_| true, |_| Path::Upload);
        if tried < TRIES {
            assert_eq!(next, None, "there is a pause between two tries");
        } else {
            assert!(matches!(next, Some(Step::GiveUp(..))), "{next:?}");
        }
        now += PAUSES[1];
    }
}
