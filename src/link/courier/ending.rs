//! How errands end: counted, noted for `why`, said in the log, and kept for whoever looks.

use crate::counters::Reason;
use crate::link::courier::table::{Errand, Target};

use super::told::Ended;
use super::{Courier, RECENT, REFUSALS, hash_words, lock};

/// It arrived; or a reason, and the same in words.
pub(super) type End = Result<(), (Reason, String)>;

impl Courier {
    /// Nothing more is done for that federate.
    pub(super) fn ended(&self, key: u64, peer: &str, end: End) {
        let (target, filename, hash) = {
            let mut table = self.table();
            let Some(errand) = table.find(key) else {
                return;
            };
            let names = (errand.filename.clone(), hash_words(errand));
            (table.settle(key, peer), names.0, names.1)
        };
        if let Some(target) = target {
            self.note_end(&target, (&filename, &hash), end);
        }
        lock(&self.0.reading).take();
        self.change();
    }

    /// Counts and tells how it ended for a federate.
    pub(super) fn note_end(&self, target: &Target, (filename, hash): (&str, &str), end: End) {
        let peer = target.peer.as_str();
        match &end {
            Ok(()) => tracing::info!(peer, hash, "{peer} has the data package \"{filename}\""),
            Err((reason, words)) => tracing::warn!(
                peer,
                hash,
                %reason,
                "{peer} does not get the data package \"{filename}\": {words}"
            ),
        }
        let outcome = match &end {
            Ok(()) => Ok(()),
            Err((reason, _)) => Err(*reason),
        };
        self.0
            .node
            .hub
            .with(|router, _| router.package_ended(peer, target.mark, outcome));
        self.keep(peer, false, (filename, hash), end);
    }

    /// The same for a package that came.
    pub(super) fn note_arrival(&self, errand: &Errand, end: End) {
        let peer = errand.from.as_deref().unwrap_or_default();
        let (filename, hash) = (&errand.filename, hash_words(errand));
        match &end {
            Ok(()) => tracing::info!(
                peer,
                hash,
                "the data package \"{filename}\" came from {peer}"
            ),
            Err((reason, words)) => tracing::warn!(
                peer,
                hash,
                %reason,
                "the data package \"{filename}\" of {peer} is not taken: {words}"
            ),
        }
        self.keep(peer, true, (filename, &hash), end);
    }

    fn keep(&self, peer: &str, incoming: bool, (filename, hash): (&str, &str), end: End) {
        let mut recent = lock(&self.0.recent);
        if recent.len() >= RECENT {
            recent.pop_front();
        }
        let (reason, words) = match end {
            Ok(()) => (None, "arrived".to_owned()),
            Err((reason, words)) => (Some(reason.word().to_owned()), words),
        };
        recent.push_back(Ended {
            at_ms: self.0.node.hub.now().wall_ms,
            peer: peer.to_owned(),
            incoming,
            hash: hash.to_owned(),
            filename: filename.to_owned(),
            reason,
            words,
        });
    }

    /// A peer's package is not taken.
    pub(super) fn refuse(&self, key: u64, reason: Reason, words: &str) {
        let Some(errand) = self.table().remove(key) else {
            return;
        };
        if let Some(peer) = &errand.from {
            self.0
                .node
                .hub
                .with(|router, now| router.refuse_package(peer, &errand.message, reason, now));
        }
        self.remember_refusal(key, reason, words);
        self.note_arrival(&errand, Err((reason, words.to_owned())));
        self.change();
    }

    /// Whoever asks again hears the same.
    pub(super) fn remember_refusal(&self, key: u64, reason: Reason, words: &str) {
        let mut refused = lock(&self.0.refused);
        refused.retain(|(known, ..)| *known != key);
        if refused.len() >= REFUSALS {
            refused.pop_front();
        }
        refused.push_back((key, reason, words.to_owned()));
    }

    /// A peer's request is not even begun.
    pub(super) fn refuse_message(&self, peer: &str, message: &[u8], reason: Reason, words: &str) {
        self.0
            .node
            .hub
            .with(|router, now| router.refuse_package(peer, message, reason, now));
        tracing::warn!(peer, %reason, "a data package of {peer} is not taken: {words}");
        self.keep(peer, true, ("", ""), Err((reason, words.to_owned())));
    }

    /// The bytes never came.
    pub(super) fn missing(&self, key: u64) {
        let Some(errand) = self.table().find(key).cloned() else {
            return;
        };
        let words = match &errand.from {
            None => "its sender announced it and never uploaded it to this box",
            Some(_) => "it was announced, and its bytes did not come",
        };
        for target in &errand.targets {
            self.ended(
                key,
                &target.peer,
                Err((Reason::PackageMissing, words.to_owned())),
            );
        }
        if !errand.told {
            self.refuse(key, Reason::PackageMissing, words);
        }
        self.table().remove(key);
        self.change();
    }
}
