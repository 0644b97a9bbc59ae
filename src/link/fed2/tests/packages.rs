//! Packages over the ROL streams, between two of ours; `peers.rs` has those with another program.

use std::sync::Mutex;

use bytes::Bytes;

use super::*;
use crate::cot::groups::GroupSet;
use crate::counters::Reason;
use crate::link::packages::{
    Carrier, Consignee, Desk, Destinations, Refusal, Resource, ResourceDetails, Way,
};
use crate::packages::{Bounds, Details, Hash, Origin, Store};

/// A consignee that notes what it is told.
#[derive(Default)]
pub(super) struct Clerk {
    carriers: Mutex<Vec<Arc<dyn Carrier>>>,
    told: Mutex<Vec<Told>>,
    refuses: Mutex<Option<Refusal>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Told {
    Arrived(String, Details),
    Announced(String, ResourceDetails),
    Other(String, Bytes, Way),
    Refused(String, Refusal),
    Sent(String, Hash, Result<(), Refusal>),
    Detached(String),
}

impl Clerk {
    fn note(&self, told: Told) {
        self.told.lock().unwrap().push(told);
    }

    pub(super) fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    pub(super) fn refuse(&self, why: Option<Refusal>) {
        *self.refuses.lock().unwrap() = why;
    }

    /// Waits until it is told something that fits, and takes it away.
    pub(super) async fn hears(&self, what: &str, fits: impl Fn(&Told) -> bool) -> Told {
        let mut found = None;
        until(what, || {
            let mut told = self.told.lock().unwrap();
            let at = told.iter().position(&fits);
            found = at.map(|at| told.remove(at));
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    pub(super) async fn carrier(&self, name: &str) -> Arc<dyn Carrier> {
        let find = || {
            let carriers = self.carriers.lock().unwrap();
            carriers.iter().rfind(|one| one.name() == name).cloned()
        };
        until("a carrier", || find().is_some()).await;
        find().unwrap()
    }
}

impl Consignee for Clerk {
    fn attached(&self, carrier: Arc<dyn Carrier>) {
        self.carriers.lock().unwrap().push(carrier);
    }

    fn detached(&self, federate: &str, connection: u64) {
        let mut carriers = self.carriers.lock().unwrap();
        carriers.retain(|one| one.connection() != connection);
        self.note(Told::Detached(federate.into()));
    }

    fn admits(&self, federate: &str, _: &Resource, _: u64) -> Result<(), Refusal> {
        let Some(why) = self.refuses.lock().unwrap().clone() else {
            return Ok(());
        };
        self.note(Told::Refused(federate.into(), why.clone()));
        Err(why)
    }

    fn arrived(&self, federate: &str, details: Details, _: Way) {
        self.note(Told::Arrived(federate.into(), details));
    }

    fn announced(&self, federate: &str, details: ResourceDetails, _: Way) {
        self.note(Told::Announced(federate.into(), details));
    }

    fn other(&self, federate: &str, rol: Bytes, way: Way) {
        self.note(Told::Other(federate.into(), rol, way));
    }

    fn refused(&self, federate: &str, _: &Resource, why: &Refusal) {
        self.note(Told::Refused(federate.into(), why.clone()));
    }

    fn sent(&self, federate: &str, hash: &Hash, outcome: Result<(), Refusal>) {
        self.note(Told::Sent(federate.into(), *hash, outcome));
    }
}

/// A node's store and consignee.
pub(super) struct Depot {
    pub(super) clerk: Arc<Clerk>,
    pub(super) store: Store,
    _folder: tempfile::TempDir,
}

impl Depot {
    pub(super) fn of(node: &Node) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mib = 1024 * 1024;
        let bounds = Bounds {
            bytes: 300 * mib,
            largest: 100 * mib,
            count: 100,
            age_ms: u64::MAX,
            free_space: 0,
        };
        let store = Store::open(folder.path(), bounds).unwrap();
        let clerk = Arc::new(Clerk::default());
        node.packages.open(Desk {
            store: store.clone(),
            consignee: clerk.clone(),
        });
        Self {
            clerk,
            store,
            _folder: folder,
        }
    }

    /// A package of so many bytes is stored here.
    pub(super) fn keep(&self, length: usize) -> Details {
        let bytes: Vec<u8> = (0..length).map(|at| ((at * 31) >> 3) as u8).collect();
        let mut receiving = self.store.receive(None, Some(length as u64)).unwrap();
        bytes
            .chunks(65_536)
            .for_each(|piece| receiving.write(piece).unwrap());
        let details = Details {
            name: "plan".into(),
            filename: "plan.zip".into(),
            mime_type: "application/zip".into(),
            keywords: vec!["missionpackage".into()],
            submitter: "ALPHA 1".into(),
            submitted: 1_795_298_400_005,
            ..Details::of(Hash::of(b""))
        };
        receiving.finish(details).unwrap()
    }
}

pub(super) fn from_here() -> Way {
    Way::from_here(GroupSet::ALL)
}

pub(super) fn dropped(node: &Node, peer: &str, reason: Reason) -> u64 {
    node.hub.with(|router, _| {
        let counters = router.peer_counters(peer);
        counters.map_or(0, |counters| counters.dropped(reason))
    })
}

#[tokio::test]
async fn a_package_crosses_both_ways_with_its_announcement() {
    let pki = Pki::new("islands");
    let (alpha, bravo) = (node("alpha", ALPHA, quick()), node("bravo", BRAVO, quick()));
    let (near, far) = (Depot::of(&alpha), Depot::of(&bravo));
    let (_acceptor, address) = acceptor(&alpha, &pki, "bravo").await;
    let settings = peer("alpha", Some(address));
    let dialler = crate::link::fed2::dial(Arc::clone(&bravo), settings, pki.client());
    for (from, to, name, length) in [
        (&near, &far, "bravo", 3_000_001),
        (&far, &near, "alpha", 1_234_567),
    ] {
        let package = from.keep(length);
        let carrier = from.clerk.carrier(name).await;
        carrier.offer_resource(&package, &from_here()).unwrap();
        let echo = Destinations {
            callsigns: vec!["ECHO 1".into()],
            uids: Vec::new(),
        };
        carrier.announce(&package, &echo, &from_here()).unwrap();
        let arrived = to
            .clerk
            .hears("it arrives", |told| matches!(told, Told::Arrived(..)))
            .await;
        let Told::Arrived(by, arrived) = arrived else {
            unreachable!();
        };
        assert_eq!(arrived.from, Origin::Peer(by));
        let same = Details {
            from: package.from.clone(),
            submitted: package.submitted,
            ..arrived
        };
        assert_eq!(same, package, "hash, size and names");
        assert_eq!(to.store.find(&package.hash).unwrap().size, length as u64);
        let announced = to.clerk.hears("the announcement", |told| {
            matches!(told, Told::Announced(..))
        });
        let Told::Announced(_, announced) = announced.await else {
            unreachable!();
        };
        assert_eq!(announced.destinations, echo);
        assert_eq!(announced.sha256, package.hash.to_string());
        assert_eq!((announced.size, &*announced.name), (length as u64, "plan"));
        let is_sent =
            |told: &Told| matches!(told, Told::Sent(_, hash, Ok(())) if *hash == package.hash);
        from.clerk.hears("that it is sent", is_sent).await;
    }
    // Once more: its bytes are read away, and nothing is wrong with that.
    let again = near.store.list().pop().unwrap();
    let carrier = near.clerk.carrier("bravo").await;
    carrier.offer_resource(&again, &from_here()).unwrap();
    far.clerk
        .hears("it is known", |told| matches!(told, Told::Arrived(..)))
        .await;
    dialler.stop().await;
    near.clerk
        .hears("it is gone", |told| matches!(told, Told::Detached(_)))
        .await;
    far.clerk
        .hears("it is gone", |told| matches!(told, Told::Detached(_)))
        .await;
    assert!(carrier.offer_resource(&again, &from_here()).is_err());
}

#[tokio::test]
async fn a_package_that_is_not_admitted_leaves_nothing_behind() {
    let pki = Pki::new("islands");
    let (alpha, bravo) = (node("alpha", ALPHA, quick()), node("bravo", BRAVO, quick()));
    let (near, far) = (Depot::of(&alpha), Depot::of(&bravo));
    let (_acceptor, address) = acceptor(&alpha, &pki, "bravo").await;
    let settings = peer("alpha", Some(address));
    let _dialler = crate::link::fed2::dial(Arc::clone(&bravo), settings, pki.client());
    let package = near.keep(200_000);
    let carrier = near.clerk.carrier("bravo").await;
    far.clerk.refuse(Some(Refusal::IncomingOff));
    carrier.offer_resource(&package, &from_here()).unwrap();
    let refused = |told: &Told| *told == Told::Refused("alpha".into(), Refusal::IncomingOff);
    far.clerk.hears("it is refused", refused).await;
    assert!(far.store.list().is_empty());
    // It is told before it is counted.
    until("it is counted", || {
        dropped(&bravo, "alpha", Reason::DataPackagesOff) == 1
    })
    .await;
    // The stream goes on.
    far.clerk.refuse(None);
    carrier.offer_resource(&package, &from_here()).unwrap();
    far.clerk
        .hears("it arrives", |told| matches!(told, Told::Arrived(..)))
        .await;
    // What is not there any more is said so.
    near.store.remove(&package.hash).unwrap();
    carrier.offer_resource(&package, &from_here()).unwrap();
    let gone = Told::Sent("bravo".into(), package.hash, Err(Refusal::Gone));
    near.clerk.hears("it is gone", |told| *told == gone).await;
    // A federate takes so many and no more.
    let mut taken = 0;
    let refusal = loop {
        match carrier.announce(&package, &Destinations::default(), &from_here()) {
            Ok(()) => taken += 1,
            Err(why) => break why,
        }
        assert!(taken <= 64, "a queue without a bound");
    };
    assert_eq!(refusal, Refusal::QueueFull);
    assert!(dropped(&alpha, "bravo", Reason::ResourceRefused) > 0);
}

#[tokio::test]
async fn events_pass_while_a_package_is_on_its_way() {
    let pki = Pki::new("islands");
    let (alpha, bravo) = (node("alpha", ALPHA, quick()), node("bravo", BRAVO, quick()));
    let (near, far) = (Depot::of(&alpha), Depot::of(&bravo));
    // 400 kbit/s: half a megabyte takes ten seconds, a piece a quarter of a second at most.
    let settings = PeerSettings {
        rate: crate::config::Rate::of_bits(400_000),
        ..peer("bravo", None)
    };
    let (_acceptor, address) = acceptor_of(&alpha, &pki, settings).await;
    let settings = peer("alpha", Some(address));
    let _dialler = crate::link::fed2::dial(Arc::clone(&bravo), settings, pki.client());
    let (says, hears) = (Local::of(&alpha), Local::of(&bravo));
    let carrier = near.clerk.carrier("bravo").await;
    let package = near.keep(100_000);
    carrier.offer_resource(&package, &from_here()).unwrap();
    let mut slowest = Duration::ZERO;
    let mut passed = 0;
    while far.clerk.told().is_empty() {
        let uid = format!("track-{passed}");
        let begun = tokio::time::Instant::now();
        says.says(&uid);
        hears.hears(&uid).await;
        slowest = slowest.max(begun.elapsed());
        passed += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("{passed} tracks beside a package, the slowest {slowest:?}");
    assert!(passed >= 5, "{passed}");
    far.clerk
        .hears("it arrives", |told| matches!(told, Told::Arrived(..)))
        .await;
}

#[tokio::test]
async fn a_mission_goes_on_with_provenance_and_never_back() {
    let pki = Pki::new("islands");
    let (alpha, bravo) = (node("alpha", ALPHA, quick()), node("bravo", BRAVO, quick()));
    let (near, far) = (Depot::of(&alpha), Depot::of(&bravo));
    let (_acceptor, address) = acceptor(&alpha, &pki, "bravo").await;
    let settings = peer("alpha", Some(address));
    let _dialler = crate::link::fed2::dial(Arc::clone(&bravo), settings, pki.client());
    let carrier = near.clerk.carrier("bravo").await;
    let body: Bytes =
        wire::rol::writer::around("create mission {\"name\":\"m\"};", None, Vec::new())
            .before
            .into();
    carrier.relay(&body, &from_here()).unwrap();
    let other = far
        .clerk
        .hears("the mission", |told| matches!(told, Told::Other(..)))
        .await;
    let Told::Other(_, came, way) = other else {
        unreachable!();
    };
    assert_eq!(came, body);
    let back = far.clerk.carrier("alpha").await;
    assert_eq!(
        back.relay(&came, &way),
        Err(Refusal::Loop),
        "it came from there"
    );
    assert_eq!(dropped(&bravo, "alpha", Reason::Loop), 1);
}
