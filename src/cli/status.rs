//! `tombolo status`: how the box and its links stand, for people or for scripts.

use std::time::Duration;

use clap::Args;

use super::carriage;
use super::failure::{Exit, Failure};
use super::line;
use super::meshes;
use super::output::{clean, column, json_line, print, wrap};
use super::paths::Places;
use super::servers;
use crate::api::pairing::PairingStatus;
use crate::api::spool::SpoolStatus;
use crate::api::status::{
    LedStatus, ListenStatus, MemoryStatus, PeerStatus, PowerStatus, StorageStatus, UplinkStatus,
};
use crate::api::{Request, Response, Status, ask};
use crate::console::wording::{counts, duration, heard};

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// One line of JSON
    #[arg(long)]
    json: bool,
    /// Again every second, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

const WIDTH: usize = 80;
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Runs `status`.
///
/// # Errors
/// If no box answers.
pub fn run(arguments: &Arguments, places: &Places) -> Result<(), Failure> {
    loop {
        let status = fetch(places)?;
        let text = match arguments.json {
            true => json_line(&status)?,
            false => table(&status),
        };
        let clear = if arguments.watch && !arguments.json {
            CLEAR
        } else {
            ""
        };
        print(&format!("{clear}{text}"))?;
        if !arguments.watch {
            return Ok(());
        }
        pause();
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a command of its own process, with nothing else to do"
)]
fn pause() {
    std::thread::sleep(Duration::from_secs(1));
}

fn fetch(places: &Places) -> Result<Status, Failure> {
    match ask(&places.state, &Request::Status)?.into_result()? {
        Response::Status(status) => Ok(*status),
        _ => Err(Failure::new(
            Exit::Internal,
            "the box answers something else than its status",
        )),
    }
}

fn table(status: &Status) -> String {
    let (node, memory) = (&status.node, &status.memory);
    let mut text = format!(
        "{}   {}, up {}, release {}\n",
        clean(&node.name),
        clean(&node.state),
        duration(node.uptime_seconds),
        clean(&node.version),
    );
    let lines = [
        ("safe mode", safe_mode(&node.reason)),
        ("certificate", node.fingerprint.clone()),
        ("federate id", node.federate_id.clone()),
        ("clock", status.clock.in_words()),
        ("CLOCK", status.clock.fault.clone()),
        (
            "doubtful dates",
            counts(&status.clock.doubtful_certificates),
        ),
        ("listening", listening(&status.listen)),
        ("clients", status.clients.to_string()),
        ("networks", networks(status)),
        (
            "memory",
            format!(
                "{} KiB, at most {} so far; limits add up to {}, ceiling {}",
                memory.rss_kib, memory.peak_kib, memory.budget_kib, memory.ceiling_kib
            ),
        ),
        ("pairing", PairingStatus::in_words(status.pairing)),
        ("led", led(&status.led)),
        ("warning", over_ceiling(memory)),
        ("storage", storage(&status.storage)),
        ("packages", packages(status)),
        ("power", power(&status.power)),
        ("refused", counts(&status.refused)),
        // Clients and injected events together.
        ("local drops", counts(&status.local.dropped)),
    ];
    for (label, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        let body = wrap(value, "                ", WIDTH);
        // A fingerprint leaves no room for a label.
        match body.lines().any(|line| line.chars().count() > WIDTH) {
            true => text.push_str(&format!("{label}\n{}", wrap(value, "  ", WIDTH))),
            false => text.push_str(&format!("{label:<16}{}", body.trim_start())),
        }
    }
    text.push('\n');
    match status.peers.is_empty() {
        true => text.push_str("no peers; register one with `tombolo peer add`\n"),
        false => text.push_str(
            "PEER                 STATE         IN/s   OUT/s        IN       OUT  HEARD\n",
        ),
    }
    for peer in &status.peers {
        text.push_str(&row(peer, &status.clock.utc));
    }
    text.push_str(&servers::table(&status.servers, &status.clock.utc, WIDTH));
    text.push_str(&meshes::table(&status.meshes, &status.clock.utc, WIDTH));
    text.push_str(&carriage::table(&status.carriage));
    text
}

/// Nothing to say where there is but the one of the listeners.
fn networks(status: &Status) -> String {
    let words: Vec<String> = (status.networks.iter())
        .map(|network| clean(&network.words()))
        .collect();
    match words.len() {
        0 | 1 => String::new(),
        _ => words.join("; "),
    }
}

/// Nothing to say where there is no LED.
fn led(led: &LedStatus) -> String {
    match (led.back_end.as_str(), &led.problem) {
        ("none" | "", _) => String::new(),
        (_, Some(problem)) => format!("{}; not to be seen: {problem}", clean(&led.meaning)),
        _ => format!("{}: {}", clean(&led.pattern), clean(&led.meaning)),
    }
}

/// Why nothing moves, and the way out.
fn safe_mode(reason: &str) -> String {
    match reason {
        "" => String::new(),
        reason => format!(
            "no peers and no clients: {reason}. When that is put right: `tombolo safe-mode leave`"
        ),
    }
}

/// Nothing to say where data packages are off.
fn packages(status: &Status) -> String {
    let Some(packages) = &status.packages else {
        return String::new();
    };
    if !packages.fault.is_empty() {
        return format!("none: {}", clean(&packages.fault));
    }
    let store = &packages.standing;
    let mut words = format!(
        "{} of at most {}, {} of {}",
        store.packages,
        store.most_packages,
        size(store.bytes),
        size(store.most_bytes)
    );
    let more = [
        (store.coming_in, "coming in"),
        (store.evicted, "made room for others"),
        (store.refused, "refused"),
        (packages.held_in + packages.held_out, "held back"),
        (store.disk_errors, "times the disk refused"),
    ];
    for (count, what) in more.iter().filter(|(count, _)| *count > 0) {
        words.push_str(&format!("; {count} {what}"));
    }
    words
}

fn storage(storage: &StorageStatus) -> String {
    let written = match (&storage.device, storage.written_bytes) {
        (Some(device), Some(bytes)) => format!("{} written to {device} since boot", size(bytes)),
        _ => String::new(),
    };
    let parts = [written.as_str(), storage.fault.as_str()];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("; ")
}

fn power(power: &PowerStatus) -> String {
    match (power.under_voltage, power.under_voltage_seen) {
        (Some(true), _) => {
            "the voltage is too low; use a stronger supply or a shorter cable".into()
        }
        (_, Some(true)) => {
            "the voltage was too low since the boot; use a stronger supply or a shorter cable"
                .into()
        }
        (None, None) => String::new(),
        _ => "the voltage is good".into(),
    }
}

/// A size for people; thousands, as cards are sold.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        10_000_000..10_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}

/// The sum of the limits bounds what is allocated, not what the system makes resident.
fn over_ceiling(memory: &MemoryStatus) -> String {
    if memory.rss_kib <= memory.ceiling_kib {
        return String::new();
    }
    format!(
        "the box takes {} KiB more memory than its ceiling: if the machine has it, raise memory_mib to {}; else lower \
         [limits] and restart. A debug build always takes more",
        memory.rss_kib - memory.ceiling_kib,
        memory.rss_kib.div_ceil(1024),
    )
}

fn row(peer: &PeerStatus, now: &str) -> String {
    let mut text = format!(
        "{} {:<10} {:>7.1} {:>7.1} {:>9} {:>9}  {}\n",
        column(&peer.name, 20),
        peer.state,
        peer.rate_in,
        peer.rate_out,
        peer.events_in,
        peer.events_out,
        clean(&heard(peer.last_heard.as_deref(), now)),
    );
    let mut address = match &peer.address {
        Some(address) => format!("at {address}"),
        None => "it dials us".into(),
    };
    if peer.protocol == "v1" {
        address.push_str(", federation v1");
    }
    text.push_str(&wrap(&address, "  ", WIDTH));
    if let Some(relaxed) = &peer.relaxed {
        text.push_str(&wrap(&format!("RELAXED: {relaxed}"), "  ", WIDTH));
    }
    text.push_str(&wrap(&stopped(peer), "  ", WIDTH));
    text.push_str(&wrap(&peer.crossing.words(), "  ", WIDTH));
    text.push_str(&wrap(&spool(&peer.spool), "  ", WIDTH));
    let line = peer.line.as_ref().map(line::words).unwrap_or_default();
    text.push_str(&wrap(&line, "  ", WIDTH));
    if !peer.uplinks.is_empty() {
        let one = |uplink: &UplinkStatus| format!("{} {}", clean(&uplink.name), uplink.state);
        let uplinks: Vec<String> = peer.uplinks.iter().map(one).collect();
        let words = format!("uplinks: {}", uplinks.join(", "));
        text.push_str(&wrap(&words, "  ", WIDTH));
    }
    text.push_str(&wrap(&peer.clock.words(), "  ", WIDTH));
    text.push_str(&wrap(&proven(peer), "  ", WIDTH));
    text.push_str(&wrap(&clean(&peer.groups.words()), "  ", WIDTH));
    if peer.sending.rate.is_some() {
        text.push_str(&wrap(&peer.sending.to_string(), "  ", WIDTH));
    }
    if !peer.dropped.is_empty() {
        text.push_str(&wrap(
            &format!("dropped: {}", counts(&peer.dropped)),
            "  ",
            WIDTH,
        ));
    }
    text
}

/// Why it is no better, with the step that stops it in front.
fn stopped(peer: &PeerStatus) -> String {
    match &peer.stopped_by {
        Some(step) => format!("stopped by {step}: {}", peer.reason),
        None => peer.reason.clone(),
    }
}

fn proven(peer: &PeerStatus) -> String {
    match &peer.proven {
        Some(proven) => format!(
            "proven {} ago, there and back in {} ms",
            duration(proven.age_seconds),
            proven.round_trip_ms
        ),
        None => String::new(),
    }
}

/// What waits for a peer; nothing to say when nothing does and the disk is well.
fn spool(spool: &SpoolStatus) -> String {
    let waits = match spool.events {
        0 => String::new(),
        1 => format!(
            "waiting for it: 1 event, for {}",
            duration(spool.oldest_seconds)
        ),
        events => format!(
            "waiting for it: {events} events, {}, the oldest for {}",
            size(spool.bytes),
            duration(spool.oldest_seconds)
        ),
    };
    match spool.fault.as_str() {
        "" => waits,
        fault if waits.is_empty() => {
            format!("what waits for it would be kept in memory only: {fault}")
        }
        fault => format!("{waits}, in memory only: {fault}"),
    }
}

fn listening(listen: &ListenStatus) -> String {
    let clients = [(listen.clients_tcp, "plain"), (listen.clients_tls, "TLS")];
    let mut parts: Vec<String> = clients
        .iter()
        .filter_map(|(address, kind)| address.map(|address| format!("clients {address} ({kind})")))
        .collect();
    parts.extend(
        listen
            .federation
            .iter()
            .map(|address| format!("federates {address}")),
    );
    match parts.is_empty() {
        true => "nowhere".into(),
        false => parts.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PeerState;
    use crate::api::status::Counts;
    use crate::api::status::tests::example;

    #[test]
    fn the_table_fits_a_terminal_and_tells_why() {
        let mut status = example();
        let mut late = status.peers[0].clone();
        late.name = "a name that is a good deal longer than its column".into();
        late.state = PeerState::Waiting;
        late.reason = "its certificate is not the one that was registered: ".to_owned()
            + "expected SHA256:ABABABAB…, and it showed another; register that one or ask its administrator";
        late.last_heard = None;
        late.events_in = 123_456_789;
        status.peers.push(late);
        let text = table(&status);
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        for part in [
            "alpha   running, up 26 h",
            "clients 127.0.0.1:8087 (plain), federates 0.0.0.0:9001",
            "refused         unknown_ca 2",
            "bravo                flowing",
            "dropped: duplicate 2",
            "waiting for it: 12 events, 14 kB, the oldest for 2 h",
            "round trip 31.2 ms, give or take 4.5",
            "keepalive 21 s (learned)",
            "a name that is a go… waiting",
            "never",
            "not the one that was registered",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn more_than_the_ceiling_is_warned_of_and_injected_drops_are_local() {
        let mut status = example();
        status.memory.rss_kib = status.memory.ceiling_kib;
        assert!(!table(&status).contains("warning"));
        status.memory.rss_kib += 3000;
        status.local.dropped = Counts::from([("malformed".into(), 7)]);
        let text = table(&status);
        assert!(
            text.lines().all(|line| line.chars().count() <= WIDTH),
            "{text}"
        );
        for part in [
            "warning         the box takes 3000 KiB more memory than its ceiling",
            "raise memory_mib to 19",
            "local drops     malformed 7",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn the_card_the_power_and_safe_mode_have_their_lines() {
        let mut status = example();
        let text = table(&status);
        for part in [
            "storage         5400 kB written to mmcblk0 since boot",
            "power           the voltage was too low since the boot",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(!text.contains("safe mode"), "{text}");
        status.power = PowerStatus::default();
        status.storage = StorageStatus {
            fault: "full: nothing more can be kept; remove files".into(),
            ..StorageStatus::default()
        };
        status.node.state = "safe".into();
        status.node.reason = "it crashed 5 times in a row, each time within 20 seconds".into();
        let text = table(&status);
        assert!(!text.contains("power  "), "{text}");
        for part in [
            "alpha   safe, up",
            "storage         full: nothing more can be kept",
            "safe mode       no peers and no clients: it crashed 5 times",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(
            text.lines().all(|line| line.chars().count() <= WIDTH),
            "{text}"
        );
        assert_eq!(size(9_999), "9999 bytes");
        assert_eq!(size(12_345_678_901), "12 GB");
    }

    #[test]
    fn json_is_one_line() {
        let line = json_line(&example()).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        assert!(serde_json::from_str::<serde_json::Value>(&line).unwrap()["node"].is_object());
    }

    #[test]
    fn ages_are_short() {
        assert_eq!(
            heard(Some("2026-01-01T00:00:00Z"), "2026-01-01T00:05:00Z"),
            "5 min ago"
        );
        assert_eq!(
            heard(Some("2026-01-01T00:00:09Z"), "2026-01-01T00:00:00Z"),
            "0 s ago"
        );
        assert_eq!(heard(None, ""), "never");
    }
}
