//! Pages: the banner and what `show` shows.

use super::order::{Check, OwnCertificates, Sight};
use super::text::{Page, column};
use super::wording::{counts, duration, heard};
use crate::access::FIRST_USER;
use crate::api::pairing::PairingStatus;
use crate::api::status::{PeerState, Status};
use crate::api::{ConfigText, PeerEntry, UpdateReport};

/// What stands above the first prompt.
pub(super) fn banner(sight: &Sight) -> String {
    let mut page = Page::new();
    page.line(&"=".repeat(60));
    page.line(&format!("{}   tombolo {}", sight.name, sight.version))
        .label("state", &state(sight));
    match sight.interfaces.is_empty() {
        true => page.label("addresses", "none: no network"),
        false => page.label("addresses", &addresses(sight).join(", ")),
    };
    if let Some(own) = &sight.own {
        page.label("certificate", &own.fingerprint)
            .label("its CA", &own.authority_fingerprint);
    }
    page.label("clock", &clock(sight));
    // Who has not given the PIN yet must not see it.
    if !sight.has_pin {
        page.label("HTTPS API", &api(sight));
    }
    if let Some(status) = &sight.status {
        page.label("LED", &led(status));
        page.label("STORAGE", &status.storage.fault);
        match status.power.under_voltage {
            Some(true) => page.label(
                "POWER",
                "the voltage is too low: use a better supply or cable",
            ),
            _ => &mut page,
        };
    }
    if let Some(seconds) = sight.unconfirmed_seconds {
        let words = format!(
            "waits for `confirm`, else it is taken back in {}",
            duration(seconds.into())
        );
        page.label("configuration", &words);
    }
    for mistake in &sight.mistakes {
        page.label("MISTAKE", mistake);
    }
    page.line(&"=".repeat(60));
    page.into_text()
}

fn state(sight: &Sight) -> String {
    let Some(status) = &sight.status else {
        let why = sight.trouble.as_deref().unwrap_or("no box is running");
        return format!("NOT RUNNING: {why}");
    };
    let is = |state| {
        status
            .peers
            .iter()
            .filter(|peer| peer.state == state)
            .count()
    };
    let up = is(PeerState::Flowing) + is(PeerState::Connected);
    let peers = match (status.peers.len(), up) {
        (0, _) => "no peers yet".to_owned(),
        (all, up) => format!(
            "{up} of {all} peers connected, {} flowing",
            is(PeerState::Flowing)
        ),
    };
    let state = match status.node.state.as_str() {
        "safe" => format!(
            "SAFE MODE, no peers and no clients ({}; `safe-mode leave` ends it),",
            status.node.reason
        ),
        state => state.to_owned(),
    };
    format!(
        "{state} for {}, {peers}, {} clients",
        duration(status.node.uptime_seconds),
        status.clients
    )
}

fn led(status: &Status) -> String {
    let led = &status.led;
    match (&led.problem, led.back_end.as_str()) {
        (Some(problem), _) => format!("{}, but it cannot be shown: {problem}", led.meaning),
        (None, "none") => String::new(),
        (None, _) => format!("{}: {}", led.pattern, led.meaning),
    }
}

/// Where the API is, and how the first one comes in; empty when it is off.
fn api(sight: &Sight) -> String {
    let listens = sight.status.as_ref().and_then(|status| status.listen.api);
    let Some(address) = listens else {
        return String::new();
    };
    match &sight.first_password {
        Some(password) => format!(
            "port {}; first login, once: {FIRST_USER} {password}",
            address.port()
        ),
        None => format!("port {}", address.port()),
    }
}

fn addresses(sight: &Sight) -> Vec<String> {
    let one = |(name, addresses): &(String, Vec<String>)| match addresses.is_empty() {
        true => format!("{name} without address"),
        false => format!("{name} {}", addresses.join(" ")),
    };
    sight.interfaces.iter().map(one).collect()
}

pub(super) fn clock(sight: &Sight) -> String {
    match &sight.status {
        Some(status) => match status.clock.fault.as_str() {
            "" => status.clock.in_words(),
            fault => format!("{}. {fault}", status.clock.in_words()),
        },
        None => format!("{}, quality unknown", sight.utc),
    }
}

pub(super) fn network(sight: &Sight) -> String {
    let mut page = Page::new();
    if sight.interfaces.is_empty() {
        page.line("no network interface with an address");
    }
    for line in addresses(sight) {
        page.line(&line);
    }
    page.label("HTTPS API", &api(sight));
    page.line(match sight.hears_requests {
        true => "`setup` sets it anew",
        false => "this machine's network is not set from here",
    });
    page.into_text()
}

pub(super) fn status(status: &Status) -> String {
    let (node, memory, listen) = (&status.node, &status.memory, &status.listen);
    let mut page = Page::new();
    let plain = listen.clients_tcp.map(|it| format!("clients {it} (plain)"));
    let tls = listen.clients_tls.map(|it| format!("clients {it} (TLS)"));
    let federates = listen.federation.iter().map(|it| format!("federates {it}"));
    let places: Vec<String> = plain.into_iter().chain(tls).chain(federates).collect();
    page.label("name", &node.name)
        .label(
            "state",
            &format!(
                "{}, up {}, release {}",
                node.state,
                duration(node.uptime_seconds),
                node.version
            ),
        )
        .label("certificate", &node.fingerprint)
        .label("federate id", &node.federate_id)
        .label("clock", &status.clock.in_words())
        .label("LED", &led(status))
        .label("pairing", &PairingStatus::in_words(status.pairing))
        .label("listening", &places.join(", "))
        .label("clients", &status.clients.to_string())
        .label(
            "memory",
            &format!("{} KiB, ceiling {} KiB", memory.rss_kib, memory.ceiling_kib),
        )
        .label("refused", &counts(&status.refused))
        .label("local drops", &counts(&status.local.dropped));
    page.blank();
    let mut text = page.into_text();
    text.push_str(&peers(status));
    text.push_str(&meshes(status));
    text
}

/// The meshes, if there are any.
pub(super) fn meshes(status: &Status) -> String {
    let mut page = Page::new();
    for mesh in &status.meshes {
        page.blank();
        page.verbatim(&format!(
            "mesh {} {} {:>7} {:>7} {:>9} {:>9}  {}",
            column(&mesh.name, 15),
            column(mesh.state.word(), 10),
            "",
            "",
            mesh.events_in,
            mesh.events_out,
            heard(mesh.last_heard.as_deref(), &status.clock.utc),
        ));
        page.inner(&mesh.place());
        if !mesh.reason.is_empty() {
            page.inner(&mesh.reason);
        }
        if !mesh.dropped.is_empty() {
            page.inner(&format!("dropped: {}", counts(&mesh.dropped)));
        }
    }
    page.into_text()
}

pub(super) fn peers(status: &Status) -> String {
    let mut page = Page::new();
    match status.peers.is_empty() {
        true => page.line("no peers; `setup` or `peer add` registers one"),
        false => page
            .verbatim("PEER                 STATE         IN/s   OUT/s        IN       OUT  HEARD"),
    };
    for peer in &status.peers {
        page.verbatim(&format!(
            "{} {} {:>7.1} {:>7.1} {:>9} {:>9}  {}",
            column(&peer.name, 20),
            column(peer.state.word(), 10),
            peer.rate_in,
            peer.rate_out,
            peer.events_in,
            peer.events_out,
            heard(peer.last_heard.as_deref(), &status.clock.utc),
        ));
        let address = match &peer.address {
            Some(address) => format!("at {address}"),
            None => "it dials us".to_owned(),
        };
        page.inner(&address);
        if !peer.reason.is_empty() {
            page.inner(&peer.reason);
        }
        if !peer.dropped.is_empty() {
            page.inner(&format!("dropped: {}", counts(&peer.dropped)));
        }
        let clock = peer.clock.words();
        if !clock.is_empty() {
            page.inner(&clock);
        }
    }
    servers(&mut page, status);
    page.into_text()
}

fn servers(page: &mut Page, status: &Status) {
    if !status.servers.is_empty() {
        page.verbatim("SERVER               STATE         IN/s   OUT/s        IN       OUT  HEARD");
    }
    for server in &status.servers {
        page.verbatim(&format!(
            "{} {} {:>7.1} {:>7.1} {:>9} {:>9}  {}",
            column(&server.name, 20),
            column(server.state.word(), 10),
            server.rate_in,
            server.rate_out,
            server.events_in,
            server.events_out,
            heard(server.last_heard.as_deref(), &status.clock.utc),
        ));
        page.inner(&format!(
            "at {}, {} users there",
            server.address, server.users
        ));
        if !server.reason.is_empty() {
            page.inner(&server.reason);
        }
        if !server.dropped.is_empty() {
            page.inner(&format!("dropped: {}", counts(&server.dropped)));
        }
    }
}

pub(super) fn entries(entries: &[PeerEntry]) -> String {
    let mut page = Page::new();
    if entries.is_empty() {
        page.line("no peers; `setup` or `peer add` registers one");
    } else {
        page.verbatim("PEER                 STATE      ADDRESS                        IN  OUT");
    }
    for entry in entries {
        let state = match entry.state {
            Some(state) => state.word(),
            None if !entry.enabled => PeerState::Disabled.word(),
            None => "-",
        };
        let on_off = |on| if on { "on " } else { "off" };
        page.verbatim(&format!(
            "{} {} {} {} {}",
            column(&entry.name, 20),
            column(state, 10),
            column(entry.address.as_deref().unwrap_or("(it dials us)"), 30),
            on_off(entry.incoming),
            on_off(entry.outgoing),
        ));
        for authority in &entry.authorities {
            page.inner(&format!("CA {authority}"));
        }
        if let Some(fingerprint) = &entry.fingerprint {
            page.inner(fingerprint);
        }
    }
    page.into_text()
}

pub(super) fn certificates(own: &OwnCertificates) -> String {
    let mut page = Page::new();
    page.label("certificate", &own.subject)
        .label("fingerprint", &own.fingerprint)
        .label("valid until", &own.until)
        .label("its CA", &own.issuer)
        .label("fingerprint", &own.authority_fingerprint);
    page.into_text()
}

/// What the peer's administrator needs of us.
pub(super) fn for_the_peer(own: &OwnCertificates) -> String {
    let mut page = Page::new();
    page.line("For the peer's administrator. Our certificate's fingerprint:")
        .line(&own.fingerprint)
        .line("Our CA certificate:")
        .verbatim(&own.authority_pem);
    page.into_text()
}

pub(super) fn config(config: &ConfigText, candidate: Option<&str>) -> String {
    let mut page = Page::new();
    match candidate {
        Some(_) => page.line(&format!(
            "# {}, with what was set and is not committed",
            config.file
        )),
        None => page.line(&format!("# {}", config.file)),
    };
    if let Some(seconds) = config.unconfirmed_seconds {
        page.line(&format!(
            "# not confirmed: taken back in {}",
            duration(seconds.into())
        ));
    }
    let text = candidate.unwrap_or(&config.text);
    match text.trim().is_empty() {
        true => page.line("# empty: everything is at its default"),
        false => page.verbatim(text),
    };
    page.into_text()
}

pub(super) fn update(report: &UpdateReport) -> String {
    let trial = if report.on_trial { ", on trial" } else { "" };
    let mut page = Page::new();
    page.line(&format!(
        "version {} for {} in slot {}{trial}",
        report.version, report.board, report.running
    ))
    .line(&report.words);
    page.into_text()
}

pub(super) fn checks(checks: &[Check]) -> (String, usize) {
    let mut page = Page::new();
    let mut faults = 0;
    for check in checks {
        match &check.fault {
            None => page.line(&format!("OK {}", check.what)),
            Some(fault) => {
                faults += 1;
                page.line(&format!("FAIL {}: {fault}", check.what))
            }
        };
    }
    (page.into_text(), faults)
}
