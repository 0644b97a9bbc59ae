//! The two shapes of the documents that no TAK Server reads: `federation-server.xml` (S24) and `<federation port=
//! v1Enabled= .../>` within `<network>` (S22).

use super::found::{Found, joined, set};
use super::xml::Element;
use crate::config::environment::Setting;
use crate::config::spec::PeerSpec;
use crate::config::written::Written;

/// What the documents write as the port of federation.
const PORT: &str = "9000";

/// Reads `<FederationServer>`.
pub fn read(root: &Element) -> Found {
    let mut found = Found::default();
    for federation in &root.children {
        if federation.name != "Federation" {
            found.leave(federation.line, &federation.name, "it means nothing here");
            continue;
        }
        for child in &federation.children {
            match child.name.as_str() {
                "FederationOutgoing" => outgoing(child, &mut found),
                name => found.leave(child.line, name, "it means nothing here"),
            }
        }
    }
    found
}

fn outgoing(element: &Element, found: &mut Found) {
    let value = |name| {
        element
            .attribute(name)
            .filter(|value| !value.trim().is_empty())
    };
    let name = value("id").or(value("displayName")).unwrap_or_default();
    let mut peer = PeerSpec::of(name);
    let Some(host) = value("host").or(value("address")) else {
        return found.leave(element.line, format!("{name:?}"), "it has no host");
    };
    peer.address = Some(joined(host, value("port").unwrap_or(PORT)));
    peer.enabled = value("enabled") != Some("false");
    if value("protocolVersion") == Some("1") {
        set(&mut peer, "protocol", Written::Text("v1".to_owned()));
    }
    for (direction, key) in [("in", "inbound_groups"), ("out", "outbound_groups")] {
        let groups = element.all("filtergroup");
        let groups = groups.filter(|group| group.attribute("direction") == Some(direction));
        let groups: Vec<String> = groups
            .filter_map(|group| group.attribute("groupFilterName"))
            .map(str::to_owned)
            .collect();
        if !groups.is_empty() {
            set(&mut peer, key, Written::List(groups));
        }
    }
    for child in &element.children {
        let known = child.name == "filtergroup"
            && matches!(child.attribute("direction"), Some("in" | "out"))
            && child.attribute("groupFilterName").is_some();
        if !known {
            found.leave(
                child.line,
                &child.name,
                "it is no <filtergroup> with direction in or out and a group's name",
            );
        }
    }
    for (name, words) in [
        (
            "reconnectInterval",
            "this box waits longer from try to try by itself, and begins at once when a network comes back",
        ),
        ("maxRetries", "this box never gives up"),
    ] {
        if let Some(value) = value(name) {
            found.leave(element.line, format!("{name} = {value}"), words);
        }
    }
    if let Some(other) = value("fallback").filter(|other| *other != "false") {
        found.leave(
            element.line,
            format!("fallback = {other}"),
            "write fallback_of = \"NAME\" into the peer that stands in for another",
        );
    }
    let known = [
        "id",
        "displayName",
        "host",
        "address",
        "port",
        "enabled",
        "protocolVersion",
        "reconnectInterval",
        "maxRetries",
        "fallback",
    ];
    for (name, _) in &element.attributes {
        if !known.contains(&name.as_str()) {
            found.leave(element.line, name, "it means nothing here");
        }
    }
    found.peer(element.line, peer);
}

/// Whether a `<federation>` is that of the documents, and not a TAK Server's.
pub fn is_line(element: &Element) -> bool {
    let ours = [
        "v1Enabled",
        "v2Enabled",
        "useV1",
        "useV2",
        "allowMissionPackageUpload",
    ];
    element.name == "federation" && ours.iter().any(|name| element.attribute(name).is_some())
}

/// Reads that `<federation .../>`.
pub fn read_line(element: &Element) -> Found {
    let mut found = Found::default();
    for (name, value) in &element.attributes {
        let said = format!("{name} = {value}");
        let words = match (name.as_str(), value.as_str()) {
            ("port", port) => match port.parse::<u16>() {
                Ok(port) if port > 0 => {
                    let address = format!("0.0.0.0:{port}");
                    let from = format!("line {}: {said}", element.line);
                    found
                        .settings
                        .push(Setting::text("listen.federation", &address, from));
                    continue;
                }
                _ => "it is no port",
            },
            // One port answers both, and a peer is told which one it speaks.
            ("v2Enabled" | "useV2", "true") => continue,
            ("v1Enabled" | "useV1", "false") => continue,
            ("v1Enabled" | "useV1", _) => {
                "version 1 is spoken with those peers that have protocol = \"v1\", on the same port"
            }
            ("v2Enabled" | "useV2", _) => {
                "version 2 is spoken with every peer that has no protocol = \"v1\""
            }
            ("allowMissionPackageUpload", "false") => {
                "data packages are a switch of each peer: data_packages_in = false"
            }
            ("allowMissionPackageUpload", "true") => continue,
            ("missionPackageSizeLimit", _) => "the size of data packages is not set by this file",
            ("missionPackageStartPort" | "missionPackageStopPort", _) => {
                "data packages need no range of ports here"
            }
            _ => "it means nothing here",
        };
        found.leave(element.line, said, words);
    }
    found
}
