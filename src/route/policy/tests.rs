use super::*;
use crate::config::filter::LONGEST_RULE;
use proptest::prelude::*;

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

fn filter(allow: &[&str], block: &[&str]) -> Filter {
    Filter {
        allow_types: texts(allow),
        block_types: texts(block),
        ..Filter::default()
    }
}

fn side(filter: Filter) -> Side {
    Side {
        sieve: Some(Sieve::of(&filter)),
        packages: true,
    }
}

fn judge(side: &Side, kind: &str, callsign: &str) -> Result<(), String> {
    let subject = Subject {
        kind: kind.as_bytes(),
        deletes: b"",
    };
    let callsigns = Callsigns {
        own: callsign.as_bytes(),
        author: b"",
    };
    side.judge(subject, callsigns).map_err(|stop| match stop {
        Stop::Rule(ruling) => side.words(ruling).unwrap(),
        Stop::Packages => "packages".to_owned(),
    })
}

fn passes(side: &Side, kind: &str) -> bool {
    judge(side, kind, "").is_ok()
}

#[test]
fn the_seeds_filters_let_through_what_they_say_and_every_emergency() {
    let seed = side(filter(&["a-f-", "a-n-", "t-x-m-c"], &[]));
    for (kind, expected) in [
        ("a-f-G-U-C", true),
        ("a-f", true),
        ("a-n-A", true),
        ("a-h-G", false),
        ("b-t-f", false),
        ("b-m-p-s-m", false),
        ("b-a-o-tbl", true),
        ("b-a-o-can", true),
        ("b-r-f-h-c", true),
        ("t-x-d-d", true),
    ] {
        assert_eq!(passes(&seed, kind), expected, "{kind}");
    }
    assert_eq!(
        judge(&seed, "a-h-G", "").unwrap_err(),
        "not among allow_types = [\"a-f-\", \"a-n-\", \"t-x-m-c\"]"
    );
    let planned = side(filter(&["a-f-G", "b-m-p", "t-x"], &["a-h"]));
    assert!(passes(&planned, "a-f-G-U-C") && passes(&planned, "b-m-p-w"));
    assert!(!passes(&planned, "a-f-A") && !passes(&planned, "a-h-G"));
    assert_eq!(
        judge(&planned, "a-h-G", "").unwrap_err(),
        "\"a-h\" in block_types"
    );
}

#[test]
fn block_wins_over_allow_and_a_type_ends_at_a_hyphen() {
    let both = side(filter(&["a-f"], &["a-f-G-U-C-I"]));
    assert!(passes(&both, "a-f-G-U-C") && !passes(&both, "a-f-G-U-C-I"));
    assert!(!passes(&both, "a-f-G-U-C-I-x") && passes(&both, "a-f-G-U-C-IX"));
    let open = side(filter(&[], &["a-h"]));
    assert!(passes(&open, "a-hostile") && passes(&open, "u-d-f") && !passes(&open, "a-h"));
}

#[test]
fn only_a_name_stops_an_emergency() {
    for (block, kind, expected) in [
        ("b-", "b-a-o-tbl", true),
        ("b-", "b-t-f", false),
        ("*", "b-r-f-h-c", true),
        ("b-r", "b-r-f-h-c", true),
        ("b-a", "b-a-o-tbl", false),
        ("b-a-o-pan", "b-a-o-tbl", true),
        ("b-a-o-pan", "b-a-o-pan", false),
        ("b-r-f-h-c", "b-r-f-h-c", false),
    ] {
        let side = side(filter(&[], &[block]));
        assert_eq!(passes(&side, kind), expected, "{block} on {kind}");
    }
    let quiet = side(Filter {
        block_callsigns: texts(&["*"]),
        ..filter(&["t-x-m-c"], &["b-"])
    });
    assert!(judge(&quiet, "b-a-o-tbl", "ALPHA").is_ok());
    assert!(!quiet.lets_something_through());
}

#[test]
fn presets_stand_for_their_types_beside_those_that_are_listed() {
    let preset = |text: &str| Preset::parse(text).unwrap();
    let default = side(Filter {
        preset: Some(Preset::default()),
        ..Filter::default()
    });
    for (kind, expected) in [
        ("a-h-G", true),
        ("b-t-f", true),
        ("b-t-f-d", true),
        ("b-a-o-tbl", true),
        ("b-m-p-s-m", false),
        ("u-d-f", false),
        ("b-f-t-r", false),
    ] {
        assert_eq!(passes(&default, kind), expected, "{kind}");
    }
    assert_eq!(
        judge(&default, "u-d-f", "").unwrap_err(),
        "not among preset = \"tracks+chat+emergencies\""
    );
    let more = side(Filter {
        preset: Some(preset("tracks")),
        ..filter(&["u-d"], &["a-h"])
    });
    assert!(passes(&more, "u-d-f") && passes(&more, "a-f-G") && !passes(&more, "a-h-G"));
    assert_eq!(
        judge(&more, "b-t-f", "").unwrap_err(),
        "not among preset = \"tracks\" and allow_types = [\"u-d\"]"
    );
    let open = side(Filter {
        preset: Some(preset("everything")),
        ..filter(&["a"], &["a-h"])
    });
    assert!(passes(&open, "u-d-f") && !passes(&open, "a-h-G"));
}

#[test]
fn callsigns_are_the_events_own_and_its_authors() {
    let alphas = side(Filter {
        allow_callsigns: texts(&["ALPHA*"]),
        block_callsigns: texts(&["*-TEST"]),
        ..Filter::default()
    });
    assert!(alphas.wants_callsigns());
    assert!(judge(&alphas, "a-f-G", "alpha-1").is_ok());
    assert_eq!(
        judge(&alphas, "a-f-G", "BRAVO").unwrap_err(),
        "its callsign is not among allow_callsigns = [\"ALPHA*\"]"
    );
    assert_eq!(
        judge(&alphas, "a-f-G", "ALPHA-TEST").unwrap_err(),
        "\"*-TEST\" in block_callsigns"
    );
    let marker = |own: &str, author: &str| {
        let callsigns = Callsigns {
            own: own.as_bytes(),
            author: author.as_bytes(),
        };
        let subject = Subject {
            kind: b"b-m-p-s-m",
            deletes: b"",
        };
        alphas.judge(subject, callsigns).is_ok()
    };
    assert!(marker("R.1.123", "ALPHA-1") && !marker("R.1.123", "") && !marker("", ""));
    assert!(!marker("ALPHA-1", "X-TEST"));
}

#[test]
fn a_delete_goes_where_what_it_deletes_could_go() {
    let delete = |side: &Side, deletes: &str| {
        let subject = Subject {
            kind: class::DELETE,
            deletes: deletes.as_bytes(),
        };
        side.judge(subject, Callsigns::default()).is_ok()
    };
    let friends = side(Filter {
        allow_callsigns: texts(&["ALPHA*"]),
        ..filter(&["a-f"], &[])
    });
    assert!(delete(&friends, "a-f-G-U-C") && delete(&friends, "") && !delete(&friends, "a-h-G"));
    assert!(delete(&friends, "b-a-o-tbl"));
    let none = side(filter(&[], &["t-x-d-d"]));
    assert!(!delete(&none, "a-f-G") && !delete(&none, "") && passes(&none, "a-f-G"));
}

#[test]
fn a_phone_book_goes_with_positions_or_chat() {
    let admits = |filter: Filter, kind: &str, callsign: &str| {
        side(filter).admits_contact(kind.as_bytes(), callsign.as_bytes())
    };
    assert!(admits(filter(&["a-f"], &[]), "a-f-G-U-C", "X"));
    assert!(!admits(filter(&["a-n"], &[]), "a-f-G-U-C", "X"));
    assert!(admits(filter(&["b-t-f"], &[]), "a-f-G-U-C", "X"));
    assert!(admits(filter(&["b-t-f"], &[]), "", "X"));
    let hidden = Filter {
        block_callsigns: texts(&["SPY*"]),
        ..Filter::default()
    };
    assert!(!admits(hidden.clone(), "a-f-G-U-C", "SPY-1") && admits(hidden, "", "X"));
}

#[test]
fn data_packages_have_a_switch_of_their_own() {
    let filters = Filters::default();
    assert_eq!(Policy::of(&filters, true, true), None);
    let policy = Policy::of(&filters, true, false).unwrap();
    assert_eq!(
        judge(&policy.outgoing, "b-f-t-r", ""),
        Err("packages".to_owned())
    );
    assert!(judge(&policy.outgoing, "b-f-t-a", "").is_ok());
    assert!(policy.incoming.is_open() && judge(&policy.incoming, "b-f-t-r", "").is_ok());
}

#[test]
fn a_filter_that_lets_nothing_through_is_known_for_it() {
    for (allow, block, expected) in [
        (&["a-f"][..], &["a"][..], false),
        (&["a-f", "b-t-f"], &["a"], true),
        (&["a-f"], &["a-f-G"], true),
        (&["friendly"], &[], false),
        (&[], &["*"], false),
        (&[], &["a", "b", "c", "r", "t", "u"], false),
        (&[], &["a", "b"], true),
        (&["*"], &["a", "b"], true),
    ] {
        let side = side(filter(allow, block));
        assert_eq!(
            side.lets_something_through(),
            expected,
            "{allow:?} {block:?}"
        );
    }
}

#[test]
fn the_sum_of_memory_knows_what_a_rule_takes() {
    let rule = size_of::<Rule>() + LONGEST_RULE + 16;
    assert!(rule as u64 <= crate::budget::FILTER_RULE, "{rule}");
}

proptest! {
    #[test]
    fn an_emergency_that_nobody_names_passes_any_filter(
        allow in proptest::collection::vec("[abtu](-[a-zA-Z]){0,3}", 0..4),
        block in proptest::collection::vec("(a|t|u|b-[b-qs-z]|b|b-r|b-r-f)(-[h-z]){0,1}", 0..4),
        callsigns in proptest::collection::vec("[A-Z]{0,2}\\*", 0..3),
        kind in "(b-a-o-(tbl|pan|opn|can)|b-a-g|b-r-f-h-c)",
    ) {
        prop_assume!(block.iter().all(|text| !class::is_emergency(text.as_bytes())));
        let side = side(Filter {
            preset: None,
            allow_types: allow,
            block_types: block,
            allow_callsigns: callsigns.clone(),
            block_callsigns: callsigns,
        });
        prop_assert!(judge(&side, &kind, "X").is_ok());
    }

    #[test]
    fn what_stops_an_event_has_words(
        allow in proptest::collection::vec("[abt](-[a-f]){0,2}", 0..4),
        block in proptest::collection::vec("[abt](-[a-f]){0,2}", 0..4),
        kind in "[abt](-[a-f]){0,3}",
        callsign in "[AB]{0,2}",
    ) {
        let side = side(Filter {
            allow_types: allow.clone(),
            block_types: block.clone(),
            allow_callsigns: texts(&["A*"]),
            ..Filter::default()
        });
        let below = |prefix: &String| kind == *prefix || kind.starts_with(&format!("{prefix}-"));
        let expected = class::is_emergency(kind.as_bytes())
            && !block.iter().any(|text| below(text) && class::is_emergency(text.as_bytes()))
            || !class::is_emergency(kind.as_bytes())
                && !block.iter().any(below)
                && (allow.is_empty() || allow.iter().any(below))
                && callsign.starts_with('A');
        prop_assert_eq!(judge(&side, &kind, &callsign).is_ok(), expected);
    }
}
