//! Handing a package to one federate, in the way that this one can take it.

use tokio::task::spawn_blocking;

use crate::counters::Reason;
use crate::link::packages::Refusal;
use crate::packages::Details;

use super::boxes::{self, Answered};
use super::ending::End;
use super::table::{Errand, Path};
use super::{Courier, upload};

/// How a try ended.
enum Tried {
    /// For good.
    Ended(End),
    /// The peer has not said yet, or has no room: it is asked again.
    Waits,
    /// It is on its way; the link says how it ends.
    Offered,
    /// It is tried again after a pause.
    Failed(String),
}

impl Courier {
    pub(super) async fn hand(&self, key: u64, peer: &str, path: Path) {
        let errand = self.table().find(key).cloned();
        let Some(errand) = errand else { return };
        let tried = self.try_hand(&errand, peer, path).await;
        let now = self.0.node.hub.now().mono_ms;
        match tried {
            Tried::Ended(end) => self.ended(key, peer, end),
            Tried::Offered => self.table().release(key, peer),
            Tried::Waits => self.table().put_off_target(key, peer, false, now),
            Tried::Failed(words) => {
                tracing::info!(
                    peer,
                    "the data package \"{}\" does not get to {peer} yet: {words}",
                    errand.filename
                );
                // A link that is down is no failure of the package's.
                let failed = self.path(peer) != Path::Away;
                self.table().put_off_target(key, peer, failed, now);
            }
        }
        self.0.wake.notify_one();
    }

    async fn try_hand(&self, errand: &Errand, peer: &str, path: Path) -> Tried {
        let may = self
            .0
            .node
            .hub
            .with(|router, _| router.may_send_package(peer));
        if let Err(reason) = may {
            let words = format!("the settings of {peer} were changed: {reason}");
            return Tried::Ended(Err((reason, words)));
        }
        match self.look(errand, peer).await {
            Ok(()) => {}
            Err(None) => return Tried::Failed("the store does not give it".to_owned()),
            Err(Some(end)) => return Tried::Ended(Err(end)),
        }
        let (store, hash) = (self.0.store.clone(), errand.hash());
        let found = spawn_blocking(move || store.find(&hash))
            .await
            .ok()
            .flatten();
        let Some(details) = found else {
            return Tried::Failed("the store does not give it".to_owned());
        };
        let target = errand.targets.iter().find(|target| target.peer == peer);
        let own = target.and_then(|target| target.message.clone());
        let message = own.unwrap_or_else(|| errand.message.clone());
        match path {
            Path::Box => self.offer(peer, message, &details).await,
            Path::Upload => self.upload(errand, peer, message, &details).await,
            Path::Resource => match self.offer_resource(errand, peer, &message, &details) {
                Ok(()) => Tried::Offered,
                Err(Refusal::LinkDown | Refusal::QueueFull | Refusal::NoStream) => Tried::Waits,
                Err(refusal) => Tried::Ended(Err((refusal.reason(), refusal.to_string()))),
            },
            Path::Away | Path::None => Tried::Waits,
        }
    }

    async fn offer(&self, peer: &str, message: Vec<u8>, details: &Details) -> Tried {
        let Some(companion) = self.0.node.companions.of(peer) else {
            return Tried::Failed("the link is down".to_owned());
        };
        match boxes::offer(&companion, message, details).await {
            Ok(Answered::Has) => Tried::Ended(Ok(())),
            Ok(Answered::Taken) => Tried::Waits,
            Ok(Answered::Later(words)) => {
                tracing::info!(peer, "{peer} takes no data package now: {words}");
                Tried::Waits
            }
            Ok(Answered::Refused(words)) => {
                let words = format!("{peer} refuses it: {words}");
                Tried::Ended(Err((Reason::PackageRefused, words)))
            }
            Err(status) => Tried::Failed(status.message),
        }
    }

    async fn upload(
        &self,
        errand: &Errand,
        peer: &str,
        message: Vec<u8>,
        details: &Details,
    ) -> Tried {
        let host = self.0.node.board.status(peer).map(|status| status.address);
        let host = host.filter(|host| !host.is_empty());
        let done = {
            let this = self.clone();
            let (key, name) = (errand.key, peer.to_owned());
            move |done| {
                if let Some(target) = this.table().target(key, &name) {
                    target.done = done;
                }
            }
        };
        let sent = (self.0.uploads)
            .send(
                peer,
                host.as_deref(),
                (&self.0.store, &self.0.clerk, details),
                &self.0.node,
                done,
            )
            .await;
        let url = match sent {
            Ok(url) => url,
            Err(upload::Trouble::Again(words)) => return Tried::Failed(words),
            Err(upload::Trouble::Refused(words)) => {
                let words = format!("{peer} refuses it: {words}");
                return Tried::Ended(Err((Reason::PackageRefused, words)));
            }
        };
        let message = match upload::readdressed(&message, &url) {
            Some(message) => message,
            None => {
                return Tried::Ended(Err((
                    Reason::BadMessage,
                    "its request is unreadable".to_owned(),
                )));
            }
        };
        let sent = (self.0.node.hub).with(|router, now| router.send_package(peer, &message, now));
        match sent {
            Ok(()) => Tried::Ended(Ok(())),
            Err(reason) => Tried::Failed(format!("its announcement: {reason}")),
        }
    }
}
