//! Why an event did not go on, in sentences with the cure; the words themselves are those of [`Reason`].

use crate::counters::Reason;

/// What the reason means and what to do about it. `of` is who the event came from or was for, such as `bravo`.
pub fn reason(reason: Reason, of: &str) -> String {
    match of {
        "" => sentence(reason).replace("{of}", "the peer"),
        of => sentence(reason).replace("{of}", of),
    }
}

/// Which rule of a filter kept an event back, as it is written, and where that is.
///
/// `table` is that of the neighbour: `peer`, `mesh` and the like.
pub fn filtered(rule: Option<&str>, table: &str, name: &str) -> String {
    match rule {
        Some(rule) => {
            format!("the filter of {name} stops it: {rule} ([{table}.filter] of \"{name}\")")
        }
        None => format!("the filter of {name} stopped it; it was changed since then"),
    }
}

/// The kind of rule that a reason belongs to, in one word: direction, groups, loop, stale, filter, queue, link, content.
pub fn rule(reason: Reason) -> &'static str {
    match reason {
        Reason::IncomingOff | Reason::OutgoingOff => "direction",
        Reason::Duplicate
        | Reason::Loop
        | Reason::HopLimit
        | Reason::SaidAlready
        | Reason::Overheard => "loop",
        Reason::Expired => "stale",
        Reason::ControlMessage
        | Reason::MissionChange
        | Reason::Resource
        | Reason::ResourceTooLarge
        | Reason::Filtered
        | Reason::DataPackagesOff => "filter",
        Reason::NoDestination => "destination",
        Reason::NoGroup => "groups",
        Reason::Conflated
        | Reason::Evicted
        | Reason::Refused
        | Reason::Thinned
        | Reason::ResourceRefused => "queue",
        Reason::LinkDown | Reason::SpoolFull | Reason::SpoolExpired | Reason::SpoolDamaged => {
            "link"
        }
        Reason::Malformed
        | Reason::Ambiguous
        | Reason::Doctype
        | Reason::ProcessingInstruction
        | Reason::Entity
        | Reason::NotText
        | Reason::TooDeep
        | Reason::Oversize
        | Reason::HalfEvent
        | Reason::Garbage
        | Reason::Incomplete
        | Reason::BadTime
        | Reason::BadMessage
        | Reason::BadResource
        | Reason::DatagramTooLong
        | Reason::BadFraming => "content",
        // What only one part of the box counts is of the queue it waits in.
        #[allow(unreachable_patterns, reason = "reasons are added elsewhere")]
        _ => "queue",
    }
}

fn sentence(reason: Reason) -> &'static str {
    match reason {
        Reason::Malformed => {
            "it is not one well-formed element: the program that sends it must be corrected"
        }
        Reason::Ambiguous => {
            "it hides a second event in CDATA or a comment, which some receivers would take for one"
        }
        Reason::Doctype => "it has a document type declaration, which no TAK program needs",
        Reason::ProcessingInstruction => {
            "it has a processing instruction inside, which no TAK program needs"
        }
        Reason::Entity => "it uses an entity that XML does not define by itself",
        Reason::NotText => "it is not UTF-8, or holds a character that XML forbids",
        Reason::TooDeep => "its elements are nested deeper than any TAK program does",
        Reason::Oversize => {
            "it is longer than max_event_kib, or than the 16 KiB that FreeTAKServer bears: raise that limit, or send the \
             file another way"
        }
        Reason::HalfEvent => {
            "it was begun and not finished in time: the connection is too slow for it or broke off"
        }
        Reason::Garbage => "what came between events is no CoT",
        Reason::Incomplete => {
            "it lacks a time, a point or `how`, without which it cannot cross federation; local clients got it"
        }
        Reason::BadTime => "one of its times is no time",
        Reason::BadMessage => "the message cannot be read",
        Reason::BadFraming => "the gRPC frame cannot be true",
        Reason::Duplicate => {
            "the same content came already within dedup_seconds; the first one was passed on"
        }
        Reason::Loop => {
            "it had been through this box before and came back; the first one was passed on"
        }
        Reason::HopLimit => "it has come as many hops as its sender allows",
        Reason::IncomingOff => {
            "`incoming = false` for {of}: `tombolo peer set {of} --incoming` takes its events"
        }
        Reason::OutgoingOff => {
            "`outgoing = false` for {of}: `tombolo peer set {of} --outgoing` sends it ours"
        }
        Reason::Filtered => {
            "the `filter` of {of} does not let it through: see its settings, and `tombolo lint`"
        }
        Reason::DataPackagesOff => {
            "data packages are switched off for {of}: `data_packages_in` and `data_packages_out` in its settings"
        }
        Reason::ControlMessage => {
            "a message between client and server, which ends at the server it is sent to"
        }
        Reason::MissionChange => {
            "a mission change, which never crosses federation; local clients got it"
        }
        Reason::NoDestination => {
            "it is addressed to contacts whom nobody here has announced: they must have sent their position first"
        }
        Reason::NoGroup => {
            "it is in none of the groups that go that way: see inbound_groups, outbound_groups and group mapping of {of} \
             and of the networks"
        }
        Reason::Conflated => "a newer event of the same uid took its place while it waited",
        Reason::Expired => {
            "it went stale while it waited: the link is slower than its events are short-lived"
        }
        Reason::Evicted => {
            "it made room for more important traffic: the link cannot take all that is offered"
        }
        Reason::Refused => {
            "the queue was full of traffic at least as important: raise outbox_kib or waiting_kib"
        }
        Reason::LinkDown => "the link was down: `tombolo check {of}` says why",
        Reason::Thinned => {
            "longer than a link of that `rate` takes of its class, or than FreeTAKServer bears (15 KiB): send it another \
             way, or raise the rate"
        }
        Reason::SpoolFull => {
            "it gave way in the full store of what waits for {of}: raise spool_kib, or bring the link back"
        }
        Reason::SpoolExpired => "it waited longer than spool_hours for {of} to come back",
        Reason::SpoolDamaged => {
            "what was stored for {of} could not be read back: see `storage` in `status`"
        }
        Reason::DatagramTooLong => {
            "it is too long for a datagram: what is said on a mesh is short, send it by a server"
        }
        Reason::Overheard => {
            "a box that is our federate said it on that network; it comes by federation too, if it is for us"
        }
        Reason::SaidAlready => {
            "another box or the sender itself had said it on that network; once is enough"
        }
        Reason::NotInTak => {
            "longer than 64 KiB as a TakMessage, which is more than clients on TAK protocol v1 take; those on XML got it"
        }
        Reason::PackageQueue => {
            "more data packages were announced than are carried at once: wait until those under way are over"
        }
        Reason::PackageMissing => {
            "a data package was announced and its bytes never came: its sender must upload it to this box first"
        }
        Reason::PackageTooLarge => {
            "the data package is larger than `package_limit_mib` of {of}, or `max_package_mib` of [packages], allows"
        }
        Reason::PackageBlocked => {
            "the data package holds a file that `package_block_extensions` of {of} names"
        }
        Reason::PackageRefused => {
            "the other end does not take the data package: `status` has its words"
        }
        Reason::Resource => {
            "a data package, mission or data feed that nobody here takes: see data_packages_in and relay_missions"
        }
        Reason::ResourceTooLarge => {
            "a data package longer than may cross: raise max_package_mib of [packages] or package_limit_mib of the peer"
        }
        Reason::BadResource => {
            "a resource message that cannot be read, or a package whose bytes are not those of its hash"
        }
        Reason::ResourceRefused => {
            "the store, or the queue of the peer, had no room for a data package"
        }
        #[allow(unreachable_patterns, reason = "reasons are added elsewhere")]
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_has_a_sentence_of_its_own() {
        let sentences: BTreeSet<String> = Reason::ALL
            .iter()
            .map(|&one| {
                let words = reason(one, "bravo");
                assert!(words.len() > 20, "{one} needs a sentence in api/words.rs");
                words
            })
            .collect();
        assert_eq!(sentences.len(), Reason::ALL.len());
        assert!(reason(Reason::IncomingOff, "bravo").contains("peer set bravo --incoming"));
    }
}
