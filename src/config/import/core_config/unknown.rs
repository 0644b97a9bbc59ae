//! What a TAK Server can be told and this box cannot, with the reason.

use crate::config::import::found::Found;
use crate::config::import::xml::Element;

/// Attributes without a key of ours, with their defaults: with another value they are worth a word.
pub const FEDERATION: &[(&str, &str, &str)] = &[
    (
        "enableFederation",
        "true",
        "federation was switched off there; its peers are taken over all the same",
    ),
    (
        "allowDuplicate",
        "false",
        "this box keeps one link for each peer",
    ),
    (
        "allowFederatedDelete",
        "false",
        "deletes cross like every event; block_types = [\"t-x-d-d\"] stops them",
    ),
    (
        "allowMissionFederation",
        "true",
        "missions are not kept by this box",
    ),
    (
        "allowDataFeedFederation",
        "true",
        "this box has no data feeds",
    ),
    (
        "enableMissionFederationDisruptionTolerance",
        "true",
        "missions are not kept by this box",
    ),
    (
        "missionFederationDisruptionToleranceRecencySeconds",
        "43200",
        "missions are not kept by this box",
    ),
    (
        "federateOnlyPublicMissions",
        "false",
        "missions are not kept by this box",
    ),
];
/// Those of `<federation-outgoing>`.
pub const OUTGOING: &[(&str, &str, &str)] = &[
    (
        "reconnectInterval",
        "30",
        "this box waits longer from try to try by itself, and begins at once when a network comes back",
    ),
    ("maxRetries", "0", "this box never gives up"),
    ("unlimitedRetries", "true", "this box never gives up"),
    ("filter", "", "no TAK Server looks at it either"),
    (
        "maxFrameSize",
        "268435456",
        "[limits] max_event_kib bounds every event here",
    ),
    (
        "connectionToken",
        "",
        "this box knows federates by certificate, not by token",
    ),
    (
        "useToken",
        "false",
        "this box knows federates by certificate, not by token",
    ),
    (
        "tokenType",
        "",
        "this box knows federates by certificate, not by token",
    ),
    ("tls", "true", "this box dials with TLS only"),
];
/// Those of `<federate>`.
pub const FEDERATE: &[(&str, &str, &str)] = &[
    (
        "shareAlerts",
        "true",
        "emergencies cross unless a filter names them",
    ),
    ("archive", "true", "this box keeps no archive"),
    ("notes", "", "a note"),
    (
        "tokenFederate",
        "false",
        "this box knows federates by certificate, not by token",
    ),
    (
        "tokenExpiration",
        "",
        "this box knows federates by certificate, not by token",
    ),
];
/// Those of `<federation-server>`.
pub const SERVER: &[(&str, &str, &str)] = &[
    ("coreVersion", "2", "this box speaks both"),
    (
        "webBaseUrl",
        "",
        "others reach this box at [node] advertised_host",
    ),
    ("httpsPort", "8444", "it is the TAK Server's"),
    (
        "healthCheckIntervalSeconds",
        "3",
        "keepalives are found out by themselves, or set with keepalive_seconds",
    ),
    (
        "initializationDelaySeconds",
        "30",
        "this box begins at once",
    ),
    (
        "maxMessageSizeBytes",
        "268435456",
        "[limits] max_event_kib bounds every event here",
    ),
];

/// Attributes that have no key of ours, each with its reason.
pub fn rest(element: &Element, table: &[(&str, &str, &str)], known: &[&str], found: &mut Found) {
    for (name, value) in &element.attributes {
        let said = format!("{name} = {value}");
        match table.iter().find(|(row, ..)| row == name) {
            Some((_, default, _)) if value == default => {}
            Some((.., words)) => found.leave(element.line, said, words),
            None if known.contains(&name.as_str())
                || name.starts_with("xmlns")
                || name == "_name" => {}
            None => found.leave(element.line, said, "it means nothing here"),
        }
    }
}
