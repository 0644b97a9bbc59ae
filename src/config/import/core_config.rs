//! A TAK Server's `CoreConfig.xml` (protocol reference 4): whom it federates with, as peers of this box.

mod unknown;

use unknown::{FEDERATE, FEDERATION, OUTGOING, SERVER, rest};

use super::found::{Found, joined, set};
use super::xml::Element;
use crate::config::authority;
use crate::config::environment::Setting;
use crate::config::spec::PeerSpec;
use crate::config::written::Written;
use crate::pki::Fingerprint;

/// The `<federation>` of a file, wherever it stands in it.
pub fn federation(root: &Element) -> Option<&Element> {
    match root.name.as_str() {
        "federation" => Some(root),
        "network" => root.first("federation"),
        "Configuration" => (root.first("federation")).or_else(|| {
            root.first("network")
                .and_then(|network| network.first("federation"))
        }),
        _ => None,
    }
}

/// Reads a TAK Server's `<federation>`; `authority` gives the CA of a peer as PEM.
pub fn read(federation: &Element, authority: &dyn Fn(&str) -> Option<String>) -> Found {
    let mut found = Found::default();
    rest(
        federation,
        FEDERATION,
        &["enableDataPackageAndMissionFileFilter"],
        &mut found,
    );
    let mut dialled = Vec::new();
    let mut federates = Vec::new();
    for child in &federation.children {
        match child.name.as_str() {
            "federation-server" => server(child, &mut found),
            "federation-outgoing" => dialled.push(child),
            "federate" => federates.push(child),
            "fileFilter" | "federateCA" => {}
            "mission-disruption-tolerance" => {
                found.leave(child.line, &child.name, "missions are not kept by this box");
            }
            name => found.leave(child.line, name, "it means nothing here"),
        }
    }
    let mut taken = Vec::new();
    for element in dialled {
        let Some(mut peer) = outgoing(element, &mut found) else {
            continue;
        };
        let own = federates.iter().copied();
        let mut own = own.filter(|federate| is_of(federate, &peer, element));
        if let Some(federate) = own.next()
            && fingerprint(federate, &mut found, &mut peer)
        {
            taken.push(federate.line);
            details(federate, &mut peer, &mut found);
        }
        found.peer(element.line, peer);
    }
    for federate in federates {
        if taken.contains(&federate.line) {
            continue;
        }
        let mut peer = PeerSpec::of(common_name(federate));
        if fingerprint(federate, &mut found, &mut peer) {
            details(federate, &mut peer, &mut found);
            found.peer(federate.line, peer);
        }
    }
    fallbacks(federation, &mut found);
    found.trust(authority);
    for element in federation.all("federateCA") {
        federate_authority(element, &mut found);
    }
    file_filter(federation, &mut found);
    for peer in &found.peers {
        if !peer.more.contains_key("inbound_groups") && !peer.more.contains_key("outbound_groups") {
            let words = "no <federate> of that name says its groups, so every group crosses; inbound_groups and \
                         outbound_groups of the peer choose";
            found
                .left_out
                .push(format!("peer \"{}\": {words}", peer.name));
        }
    }
    found
}

fn server(element: &Element, found: &mut Found) {
    rest(
        element,
        SERVER,
        &["port", "v1enabled", "v2port", "v2enabled"],
        found,
    );
    let is_on = |name: &str| element.attribute(name) != Some("false");
    let mut ports = Vec::new();
    if is_on("v2enabled") {
        ports.push(element.attribute("v2port").unwrap_or("9001"));
    }
    if is_on("v1enabled") {
        ports.push(element.attribute("port").unwrap_or("9000"));
        let further = element
            .all("federation-port")
            .filter_map(|port| port.attribute("port"));
        ports.extend(further);
    }
    let mut addresses: Vec<String> = Vec::new();
    for port in ports {
        match port.trim().parse::<u16>() {
            Ok(port) if port > 0 => addresses.push(format!("0.0.0.0:{port}")),
            _ => found.leave(element.line, format!("port {port}"), "it is no port"),
        }
    }
    addresses.sort();
    addresses.dedup();
    // 9001 alone is what a box listens on anyway.
    if !addresses.is_empty() && addresses != ["0.0.0.0:9001"] {
        let list = toml_edit::Value::Array(addresses.into_iter().collect());
        found.settings.push(Setting {
            key: "listen.federation",
            value: list.to_string(),
            from: format!("line {}: federation-server", element.line),
        });
    }
    for child in &element.children {
        let words = match child.name.as_str() {
            "federation-port" | "v1Tls" => continue,
            "tls" => {
                "its keystores stay with the TAK Server: this box has its own key (`tombolo cert show`), and a peer's CA \
                 comes by --ca-cert"
            }
            "federation-token-authentication" => {
                "this box knows federates by certificate, not by token"
            }
            _ => "it means nothing here",
        };
        found.leave(child.line, &child.name, words);
    }
}

fn outgoing(element: &Element, found: &mut Found) -> Option<PeerSpec> {
    let value = |name| {
        element
            .attribute(name)
            .filter(|value| !value.trim().is_empty())
    };
    let known = [
        "displayName",
        "address",
        "port",
        "enabled",
        "protocolVersion",
        "fallback",
    ];
    rest(element, OUTGOING, &known, found);
    let mut peer = PeerSpec::of(value("displayName").unwrap_or_default());
    let what = format!("federation-outgoing {:?}", peer.name);
    let (Some(host), Some(port)) = (value("address"), value("port")) else {
        found.leave(element.line, what, "it has no address or no port");
        return None;
    };
    peer.address = Some(joined(host, port));
    peer.enabled = value("enabled") != Some("false");
    match value("protocolVersion") {
        Some("2") => {}
        Some("1") => set(&mut peer, "protocol", Written::Text("v1".to_owned())),
        None => {
            set(&mut peer, "protocol", Written::Text("v1".to_owned()));
            let words = "without protocolVersion a TAK Server speaks version 1, and so does this peer; take protocol = \
                         \"v1\" out if it speaks 2";
            found.leave(element.line, what, words);
        }
        Some(other) => {
            found.leave(
                element.line,
                format!("protocolVersion = {other}"),
                "there are 1 and 2",
            );
            return None;
        }
    }
    Some(peer)
}

/// `fallback` names the connection that stands in for this one; ours names the one that is stood in for.
fn fallbacks(federation: &Element, found: &mut Found) {
    for element in federation.all("federation-outgoing") {
        let name = element.attribute("displayName").unwrap_or_default();
        let Some(other) = element
            .attribute("fallback")
            .filter(|other| !other.trim().is_empty())
        else {
            continue;
        };
        match found
            .peers
            .iter_mut()
            .find(|peer| peer.name == other && other != name)
        {
            Some(peer) => set(peer, "fallback_of", Written::Text(name.to_owned())),
            None => found.leave(
                element.line,
                format!("fallback = {other}"),
                "no connection of that name is here",
            ),
        }
    }
}

/// The common name of a federate: a TAK Server calls it `CN:CN of its issuer`.
fn common_name(federate: &Element) -> &str {
    let name = federate.attribute("name").unwrap_or_default();
    name.split_once(':')
        .map_or(name, |(subject, _)| subject)
        .trim()
}

fn is_of(federate: &Element, peer: &PeerSpec, dialled: &Element) -> bool {
    let same = |one: &str, other: &str| {
        let plain = |text: &str| {
            let letters = text
                .chars()
                .filter(|letter| letter.is_alphanumeric() || *letter == '.');
            letters.flat_map(char::to_lowercase).collect::<String>()
        };
        !one.is_empty() && plain(one) == plain(other)
    };
    let whole = federate.attribute("name").unwrap_or_default();
    let host = dialled.attribute("address").unwrap_or_default();
    [whole, common_name(federate)]
        .iter()
        .any(|name| same(name, &peer.name) || same(name, host))
}

/// A federate's id is the fingerprint of its certificate.
fn fingerprint(federate: &Element, found: &mut Found, peer: &mut PeerSpec) -> bool {
    let id = federate.attribute("id").unwrap_or_default();
    match id.parse::<Fingerprint>() {
        Ok(fingerprint) => {
            peer.fingerprint = Some(fingerprint.to_string());
            true
        }
        Err(_) => {
            let what = format!("federate {:?}", common_name(federate));
            found.leave(
                federate.line,
                what,
                "its id is no SHA-256 fingerprint of a certificate",
            );
            false
        }
    }
}

/// What a `<federate>` says beside its id.
fn details(federate: &Element, peer: &mut PeerSpec, found: &mut Found) {
    let known = [
        "id",
        "name",
        "federatedGroupMapping",
        "automaticGroupMapping",
        "maxHops",
        "useGroupHopLimiting",
        "fallbackWhenNoGroupMappings",
    ];
    rest(federate, FEDERATE, &known, found);
    groups(federate, peer, found);
    let is_on = |name: &str| federate.attribute(name) == Some("true");
    for (name, key) in [
        ("federatedGroupMapping", "group_mapping"),
        ("automaticGroupMapping", "automatic_group_mapping"),
        (
            "fallbackWhenNoGroupMappings",
            "fallback_when_no_group_mappings",
        ),
    ] {
        if is_on(name) {
            set(peer, key, Written::Switch(true));
        }
    }
    let mapped = federate.texts("inboundGroupMapping");
    let names_are_known = !mapped.is_empty()
        || is_on("automaticGroupMapping")
        || is_on("fallbackWhenNoGroupMappings");
    if is_on("federatedGroupMapping") && !names_are_known {
        // The validator would refuse it: nothing of the peer would be taken.
        peer.more.remove("group_mapping");
        let words = "no group of the peer has a meaning there, so nothing of it was taken; it is off here until an \
                     inbound_group_mapping says one";
        found.leave(federate.line, "federatedGroupMapping", words);
    }
    if !mapped.is_empty() {
        set(peer, "inbound_group_mapping", Written::List(mapped));
    }
    let limits = federate.all("outboundGroupHopLimit");
    let limits: Vec<String> = limits
        .filter_map(|limit| {
            let hops = limit.attribute("hopLimit").unwrap_or("-1");
            Some(format!("{}:{hops}", limit.attribute("groupName")?))
        })
        .collect();
    if is_on("useGroupHopLimiting") && !limits.is_empty() {
        set(peer, "outbound_group_hop_limits", Written::List(limits));
    }
    for child in &federate.children {
        if matches!(child.name.as_str(), "mission" | "missionFederateDefault")
            && child.text.trim() != "true"
        {
            found.leave(child.line, &child.name, "missions are not kept by this box");
        }
    }
}

/// Groups and hops, as `<federate>` and `<federateCA>` say them. What lists none takes or gives none, as there.
fn groups(element: &Element, peer: &mut PeerSpec, found: &mut Found) {
    for (name, key, words) in [
        (
            "inboundGroup",
            "inbound_groups",
            "nothing of it is taken, as at the TAK Server",
        ),
        (
            "outboundGroup",
            "outbound_groups",
            "nothing is sent to it, as at the TAK Server",
        ),
    ] {
        let listed = element.texts(name);
        if listed.is_empty() {
            found.leave(
                element.line,
                format!("peer {:?} has no {name}", peer.name),
                words,
            );
        }
        set(peer, key, Written::List(listed));
    }
    match element.attribute("maxHops").map(str::trim) {
        None | Some("-1" | "") => {}
        Some(hops) => match hops.parse::<i64>() {
            Ok(hops @ 1..=254) => set(peer, "max_hops", Written::Number(hops)),
            _ => found.leave(
                element.line,
                format!("maxHops = {hops}"),
                "it is 1 to 254 hops",
            ),
        },
    }
}

/// The groups of those peers whose CA it is, and that have none of their own.
fn federate_authority(element: &Element, found: &mut Found) {
    let written = element.attribute("fingerprint").unwrap_or_default();
    let wanted = written.parse::<Fingerprint>().ok();
    let is_its = |peer: &PeerSpec| {
        let certificates = peer
            .ca_pem
            .as_ref()
            .map(|pem| authority::read(pem.as_bytes()));
        let certificates = certificates.and_then(Result::ok).unwrap_or_default();
        certificates
            .iter()
            .any(|one| Some(Fingerprint::of(one)) == wanted)
    };
    let mut peers = std::mem::take(&mut found.peers);
    let mut is_used = false;
    for peer in peers.iter_mut().filter(|peer| is_its(peer)) {
        is_used = true;
        if !peer.more.contains_key("inbound_groups") {
            groups(element, peer, found);
        }
    }
    found.peers = peers;
    if !is_used {
        let what = format!("federateCA {}", written.get(..11).unwrap_or(written));
        let words = "no peer of this file is known by that CA; give it with --ca-cert NAME=FILE to the peer that it issued";
        found.leave(element.line, what, words);
    }
    if element.attribute("allowTokenAuth") == Some("true") {
        found.leave(
            element.line,
            "allowTokenAuth",
            "this box knows federates by certificate, not by token",
        );
    }
}

/// Extensions of files that no data package may hold.
fn file_filter(federation: &Element, found: &mut Found) {
    let Some(filter) = federation.first("fileFilter") else {
        return;
    };
    let extensions = filter.texts("fileExtension");
    if extensions.is_empty() {
        return;
    }
    let is_on = federation.attribute("enableDataPackageAndMissionFileFilter") == Some("true");
    if !is_on {
        return found.leave(filter.line, "fileFilter", "it was switched off there");
    }
    for peer in &mut found.peers {
        let extensions = Written::List(extensions.clone());
        set(peer, "package_block_extensions", extensions);
    }
}
