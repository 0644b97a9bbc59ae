//! Whoever is refused learns why, every time: the refusal races with what the dialler writes.

use rustls::version::{TLS12, TLS13};
use tokio::sync::watch;

use super::*;
use crate::link::fed2::dialled;
use crate::link::fed2::opened::{Opened, Purpose};
use crate::link::fed2::pulse::Pulse;
use crate::link::federate::connect::connect;
use crate::link::federate::trouble::Trouble;

/// Attempts, a few of them at once.
const ROUNDS: usize = 5;
const AT_ONCE: usize = 4;

/// The refusing box on a thread of its own, so that its refusal comes at any moment of the dialler's. It ends with
/// the returned sender.
fn refusing_box(pki: Pki) -> (SocketAddr, std::sync::mpsc::Sender<()>) {
    let (tell, told) = std::sync::mpsc::channel();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let alpha = node("alpha", ALPHA, quick());
            let (_acceptor, address) = acceptor(&alpha, &pki, "bravo").await;
            tell.send(address).unwrap();
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    });
    (told.recv().unwrap(), stop)
}

/// One connection, and how it failed.
async fn attempt(node: &Arc<Node>, address: SocketAddr, tls: &Arc<ClientConfig>) -> Trouble {
    let peer = peer("alpha", Some(address));
    let authority = address.to_string();
    let (_stop, mut stopped) = watch::channel(false);
    let reached = async {
        let connected = connect(&peer, &authority, None, &mut None, tls, &node.timing).await?;
        Opened::new(node, &peer, &authority, connected, Purpose::Carry).await
    };
    match reached.await {
        Ok(opened) => dialled::run(node, &peer, opened, &Pulse::default(), &mut stopped)
            .await
            .unwrap_err(),
        Err(trouble) => trouble,
    }
}

async fn every_attempt_tells_the_reason(version: &'static rustls::SupportedProtocolVersion) {
    let (ours, theirs) = (Pki::new("ours"), Pki::new("theirs"));
    let tls = ours.client_of_version(&theirs, &[version]);
    let (address, _stop) = refusing_box(theirs);
    let mut told = Vec::new();
    for _ in 0..ROUNDS {
        let mut attempts = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let (bravo, tls) = (node("bravo", BRAVO, quick()), Arc::clone(&tls));
            attempts.spawn(async move { attempt(&bravo, address, &tls).await });
        }
        told.extend(attempts.join_all().await);
    }
    let others: Vec<String> = told
        .iter()
        .filter(|trouble| !trouble.is_certificate())
        .map(ToString::to_string)
        .collect();
    assert!(
        others.is_empty(),
        "{} of {}: {others:?}",
        others.len(),
        told.len()
    );
    assert_eq!(told.len(), ROUNDS * AT_ONCE);
    let words = told[0].to_string();
    assert!(words.contains("does not trust our certificate"), "{words}");
}

#[tokio::test]
async fn a_refused_dialler_learns_why_every_time_over_tls_1_3() {
    every_attempt_tells_the_reason(&TLS13).await;
}

#[tokio::test]
async fn a_refused_dialler_learns_why_every_time_over_tls_1_2() {
    every_attempt_tells_the_reason(&TLS12).await;
}
