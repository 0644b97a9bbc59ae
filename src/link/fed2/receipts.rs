//! Boxes tell each other how many events of a connection they have taken, so that what was on its way when it broke is
//! sent again, and nothing else.
//!
//! The side that sent asks, and only while something is on its way that must not be lost.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;

use crate::link::grpc::status::{Code, Status};
use crate::link::hub::Hub;

use super::companion::{Companion, Feature};
use super::companion_desk::Companions;
use crate::link::federate::registry::Registry;

const METHOD: &str = "Receipt";

/// Between two questions; also lets several events share one.
const PAUSE: Duration = Duration::from_millis(250);
/// A question that goes unanswered for so long casts doubt on the connection.
const SLOW: Duration = Duration::from_millis(700);
/// After a question that was not answered.
const LONG_PAUSE: Duration = Duration::from_secs(2);

/// Answers other boxes, and asks them.
pub fn register(companions: &Companions, hub: &Hub, registry: &Registry) {
    let answers = hub.clone();
    companions.serve(Feature::Receipt, METHOD, move |question| {
        let peer = question.companion.peer();
        let count = answers.with(|router, _| router.received(peer));
        async move {
            let gone = || Status::new(Code::Unavailable, "not attached");
            let count = count.ok_or_else(gone)?;
            Ok(Bytes::copy_from_slice(&count.to_be_bytes()))
        }
    });
    let (hub, registry) = (hub.clone(), registry.clone());
    companions.attend(Feature::Receipt, move |companion| {
        ask(companion, hub.clone(), registry.clone())
    });
}

async fn ask(companion: Companion, hub: Hub, registry: Registry) {
    loop {
        poll_fn(|context| hub.with(|router, _| router.poll_in_flight(companion.peer(), context)))
            .await;
        sleep(PAUSE).await;
        let mut call = std::pin::pin!(companion.call(METHOD, Bytes::new()));
        let answer = tokio::select! {
            answer = &mut call => answer,
            () = sleep(SLOW) => {
                // Something is on its way that must not be lost: the connection is to prove itself now.
                registry.challenge(companion.peer());
                call.await
            }
        };
        let count = answer.ok().and_then(|bytes| bytes.as_ref().try_into().ok());
        match count.map(u64::from_be_bytes) {
            Some(count) => hub.with(|router, _| router.taken(companion.peer(), count)),
            None => sleep(LONG_PAUSE).await,
        }
    }
}
