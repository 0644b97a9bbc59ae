//! One session against the other end of a pipe.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::session::Session;
use super::signs::Signs;
use crate::config::{Flavour, Rate};
use crate::link::board::PeerState;
use crate::link::fed2::tests::{ALPHA, BRAVO, Local, node, peer, quick, state, until};
use crate::link::federate::node::{Node, PeerSettings, Timing};
use crate::link::federate::registry::{Cutter, Side};
use crate::link::federate::trouble::Trouble;
use crate::link::grpc::status::{Code, Status};
use crate::wire::fed1::{PREFIX, frames};

struct Running {
    far: DuplexStream,
    task: JoinHandle<Result<(), Trouble>>,
    stop: watch::Sender<bool>,
    cutter: Cutter,
}

/// A session of `node`; `leaves` are ours and theirs.
fn run(
    node: &Arc<Node>,
    settings: PeerSettings,
    side: Side,
    leaves: (&str, &str),
    follows: bool,
) -> Running {
    let (near, far) = duplex(1 << 20);
    let (stop, mut stopped) = watch::channel(false);
    let cutter: Cutter = Arc::new(watch::Sender::new(None));
    let (node, ends) = (Arc::clone(node), Arc::clone(&cutter));
    let (own, theirs) = (leaves.0.to_owned(), leaves.1.to_owned());
    let task = tokio::spawn(async move {
        let signs = Signs::default();
        let session = Session {
            node: &node,
            peer: &settings,
            side,
            leaves: (&own, &theirs),
            cutter: ends,
            gauge: None,
            signs: &signs,
            follows,
        };
        session.run(near, &mut stopped).await
    });
    Running {
        far,
        task,
        stop,
        cutter,
    }
}

fn dialled(node: &Arc<Node>, follows: bool) -> Running {
    run(
        node,
        peer("bravo", None),
        Side::Dialled,
        ("A", "B"),
        follows,
    )
}

#[tokio::test]
async fn a_second_login_that_hears_nothing_is_given_up_and_no_other_is() {
    let soon = Duration::from_millis(400);
    let timing = Timing {
        deaf: soon,
        ..quick()
    };
    let alpha = node("alpha", ALPHA, timing);
    let begun = Instant::now();
    let deaf = dialled(&alpha, true);
    let ended = deaf.task.await.unwrap();
    assert_eq!(ended, Err(Trouble::Deaf(0)));
    assert!(begun.elapsed() >= soon);
    // One that was heard, and one that is nobody's second.
    let mut heard = dialled(&alpha, true);
    heard.far.write_all(&[0; 4]).await.unwrap();
    let waits = timeout(soon * 3, &mut heard.task).await;
    assert!(waits.is_err(), "{waits:?}");
    heard.task.abort();
    until("the place is free", || !alpha.registry.is_live("bravo")).await;
    let mut quiet = dialled(&alpha, false);
    assert!(timeout(soon * 3, &mut quiet.task).await.is_err());
    quiet.task.abort();
}

#[tokio::test]
async fn a_quiet_peer_counts_as_well_after_a_moment_and_one_that_dialled_at_once() {
    let moment = Duration::from_millis(800);
    let timing = Timing {
        quietly_well: moment,
        ..quick()
    };
    let alpha = node("alpha", ALPHA, timing);
    let begun = Instant::now();
    let running = dialled(&alpha, false);
    until("well", || state(&alpha, "bravo") == PeerState::Connected).await;
    assert!(begun.elapsed() >= moment, "a refusal may still come");
    running.stop.send_replace(true);
    assert_eq!(running.task.await.unwrap(), Ok(()));
    let charlie = peer("charlie", None);
    let long = Timing {
        quietly_well: Duration::from_secs(600),
        ..quick()
    };
    let bravo = node("bravo", BRAVO, long);
    let _running = run(&bravo, charlie, Side::Accepted, ("A", "B"), false);
    until("well", || state(&bravo, "charlie") == PeerState::Connected).await;
}

#[tokio::test]
async fn what_waits_is_handed_over_before_the_end() {
    let alpha = node("alpha", ALPHA, quick());
    let hawk = Local::of(&alpha);
    let mut running = dialled(&alpha, false);
    until("attached", || alpha.registry.is_live("bravo")).await;
    for number in 0..50 {
        hawk.says(&format!("hawk-{number}"));
    }
    running.stop.send_replace(true);
    let mut all = Vec::new();
    running.far.read_to_end(&mut all).await.unwrap();
    assert_eq!(running.task.await.unwrap(), Ok(()));
    let whole: usize = frames(&all).map(<[u8]>::len).sum();
    assert_eq!(whole, all.len(), "no torn frame");
    let text = String::from_utf8_lossy(&all);
    assert!((0..50).all(|number| text.contains(&format!("hawk-{number} speaks"))));
    assert!(
        frames(&all).all(|frame| frame.len() > PREFIX),
        "never a length of 0"
    );
}

#[tokio::test]
async fn one_connection_stays_by_the_smaller_certificate_whoever_came_first() {
    for (own, theirs) in [("A", "B"), ("B", "A")] {
        let alpha = node("alpha", ALPHA, quick());
        // What the smaller one dialled stays.
        let stays = if own < theirs {
            Side::Dialled
        } else {
            Side::Accepted
        };
        let goes = if own < theirs {
            Side::Accepted
        } else {
            Side::Dialled
        };
        for first in [stays, goes] {
            let settings = || peer("bravo", None);
            let older = run(&alpha, settings(), first, (own, theirs), false);
            until("the first", || alpha.registry.is_live("bravo")).await;
            let second = if first == stays { goes } else { stays };
            let newer = run(&alpha, settings(), second, (own, theirs), false);
            let (kept, lost) = if first == stays {
                (older, newer)
            } else {
                (newer, older)
            };
            let ended = lost.task.await.unwrap();
            assert!(
                matches!(ended, Err(Trouble::Taken | Trouble::Cut(_))),
                "{ended:?}"
            );
            assert!(!kept.task.is_finished());
            kept.cutter
                .send_replace(Some(Status::new(Code::Unavailable, "it was removed")));
            let ended = kept.task.await.unwrap();
            assert_eq!(ended, Err(Trouble::Cut("it was removed".into())));
            assert!(!alpha.registry.is_live("bravo"));
        }
    }
}

#[tokio::test]
async fn a_byte_budget_is_kept_and_freetakserver_gets_one_frame_at_a_time() {
    let alpha = node("alpha", ALPHA, quick());
    let hawk = Local::of(&alpha);
    let thin = PeerSettings {
        rate: Rate::of_bits(9600),
        ..peer("bravo", None)
    };
    let mut running = run(&alpha, thin, Side::Dialled, ("A", "B"), false);
    until("attached", || alpha.registry.is_live("bravo")).await;
    for number in 0..200 {
        hawk.says(&format!("hawk-{number}"));
    }
    let begun = Instant::now();
    sleep(Duration::from_secs(2)).await;
    let mut taken = vec![0; 1 << 20];
    let count = running.far.read(&mut taken).await.unwrap();
    // 1,200 bytes a second, some of them for headers, and what it may owe.
    let most = 1_200.0 * begun.elapsed().as_secs_f64() + 4_000.0;
    assert!(count > 500 && (count as f64) < most, "{count}");
    running.task.abort();

    let free = PeerSettings {
        flavour: Flavour::FreeTakServer,
        ..peer("fts", None)
    };
    let mut running = run(&alpha, free, Side::Dialled, ("A", "B"), false);
    let begun = Instant::now();
    let mut seen = 0;
    while seen < 20 {
        // A pipe gives what was written at once: more than one frame would be more than one write without a gap.
        let count = running.far.read(&mut taken).await.unwrap();
        assert_eq!(frames(&taken[..count]).count(), 1);
        seen += 1;
    }
    assert!(
        begun.elapsed() >= Duration::from_millis(19 * 20),
        "{:?}",
        begun.elapsed()
    );
    running.task.abort();
}
