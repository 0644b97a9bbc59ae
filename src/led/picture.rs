//! From the facts to the signal.

use super::signal::{Fault, Signal};

/// A link that failed for reasons of the network is given so long to heal before its fault is shown, milliseconds:
/// a peer that restarts should not send a crew to look for a broken cable.
pub const HEALING_MS: u64 = 10_000;

/// How far a peer's link has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Link {
    /// Disabled, or paused by the operator: it does not count.
    #[default]
    Off,
    /// Nothing under way: it is the peer's turn, or the next attempt has its time.
    Waiting,
    /// An attempt is under way.
    Connecting,
    /// Up, and no event within the last minute.
    Connected,
    /// Up, and events cross.
    Flowing,
}

/// What ended the last attempt of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// Something that needs no name, or has none.
    Passing,
    /// A fault that has a number.
    Known(Fault),
}

/// One configured peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PeerPicture {
    /// How far its link has come.
    pub link: Link,
    /// What ended the last attempt; none as long as none failed since it was up.
    pub trouble: Option<Trouble>,
    /// For how long attempts have failed, milliseconds; 0 without trouble.
    pub failing_ms: u64,
}

/// Everything that the LED depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Picture {
    /// `mode = "dark"`.
    pub dark: bool,
    /// The box runs in safe mode.
    pub safe_mode: bool,
    /// What is written is not kept.
    pub storage: bool,
    /// The supply is too weak, now.
    pub under_voltage: bool,
    /// The box is not up yet.
    pub booting: bool,
    /// A code waits for another box to pair with.
    pub pairing: bool,
    /// The last provisioning had mistakes.
    pub provisioning_mistakes: bool,
    /// The system clock cannot be right, and no source says what time it is.
    pub clock: bool,
    /// Every configured peer.
    pub peers: Vec<PeerPicture>,
}

/// What the box says. The first of these that holds:
///
/// | signal | when |
/// |---|---|
/// | dark | `mode = "dark"`; nothing goes before light discipline |
/// | safe mode | the box runs in safe mode |
/// | storage fault | the data partition is read-only or full |
/// | under-voltage | the supply is too weak, now |
/// | booting | the program is not up yet |
/// | pairing | a code waits: somebody made it within the last ten minutes, and stands there |
/// | provisioning | the last provisioning had mistakes (somebody stands there with a stick), or no peer is configured |
/// | paused | every peer is disabled or paused |
/// | flowing, connected | every enabled peer is up; connected if one of them has proven nothing |
/// | some down | some are up, some down, for whatever reason: the console gives it |
/// | a link's fault | none is up and one has a known fault: the worst of all, in the order of [`Fault`]. Faults of the network (no network, name lookup, unanswered) only after [`HEALING_MS`] |
/// | clock fault | none is up, the box does not know what time it is, and none of them lacks a network: the worst of the faults where there are more |
/// | retrying | none is up; one failed, or it is the peers' turn to dial |
/// | connecting | none is up, and no attempt has failed yet |
pub fn signal(picture: &Picture) -> Signal {
    if picture.dark {
        return Signal::Dark;
    }
    if picture.safe_mode {
        return Signal::SafeMode;
    }
    if picture.storage {
        return Signal::Fault(Fault::Storage);
    }
    if picture.under_voltage {
        return Signal::Fault(Fault::UnderVoltage);
    }
    if picture.booting {
        return Signal::Booting;
    }
    if picture.pairing {
        return Signal::Pairing;
    }
    if picture.provisioning_mistakes || picture.peers.is_empty() {
        return Signal::Provisioning;
    }
    of_links(&picture.peers, picture.clock)
}

fn of_links(peers: &[PeerPicture], clock: bool) -> Signal {
    let enabled = || peers.iter().filter(|peer| peer.link != Link::Off);
    let count = |link: Link| enabled().filter(|peer| peer.link == link).count();
    let (all, flowing) = (enabled().count(), count(Link::Flowing));
    match flowing + count(Link::Connected) {
        _ if all == 0 => return Signal::Paused,
        _ if flowing == all => return Signal::Flowing,
        up if up == all => return Signal::Connected,
        0 => {}
        _ => return Signal::SomeDown,
    }
    let faults = || enabled().filter_map(shown);
    // Without a network no source of time is reached either, and the cable comes first.
    let clock = clock && faults().all(|fault| fault != Fault::NoNetwork);
    let clock = clock.then_some(Fault::Clock);
    if let Some(worst) = faults().chain(clock).min() {
        return Signal::Fault(worst);
    }
    let untried = enabled().any(|peer| peer.link == Link::Connecting && peer.trouble.is_none());
    let failed = enabled().any(|peer| peer.trouble.is_some());
    match untried && !failed {
        true => Signal::Connecting,
        false => Signal::Retrying,
    }
}

/// The fault of a link that is to be shown, if it has one.
fn shown(peer: &PeerPicture) -> Option<Fault> {
    let Some(Trouble::Known(fault)) = peer.trouble else {
        return None;
    };
    let may_heal = matches!(
        fault,
        Fault::NoNetwork | Fault::NameLookup | Fault::Unanswered
    );
    (!may_heal || peer.failing_ms >= HEALING_MS).then_some(fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn peer(link: Link) -> PeerPicture {
        PeerPicture {
            link,
            ..PeerPicture::default()
        }
    }

    fn failing(fault: Fault, failing_ms: u64) -> PeerPicture {
        PeerPicture {
            link: Link::Waiting,
            trouble: Some(Trouble::Known(fault)),
            failing_ms,
        }
    }

    fn of(peers: &[PeerPicture]) -> Signal {
        signal(&Picture {
            peers: peers.to_vec(),
            ..Picture::default()
        })
    }

    #[test]
    fn links_are_told_by_how_many_are_up() {
        use Link::{Connected, Connecting, Flowing, Off, Waiting};
        for (links, expected) in [
            (&[][..], Signal::Provisioning),
            (&[Off], Signal::Paused),
            (&[Off, Off], Signal::Paused),
            (&[Flowing], Signal::Flowing),
            (&[Flowing, Off], Signal::Flowing),
            (&[Flowing, Flowing], Signal::Flowing),
            (&[Connected], Signal::Connected),
            (&[Connected, Flowing], Signal::Connected),
            (&[Flowing, Waiting], Signal::SomeDown),
            (&[Connected, Connecting], Signal::SomeDown),
            (&[Connecting], Signal::Connecting),
            (&[Connecting, Waiting], Signal::Connecting),
            (&[Waiting], Signal::Retrying),
            (&[Waiting, Off], Signal::Retrying),
        ] {
            let peers: Vec<_> = links.iter().copied().map(peer).collect();
            assert_eq!(of(&peers), expected, "{links:?}");
        }
    }

    #[test]
    fn a_fault_is_shown_when_nothing_is_up() {
        let certificate = failing(Fault::Certificate, 0);
        assert_eq!(of(&[certificate]), Signal::Fault(Fault::Certificate));
        assert_eq!(
            of(&[certificate, peer(Link::Connecting)]),
            Signal::Fault(Fault::Certificate)
        );
        assert_eq!(of(&[certificate, peer(Link::Flowing)]), Signal::SomeDown);
        let paused = PeerPicture {
            link: Link::Off,
            ..certificate
        };
        assert_eq!(of(&[paused, peer(Link::Flowing)]), Signal::Flowing);
        assert_eq!(of(&[paused]), Signal::Paused);
    }

    #[test]
    fn what_may_heal_is_given_its_time_and_does_not_flap() {
        for fault in [Fault::NoNetwork, Fault::NameLookup, Fault::Unanswered] {
            assert_eq!(of(&[failing(fault, 0)]), Signal::Retrying);
            assert_eq!(of(&[failing(fault, HEALING_MS - 1)]), Signal::Retrying);
            assert_eq!(of(&[failing(fault, HEALING_MS)]), Signal::Fault(fault));
            // The next attempt is under way: the last one's fault still stands.
            let again = PeerPicture {
                link: Link::Connecting,
                ..failing(fault, HEALING_MS)
            };
            assert_eq!(of(&[again]), Signal::Fault(fault));
        }
        let lost = |link| PeerPicture {
            link,
            trouble: Some(Trouble::Passing),
            failing_ms: 3_600_000,
        };
        assert_eq!(of(&[lost(Link::Waiting)]), Signal::Retrying);
        assert_eq!(of(&[lost(Link::Connecting)]), Signal::Retrying);
        assert_eq!(
            of(&[lost(Link::Connecting), peer(Link::Connecting)]),
            Signal::Retrying
        );
    }

    #[test]
    fn the_worst_fault_wins_in_the_documented_order() {
        let links = &Fault::ALL[2..];
        for (at, worse) in links.iter().enumerate() {
            for better in &links[at..] {
                let pair = [failing(*better, HEALING_MS), failing(*worse, HEALING_MS)];
                assert_eq!(of(&pair), Signal::Fault(*worse), "{worse:?} {better:?}");
            }
        }
        let mut sorted = Fault::ALL;
        sorted.sort();
        assert_eq!(sorted, Fault::ALL);
    }

    #[test]
    fn a_box_that_does_not_know_the_time_says_so_unless_it_flows_or_has_no_cable() {
        let lost = |peers: &[PeerPicture]| {
            signal(&Picture {
                peers: peers.to_vec(),
                clock: true,
                ..Picture::default()
            })
        };
        let clock = Signal::Fault(Fault::Clock);
        assert_eq!(lost(&[peer(Link::Waiting)]), clock);
        assert_eq!(lost(&[peer(Link::Connecting)]), clock);
        assert_eq!(lost(&[failing(Fault::Unanswered, HEALING_MS)]), clock);
        for (fault, blinks) in [(Fault::Certificate, 5), (Fault::NoNetwork, 2)] {
            let said = lost(&[failing(fault, HEALING_MS), peer(Link::Waiting)]);
            assert_eq!(said, Signal::Fault(fault));
            assert_eq!(fault.blinks(), blinks);
        }
        assert_eq!(lost(&[peer(Link::Flowing)]), Signal::Flowing);
        assert_eq!(
            lost(&[peer(Link::Connected), peer(Link::Waiting)]),
            Signal::SomeDown
        );
        assert_eq!(lost(&[]), Signal::Provisioning);
    }

    #[test]
    fn the_box_goes_before_its_links() {
        let mut picture = Picture {
            dark: true,
            safe_mode: true,
            storage: true,
            under_voltage: true,
            booting: true,
            pairing: true,
            provisioning_mistakes: true,
            clock: false,
            peers: vec![failing(Fault::Certificate, 0)],
        };
        assert_eq!(signal(&picture), Signal::Dark);
        picture.dark = false;
        assert_eq!(signal(&picture), Signal::SafeMode);
        picture.safe_mode = false;
        assert_eq!(signal(&picture), Signal::Fault(Fault::Storage));
        picture.storage = false;
        assert_eq!(signal(&picture), Signal::Fault(Fault::UnderVoltage));
        picture.under_voltage = false;
        assert_eq!(signal(&picture), Signal::Booting);
        picture.booting = false;
        assert_eq!(signal(&picture), Signal::Pairing);
        picture.pairing = false;
        assert_eq!(signal(&picture), Signal::Provisioning);
        picture.provisioning_mistakes = false;
        assert_eq!(signal(&picture), Signal::Fault(Fault::Certificate));
        picture.peers = vec![peer(Link::Off)];
        picture.storage = true;
        assert_eq!(signal(&picture), Signal::Fault(Fault::Storage));
    }

    proptest! {
        #[test]
        fn dark_is_dark_whatever_happens(
            flags in any::<[bool; 7]>(),
            peers in proptest::collection::vec((0_usize..5, 0_usize..9, any::<u64>()), 0..6),
        ) {
            let [safe_mode, storage, under_voltage, booting, pairing, provisioning_mistakes, clock] = flags;
            let links = [Link::Off, Link::Waiting, Link::Connecting, Link::Connected, Link::Flowing];
            let peers = peers.into_iter().map(|(link, fault, failing_ms)| PeerPicture {
                link: links[link],
                trouble: Fault::ALL.get(fault).copied().map(Trouble::Known),
                failing_ms,
            }).collect();
            let mut picture = Picture {
                dark: true, safe_mode, storage, under_voltage, booting, pairing, provisioning_mistakes, clock, peers,
            };
            prop_assert_eq!(signal(&picture).pattern(), super::super::pattern::Pattern::Off);
            picture.dark = false;
            prop_assert!(signal(&picture) != Signal::Dark);
        }
    }
}
