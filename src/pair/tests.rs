use super::*;
use proptest::prelude::*;

pub(super) fn bytes(text: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn introduction(name: &str) -> Introduction {
    Introduction {
        name: name.to_owned(),
        federate_id: "0123456789abcdef0123456789abcdef".into(),
        fingerprint: [7; 32],
        authorities: vec![vec![0x30; 500]],
        port: Some(9001),
        hosts: vec!["alpha.example.org".into()],
        is_reachable: false,
    }
}

const CERTIFICATE: [u8; 32] = [9; 32];
const MIDDLE: [u8; 32] = [8; 32];

fn randomness(seed: u8) -> Randomness {
    Randomness {
        own: [seed; 64],
        stand_in: [seed; 32],
        number: [seed; 16],
    }
}

/// A holder with a code that was made at 0.
fn holding() -> (Holder, Code) {
    let mut holder = Holder::default();
    let standing = holder.make([1, 2, 3, 4, 5], Terms::default(), 0);
    assert_eq!((standing.seconds_left, standing.tries_left), (600, 5));
    (holder, standing.code)
}

/// The first step of somebody, seen from both sides.
fn begin(holder: &mut Holder, code: &Code, seed: u8, now_ms: u64) -> (Confirming, [u8; 16]) {
    begin_through(holder, code, seed, now_ms, CERTIFICATE)
}

fn begin_through(
    holder: &mut Holder,
    code: &Code,
    seed: u8,
    now_ms: u64,
    seen: [u8; 32],
) -> (Confirming, [u8; 16]) {
    let joiner = Joiner::new(code, &[seed ^ 0xFF; 64]);
    let opening = holder.open(randomness(seed), now_ms);
    let reckoned = opening.reckon(joiner.share(), &CERTIFICATE).unwrap();
    let begun = holder.note(reckoned, seed.into(), now_ms);
    (joiner.hear(&begun.share, &seen).unwrap(), begun.number)
}

/// The second step.
fn finish(
    holder: &mut Holder,
    (confirming, number): &(Confirming, [u8; 16]),
    now_ms: u64,
) -> Result<Proven, NotPaired> {
    let (confirmation, sealed) = confirming.step(&introduction("bravo")).unwrap();
    holder.finish(number, &confirmation, &sealed, now_ms)
}

fn refused(holder: &mut Holder, step: &(Confirming, [u8; 16]), now_ms: u64) -> Option<u8> {
    match finish(holder, step, now_ms) {
        Err(NotPaired::Refused(left)) => left,
        Err(NotPaired::Introduction(fault)) => panic!("{fault}"),
        Ok(_) => panic!("paired"),
    }
}

fn other_code() -> Code {
    Code::new([9, 9, 9, 9, 9])
}

#[test]
fn who_knows_the_code_is_paired_once() {
    let (mut holder, code) = holding();
    let step = begin(&mut holder, &code, 1, 1000);
    let second = begin(&mut holder, &code, 2, 1000);
    let proven = finish(&mut holder, &step, 2000).unwrap_or_else(|_| panic!("not paired"));
    assert_eq!(proven.theirs, introduction("bravo"));
    let (confirmation, sealed) = proven.answer(&introduction("alpha")).unwrap();
    let theirs = step
        .0
        .end(&confirmation, &sealed)
        .expect("it knows the code");
    assert_eq!(theirs, Ok(introduction("alpha")));
    // One use: neither an exchange that was under way nor a new one comes to anything.
    assert_eq!(holder.standing(2000), None);
    assert_eq!(refused(&mut holder, &second, 2000), None);
    let third = begin(&mut holder, &code, 3, 3000);
    assert_eq!(refused(&mut holder, &third, 3000), None);
}

#[test]
fn a_wrong_code_costs_a_try_and_five_cost_the_code() {
    let (mut holder, code) = holding();
    for left in (0..TRIES).rev() {
        let step = begin(&mut holder, &other_code(), 10 + left, 1000);
        // One that gives up after the first step has learned nothing.
        let _given_up = begin(&mut holder, &other_code(), 100 + left, 1000);
        assert_eq!(refused(&mut holder, &step, 1000), Some(left));
        assert_eq!(refused(&mut holder, &step, 1000), None, "it had its step");
        let standing = holder.standing(1000).map(|standing| standing.tries_left);
        assert_eq!(standing, (left > 0).then_some(left));
    }
    let step = begin(&mut holder, &code, 50, 1000);
    assert_eq!(refused(&mut holder, &step, 1000), None, "the code is gone");
}

#[test]
fn a_code_counts_for_ten_minutes() {
    let (mut holder, code) = holding();
    let early = begin(&mut holder, &code, 1, LIFE_MS - 1);
    assert_eq!(holder.standing(LIFE_MS - 1).unwrap().seconds_left, 1);
    assert_eq!(refused(&mut holder, &early, LIFE_MS), None);
    let late = begin(&mut holder, &code, 2, LIFE_MS);
    assert_eq!(refused(&mut holder, &late, LIFE_MS), None);
    assert_eq!(holder.standing(LIFE_MS), None);
    // And what is begun has a minute.
    let (mut holder, code) = holding();
    let slow = begin(&mut holder, &code, 3, 0);
    assert_eq!(refused(&mut holder, &slow, 60_000), None);
    let brisk = begin(&mut holder, &code, 3, 60_000);
    assert!(finish(&mut holder, &brisk, 119_999).is_ok());
}

#[test]
fn a_new_code_makes_the_one_before_worthless_and_clearing_takes_it_back() {
    let (mut holder, old) = holding();
    let under_way = begin(&mut holder, &old, 1, 0);
    let new = holder.make([5, 4, 3, 2, 1], Terms::default(), 0).code;
    assert_eq!(refused(&mut holder, &under_way, 0), None);
    assert_eq!(holder.standing(0).unwrap().tries_left, TRIES);
    let step = begin(&mut holder, &old, 2, 0);
    assert_eq!(refused(&mut holder, &step, 0), Some(4));
    let step = begin(&mut holder, &new, 3, 0);
    assert!(holder.clear(0) && !holder.clear(0));
    assert_eq!(refused(&mut holder, &step, 0), None);
}

#[test]
fn who_ends_the_tls_in_the_middle_fails_and_costs_a_try() {
    let (mut holder, code) = holding();
    // It passes every word on, and the joiner knows the code.
    let step = begin_through(&mut holder, &code, 1, 0, MIDDLE);
    assert_eq!(refused(&mut holder, &step, 0), Some(4));
    // It poses as the holder: without the code its answer proves nothing.
    let joiner = Joiner::new(&code, &[1; 64]);
    let mut posing = Holder::default();
    let opening = posing.open(randomness(2), 0);
    let reckoned = opening.reckon(joiner.share(), &MIDDLE).unwrap();
    let begun = posing.note(reckoned, 1, 0);
    let confirming = joiner.hear(&begun.share, &MIDDLE).unwrap();
    assert!(confirming.end(&[0; CONFIRMATION], &[]).is_none());
}

#[test]
fn without_a_code_everything_looks_the_same() {
    let (mut with, _) = holding();
    let mut without = Holder::default();
    for holder in [&mut with, &mut without] {
        let step = begin(holder, &other_code(), 1, 0);
        assert!(matches!(
            finish(holder, &step, 0),
            Err(NotPaired::Refused(_))
        ));
    }
    // The shares of two exchanges have nothing in common, with a code or without.
    let share = |holder: &Holder, seed| {
        let joiner = Joiner::new(&other_code(), &[1; 64]);
        let opening = holder.open(randomness(seed), 0);
        let reckoned = opening.reckon(joiner.share(), &CERTIFICATE).unwrap();
        Holder::default().note(reckoned, 1, 0).share
    };
    assert_ne!(share(&with, 1), share(&with, 2));
    assert_ne!(share(&without, 1), share(&without, 2));
}

#[test]
fn exchanges_under_way_are_few_and_one_for_each_visitor() {
    let (mut holder, code) = holding();
    let first = begin(&mut holder, &code, 1, 0);
    for visitor in 2..=5 {
        begin(&mut holder, &code, visitor, 0);
    }
    assert_eq!(refused(&mut holder, &first, 0), None, "it made room");
    let again = begin(&mut holder, &code, 5, 0);
    assert!(finish(&mut holder, &again, 0).is_ok());
}

#[test]
fn the_code_is_in_no_debug_text() {
    let (holder, code) = holding();
    let text = format!("{holder:?}{:?}", holder.standing(0));
    assert!(!text.contains(&code.to_string()), "{text}");
    assert!(!text.contains(&code.to_string().replace('-', "")), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_bytes_of_a_visitor_make_the_holder_panic_or_pair(
        share in proptest::collection::vec(any::<u8>(), SHARE),
        confirmation: [u8; CONFIRMATION],
        number: [u8; 16],
        sealed in proptest::collection::vec(any::<u8>(), 0..2100),
        is_point: bool,
    ) {
        let (mut holder, code) = holding();
        let mut theirs = [0; SHARE];
        theirs.copy_from_slice(&share);
        if is_point {
            theirs = *Joiner::new(&code, &[3; 64]).share();
        }
        let opening = holder.open(randomness(1), 0);
        if let Ok(reckoned) = opening.reckon(&theirs, &CERTIFICATE) {
            let begun = holder.note(reckoned, 1, 0);
            prop_assert!(holder.finish(&number, &confirmation, &sealed, 0).is_err());
            prop_assert!(holder.finish(&begun.number, &confirmation, &sealed, 0).is_err());
            prop_assert_eq!(holder.standing(0).map(|code| code.tries_left), Some(4));
        }
        // And of a holder the joiner.
        if let Ok(confirming) = Joiner::new(&code, &[2; 64]).hear(&theirs, &CERTIFICATE) {
            prop_assert!(confirming.end(&confirmation, &sealed).is_none());
        }
    }
}
