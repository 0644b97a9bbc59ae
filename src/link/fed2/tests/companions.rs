//! Boxes among themselves.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::*;
use crate::link::fed2::companion::{AT_ONCE, PAYLOAD_LIMIT};
use crate::link::fed2::{Companion, Feature};
use crate::link::grpc::body::GrpcBody;
use crate::link::grpc::frame::framed;
use crate::link::grpc::status::{Code, Status};

/// Waits for the box at the other end.
async fn met(node: &Node, peer: &str) -> Companion {
    until("the other box is met", || {
        node.companions.of(peer).is_some()
    })
    .await;
    node.companions.of(peer).unwrap()
}

/// Answers with the name of the node and what was asked; holds back when asked to.
fn serves(node: &Arc<Node>) -> Arc<AtomicUsize> {
    let name = node.name.clone();
    node.companions
        .serve(Feature::Echo, "Echo", move |question| {
            let name = name.clone();
            async move {
                match &question.payload[..] {
                    b"slow" => std::future::pending().await,
                    b"no" => Err(Status::new(Code::PermissionDenied, "it said no")),
                    text => Ok([
                        name.as_bytes(),
                        b" to ",
                        question.companion.peer().as_bytes(),
                        b": ",
                        text,
                    ]
                    .concat()
                    .into()),
                }
            }
        });
    let attended = Arc::new(AtomicUsize::new(0));
    let inner = Arc::clone(&attended);
    node.companions.attend(Feature::Echo, move |companion| {
        let (held, inner) = (Arc::clone(&inner), Arc::clone(&inner));
        async move {
            inner.fetch_add(1, Ordering::SeqCst);
            let _held = (held, companion);
            std::future::pending::<()>().await;
        }
    });
    attended
}

#[tokio::test]
async fn boxes_call_each_other_whoever_dialled() {
    let pki = Pki::new("islands");
    let (alpha, bravo) = (node("alpha", ALPHA, quick()), node("bravo", BRAVO, quick()));
    let attended = [serves(&alpha), serves(&bravo)];
    alpha.companions.offer(Feature::Time);
    let (acceptor, address) = acceptor(&alpha, &pki, "bravo").await;
    let dialler = crate::link::fed2::dial(
        Arc::clone(&bravo),
        peer("alpha", Some(address)),
        pki.client(),
    );
    let (to_bravo, to_alpha) = (met(&alpha, "bravo").await, met(&bravo, "alpha").await);
    for (line, expected) in [
        (&to_bravo, "bravo to alpha: hello"),
        (&to_alpha, "alpha to bravo: hello"),
    ] {
        assert!(line.known().await && line.has(Feature::Echo) && line.has(Feature::Ping));
        assert!(!line.has(Feature::Time), "one side alone has it");
        let answer = line.call("Echo", Bytes::from_static(b"hello")).await;
        assert_eq!(answer.unwrap(), expected.as_bytes());
        let long = Bytes::from(vec![7; PAYLOAD_LIMIT]);
        assert_eq!(line.call("Ping", long.clone()).await.unwrap(), long);
        let refused = line
            .call("Echo", Bytes::from_static(b"no"))
            .await
            .unwrap_err();
        assert_eq!(
            (refused.code, &*refused.message),
            (Code::PermissionDenied, "it said no")
        );
        let unknown = line.call("Nothing", Bytes::new()).await.unwrap_err();
        assert_eq!(unknown.code, Code::Unimplemented);
        let longer = Bytes::from(vec![7; PAYLOAD_LIMIT + 1]);
        assert!(line.call("Ping", longer).await.is_err());
    }
    // Those who do not answer keep nobody waiting whose place is free, and give it back when they are let go of.
    let slow = || {
        let line = to_bravo.clone();
        tokio::spawn(async move { line.call("Echo", Bytes::from_static(b"slow")).await })
    };
    let waiting: Vec<_> = (1..AT_ONCE).map(|_| slow()).collect();
    tokio::time::sleep(WHILE).await;
    assert!(to_bravo.call("Ping", Bytes::new()).await.is_ok());
    let last = slow();
    tokio::time::sleep(WHILE).await;
    let crowded = to_bravo.call("Ping", Bytes::new()).await.unwrap_err();
    assert_eq!(crowded.code, Code::ResourceExhausted);
    last.abort();
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    drop((last, waiting));

    for one in &attended {
        assert_eq!(one.load(Ordering::SeqCst), 1, "attended once");
        assert!(Arc::strong_count(one) > 2);
    }
    dialler.stop().await;
    until("nobody is met any more", || {
        alpha.companions.of("bravo").is_none() && bravo.companions.of("alpha").is_none()
    })
    .await;
    for one in &attended {
        until("what attended has ended", || Arc::strong_count(one) == 2).await;
    }
    assert!(to_bravo.call("Ping", Bytes::new()).await.is_err());
    drop(acceptor);
}

#[tokio::test]
async fn who_is_no_box_is_not_served() {
    let pki = Pki::new("islands");
    let alpha = node("alpha", ALPHA, quick());
    let (_acceptor, address) = acceptor(&alpha, &pki, "bravo").await;
    let mut foreign = accepting::Foreign::connect(address, &pki).await;
    foreign.health().await;
    for method in ["Ping", "Serve", "Nothing"] {
        let body = GrpcBody::request(framed(&Bytes::new()));
        let mut reply = foreign
            .call_path(&format!("/tombolo.Box/{method}"), body)
            .await;
        assert_eq!(reply.end().await.code, Code::Unimplemented);
    }
    assert!(alpha.companions.of("bravo").is_none());
}
