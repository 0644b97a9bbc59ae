use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};

use super::*;
use crate::pki::Identity;
use crate::pki::testing::{Authority, Leaf, NOW, at, rule};

struct World {
    bravo_ca: Authority,
    bravo: Identity,
    stranger: Identity,
}

fn world() -> World {
    let bravo_ca = Authority::new("bravo CA");
    let bravo = bravo_ca.issue(Leaf::good("bravo"));
    let stranger = Authority::new("other CA").issue(Leaf::good("stranger"));
    World {
        bravo_ca,
        bravo,
        stranger,
    }
}

#[test]
fn a_ca_admits_any_leaf_of_it_and_nobody_else() {
    let World {
        bravo_ca,
        bravo,
        stranger,
    } = world();
    let rule = rule("bravo", Some(&bravo_ca), None);
    assert_eq!(rule.judge(&bravo.chain, at(NOW)), Ok(None));
    assert_eq!(
        rule.judge(&bravo_ca.issue(Leaf::good("b2")).chain, at(NOW)),
        Ok(None)
    );
    assert_eq!(
        rule.judge(&stranger.chain, at(NOW)),
        Err(Refusal::UnknownCa)
    );
    let mut disguised = stranger.chain.clone();
    disguised[1] = bravo_ca.certificate.clone();
    assert_eq!(rule.judge(&disguised, at(NOW)), Err(Refusal::UnknownCa));
}

#[test]
fn a_ca_of_the_same_name_is_another_ca() {
    let World { bravo_ca, .. } = world();
    let forged = Authority::new("bravo CA").issue(Leaf::good("bravo"));
    let rule = rule("bravo", Some(&bravo_ca), None);
    assert_eq!(rule.judge(&forged.chain, at(NOW)), Err(Refusal::UnknownCa));
}

#[test]
fn a_fingerprint_admits_one_leaf_under_its_issuer() {
    let World {
        bravo_ca,
        bravo,
        stranger,
    } = world();
    let rule = rule("bravo", None, Some(&bravo));
    assert_eq!(rule.judge(&bravo.chain, at(NOW)), Ok(None));
    assert_eq!(
        rule.judge(&bravo_ca.issue(Leaf::good("bravo")).chain, at(NOW)),
        Err(Refusal::Unregistered)
    );
    let broken = [bravo.chain[0].clone(), stranger.chain[1].clone()];
    assert_eq!(rule.judge(&broken, at(NOW)), Err(Refusal::BrokenChain));
}

#[test]
fn ca_and_fingerprint_must_both_hold() {
    let World {
        bravo_ca,
        bravo,
        stranger,
    } = world();
    let both = rule("bravo", Some(&bravo_ca), Some(&bravo));
    assert_eq!(both.judge(&bravo.chain, at(NOW)), Ok(None));
    let sibling = bravo_ca.issue(Leaf::good("bravo"));
    assert_eq!(
        both.judge(&sibling.chain, at(NOW)),
        Err(Refusal::Unregistered)
    );
    let crossed = rule("bravo", Some(&bravo_ca), Some(&stranger));
    assert_eq!(
        crossed.judge(&stranger.chain, at(NOW)),
        Err(Refusal::UnknownCa)
    );
}

#[test]
fn a_rule_that_says_nothing_admits_nobody() {
    let World { bravo, .. } = world();
    assert_eq!(
        rule("x", None, None).judge(&bravo.chain, at(NOW)),
        Err(Refusal::Unregistered)
    );
}

#[test]
fn every_flaw_has_its_own_refusal() {
    let World {
        bravo_ca, bravo, ..
    } = world();
    let nameless = Leaf {
        name: None,
        ..Leaf::good("")
    };
    let cases = [
        (bravo.chain[..1].to_vec(), Refusal::OneCertificate),
        (Vec::new(), Refusal::NoCertificate),
        (
            vec![CertificateDer::from(vec![1, 2, 3]), bravo.chain[1].clone()],
            Refusal::BadCertificate,
        ),
        (bravo_ca.issue(nameless).chain, Refusal::NoCommonName),
        (
            bravo_ca.issue(Leaf::good("b").usages(&[ServerAuth])).chain,
            Refusal::NoClientAuth,
        ),
        (
            bravo_ca
                .issue(Leaf::good("b").dates(NOW - 9, NOW - 5))
                .chain,
            Refusal::Expired,
        ),
        (
            bravo_ca
                .issue(Leaf::good("b").dates(NOW + 5, NOW + 9))
                .chain,
            Refusal::NotYetValid,
        ),
    ];
    for (chain, refusal) in cases {
        let by_ca = rule("bravo", Some(&bravo_ca), None);
        assert_eq!(by_ca.judge(&chain, at(NOW)), Err(refusal));
        assert_eq!(
            Roster::new(vec![by_ca]).identify(&chain, at(NOW)),
            Err(refusal)
        );
        if let Some(leaf) = chain.first() {
            let mut by_leaf = rule("bravo", None, None);
            by_leaf.fingerprints = vec![Fingerprint::of(leaf)];
            assert_eq!(by_leaf.judge(&chain, at(NOW)), Err(refusal));
        }
    }
    for usages in [&[ClientAuth][..], &[]] {
        let chain = bravo_ca.issue(Leaf::good("b").usages(usages)).chain;
        assert_eq!(
            rule("bravo", Some(&bravo_ca), None).judge(&chain, at(NOW)),
            Ok(None)
        );
    }
}

#[test]
fn a_stranger_is_a_stranger_before_anything_else() {
    let World { bravo_ca, .. } = world();
    let other = Authority::new("other CA");
    let roster = Roster::new(vec![rule("bravo", Some(&bravo_ca), None)]);
    for leaf in [
        Leaf::good("x").dates(NOW - 9, NOW - 5),
        Leaf::good("x").dates(NOW + 5, NOW + 9),
        Leaf::good("x").usages(&[ServerAuth]),
    ] {
        assert_eq!(
            roster.identify(&other.issue(leaf).chain, at(NOW)),
            Err(Refusal::UnknownCa)
        );
    }
}

#[test]
fn the_roster_tells_who_it_is() {
    let World {
        bravo_ca,
        bravo,
        stranger,
    } = world();
    let charlie = bravo_ca.issue(Leaf::good("charlie"));
    let roster = Roster::new(vec![
        rule("anyone of bravo", Some(&bravo_ca), None),
        rule("charlie", Some(&bravo_ca), Some(&charlie)),
    ]);
    assert_eq!(
        roster.identify(&charlie.chain, at(NOW)).as_deref(),
        Ok("charlie")
    );
    assert_eq!(
        roster.identify(&bravo.chain, at(NOW)).as_deref(),
        Ok("anyone of bravo")
    );
    assert_eq!(
        roster.identify(&stranger.chain, at(NOW)),
        Err(Refusal::UnknownCa)
    );
}

#[test]
fn unregistered_and_unknown_ca_are_told_apart() {
    let World {
        bravo_ca,
        bravo,
        stranger,
    } = world();
    let sibling = bravo_ca.issue(Leaf::good("sibling"));
    let pinned = Roster::new(vec![rule("bravo", Some(&bravo_ca), Some(&bravo))]);
    assert_eq!(
        pinned.identify(&sibling.chain, at(NOW)),
        Err(Refusal::Unregistered)
    );
    assert_eq!(
        pinned.identify(&stranger.chain, at(NOW)),
        Err(Refusal::UnknownCa)
    );
    let by_leaf = Roster::new(vec![rule("bravo", None, Some(&bravo))]);
    assert_eq!(
        by_leaf.identify(&stranger.chain, at(NOW)),
        Err(Refusal::Unregistered)
    );
    assert_eq!(
        Roster::default().identify(&bravo.chain, at(NOW)),
        Err(Refusal::UnknownCa)
    );
}

#[test]
fn a_flawed_leaf_with_an_entry_is_not_let_in_by_another_entry() {
    let World {
        bravo_ca, bravo, ..
    } = world();
    let other = Authority::new("other CA");
    let mut strict = rule("bravo", Some(&other), None);
    strict.fingerprints = vec![bravo.fingerprint()];
    let roster = Roster::new(vec![rule("any", Some(&bravo_ca), None), strict]);
    assert_eq!(
        roster.identify(&bravo.chain, at(NOW)),
        Err(Refusal::UnknownCa)
    );
}

#[test]
fn clones_of_a_roster_share_one_list() {
    let World {
        bravo_ca, bravo, ..
    } = world();
    let roster = Roster::default();
    let clone = roster.clone();
    roster.replace(vec![rule("bravo", Some(&bravo_ca), None)]);
    assert_eq!(
        clone.identify(&bravo.chain, at(NOW)).as_deref(),
        Ok("bravo")
    );
    roster.replace(Vec::new());
    assert_eq!(
        clone.identify(&bravo.chain, at(NOW)),
        Err(Refusal::UnknownCa)
    );
}

#[test]
fn a_client_may_send_its_leaf_alone() {
    let World {
        bravo_ca, stranger, ..
    } = world();
    let user = bravo_ca.issue(Leaf::good("VIPER 1").usages(&[ClientAuth]));
    let ours = [bravo_ca.certificate.clone()];
    assert_eq!(
        judge_client(&user.chain[..1], (&ours, &Revocations::default()), at(NOW)),
        Ok(("VIPER 1".to_owned(), None))
    );
    assert_eq!(
        judge_client(&stranger.chain, (&ours, &Revocations::default()), at(NOW)),
        Err(Refusal::UnknownCa)
    );
    assert_eq!(
        judge_client(&[], (&ours, &Revocations::default()), at(NOW)),
        Err(Refusal::NoCertificate)
    );
}

#[test]
fn a_refused_peer_is_recognised_when_only_one_it_can_be() {
    let World {
        bravo_ca,
        bravo,
        stranger,
    } = world();
    let suspect = |rules: Vec<TrustRule>, chain: &[CertificateDer<'_>]| {
        Roster::new(rules).suspect(chain, at(NOW))
    };
    let by_ca = |peer| rule(peer, Some(&bravo_ca), None);
    let bravos = Some("bravo".to_owned());
    let late = bravo_ca.issue(Leaf::good("b").dates(NOW - 9, NOW - 5));
    assert_eq!(suspect(vec![by_ca("bravo")], &late.chain), bravos);
    let both = vec![by_ca("bravo"), by_ca("charlie")];
    assert_eq!(suspect(both.clone(), &late.chain), None, "either may be it");
    // Renewed under the same CA: the pinned leaf is another one now.
    let pinned = vec![rule("bravo", Some(&bravo_ca), Some(&bravo))];
    let renewed = bravo_ca.issue(Leaf::good("bravo"));
    assert_eq!(suspect(pinned.clone(), &renewed.chain), bravos);
    assert_eq!(suspect(pinned, &bravo.chain[..1]), bravos, "leaf alone");
    assert_eq!(suspect(both, &stranger.chain), None);
    assert_eq!(suspect(vec![by_ca("bravo")], &[]), None);
}

#[test]
fn a_leaf_that_stands_for_itself_is_known_by_fingerprint_and_dates_alone() {
    let World {
        bravo_ca, stranger, ..
    } = world();
    // Nothing but its fingerprint is in order: alone, without clientAuth.
    let lone = bravo_ca.issue(Leaf::good("fts").usages(&[ServerAuth]));
    let alone = &lone.chain[..1];
    let relaxed = TrustRule {
        leaf_alone: true,
        ..rule("fts", None, Some(&lone))
    };
    assert_eq!(relaxed.judge(alone, at(NOW)), Ok(None));
    let strict = rule("fts", None, Some(&lone));
    assert_eq!(strict.judge(alone, at(NOW)), Err(Refusal::OneCertificate));
    assert_eq!(
        relaxed.judge(&stranger.chain[..1], at(NOW)),
        Err(Refusal::Unregistered)
    );
    assert_eq!(relaxed.judge(&[], at(NOW)), Err(Refusal::NoCertificate));
    // Its dates count as ever.
    let day = 86_400;
    let short = bravo_ca.issue(Leaf::good("fts").dates(NOW - day, NOW + day));
    let rule_of = |leaf: &Identity| TrustRule {
        leaf_alone: true,
        ..rule("fts", None, Some(leaf))
    };
    let judge = |moment: i64| rule_of(&short).judge(&short.chain[..1], at(moment));
    assert_eq!(judge(NOW), Ok(None));
    assert_eq!(judge(NOW + 2 * day), Err(Refusal::Expired));
    assert_eq!(judge(NOW - 2 * day), Err(Refusal::NotYetValid));
    let unsure = |now: i64, floor: i64| {
        let moment = Moment {
            now: at(now),
            floor: Some(at(floor)),
        };
        rule_of(&short).judge(&short.chain[..1], moment)
    };
    assert_eq!(
        unsure(NOW - 2 * day, NOW - 3 * day),
        Ok(Some(Doubt::Behind))
    );
    assert_eq!(unsure(NOW, NOW - 3 * day), Ok(Some(Doubt::Unproven)));
    assert_eq!(unsure(NOW, NOW), Ok(None));
    // On the listener it lets in that leaf, and nobody else by it.
    let roster = Roster::new(vec![rule_of(&lone), rule("bravo", Some(&bravo_ca), None)]);
    assert_eq!(roster.identify(alone, at(NOW)), Ok("fts".to_owned()));
    assert_eq!(
        roster.identify(&stranger.chain[..1], at(NOW)),
        Err(Refusal::OneCertificate)
    );
}

#[test]
fn a_pinned_ca_comes_with_the_leaf_or_stands_beside_it() {
    let World {
        bravo_ca,
        bravo,
        stranger,
        ..
    } = world();
    let pin = |of: &CertificateDer<'_>| TrustRule {
        peer: "bravo".to_owned(),
        ca_pin: Some(Fingerprint::of(of)),
        ..TrustRule::default()
    };
    let alone = pin(&bravo_ca.certificate);
    assert_eq!(alone.judge(&bravo.chain, at(NOW)), Ok(None));
    assert_eq!(
        alone.judge(&bravo.chain[..1], at(NOW)),
        Err(Refusal::OneCertificate)
    );
    assert_eq!(
        alone.judge(&stranger.chain, at(NOW)),
        Err(Refusal::NotThePinnedCa)
    );
    // The pinned CA sent along with a leaf of another one, in either place.
    let leaf = stranger.chain[0].clone();
    let forged = [leaf.clone(), bravo_ca.certificate.clone()];
    assert_eq!(alone.judge(&forged, at(NOW)), Err(Refusal::NotThePinnedCa));
    let forged = [
        leaf,
        stranger.chain[1].clone(),
        bravo_ca.certificate.clone(),
    ];
    assert_eq!(alone.judge(&forged, at(NOW)), Err(Refusal::NotThePinnedCa));
    assert_eq!(
        pin(&bravo.chain[0]).judge(&bravo.chain, at(NOW)),
        Err(Refusal::PinIsLeaf)
    );
    // A leaf is no CA, wherever it stands and whatever is pinned.
    let lone = pin(&bravo.chain[0]);
    let posing = [stranger.chain[0].clone(), bravo.chain[0].clone()];
    assert_eq!(lone.judge(&posing, at(NOW)), Err(Refusal::NotThePinnedCa));
    let other_ca = Authority::new("other CA");
    let both = TrustRule {
        authorities: vec![other_ca.certificate.clone(), bravo_ca.certificate.clone()],
        ..pin(&bravo_ca.certificate)
    };
    assert_eq!(both.judge(&bravo.chain, at(NOW)), Ok(None));
    let other = other_ca.issue(Leaf::good("bravo"));
    assert_eq!(
        both.judge(&other.chain, at(NOW)),
        Err(Refusal::NotThePinnedCa),
        "only the pinned one of ca_cert counts"
    );
    let roster = Roster::new(vec![alone]);
    assert_eq!(
        roster.identify(&bravo.chain, at(NOW)),
        Ok("bravo".to_owned())
    );
    assert_eq!(
        roster.identify(&stranger.chain, at(NOW)),
        Err(Refusal::NotThePinnedCa)
    );
    let expired = bravo_ca.issue(Leaf::good("bravo").dates(NOW - 20, NOW - 10));
    assert_eq!(
        roster.suspect(&expired.chain, at(NOW)),
        Some("bravo".to_owned())
    );
}

#[test]
fn of_several_leaves_any_will_do_and_a_denied_one_never() {
    let World {
        bravo_ca, bravo, ..
    } = world();
    let renewed = bravo_ca.issue(Leaf::good("bravo"));
    let third = bravo_ca.issue(Leaf::good("bravo"));
    let both = TrustRule {
        fingerprints: vec![bravo.fingerprint(), renewed.fingerprint()],
        ..rule("bravo", Some(&bravo_ca), None)
    };
    let of =
        |rules: Vec<TrustRule>, leaf: &Identity| Roster::new(rules).identify(&leaf.chain, at(NOW));
    assert_eq!(of(vec![both.clone()], &bravo), Ok("bravo".to_owned()));
    assert_eq!(of(vec![both.clone()], &renewed), Ok("bravo".to_owned()));
    assert_eq!(of(vec![both.clone()], &third), Err(Refusal::Unregistered));
    let denying = TrustRule {
        denied: vec![bravo.fingerprint()],
        ..both
    };
    assert_eq!(denying.judge(&bravo.chain, at(NOW)), Err(Refusal::Denied));
    // Nor under another name that would take any leaf of that CA.
    let open = rule("charlie", Some(&bravo_ca), None);
    let rules = || vec![open.clone(), denying.clone()];
    assert_eq!(of(rules(), &bravo), Err(Refusal::Denied));
    assert_eq!(of(rules(), &renewed), Ok("bravo".to_owned()));
    assert_eq!(of(rules(), &third), Ok("charlie".to_owned()));
    let told = Successors::default();
    let following = TrustRule {
        successors: told.clone(),
        ..denying
    };
    let step = |old: &Identity| crate::pki::successors::Successor {
        peer: "bravo".to_owned(),
        old: old.fingerprint(),
        new: third.fingerprint(),
    };
    told.note(step(&bravo)).unwrap();
    assert_eq!(
        following.judge(&third.chain, at(NOW)),
        Err(Refusal::Unregistered),
        "told by a denied one"
    );
    told.note(step(&renewed)).unwrap();
    assert_eq!(following.judge(&third.chain, at(NOW)), Ok(None));
}
