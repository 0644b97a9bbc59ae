//! Two networks of a test's own, joined by cables that the test cuts. They take root, `ip` and `nft`.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::device::Device;

/// Two namespaces, near and far, with so many cables between them: cable 0 has 10.77.0.1 and 10.77.0.2, cable 1 has
/// 10.77.1.1 and 10.77.1.2, on interfaces `net0`, `net1`. The far box is also 10.78.0.2, by way of each cable.
#[derive(Debug)]
pub struct Cables {
    id: String,
}

/// A way to break a cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The near interface is switched off.
    NearDown,
    /// The far interface is switched off: the near one loses its carrier.
    FarDown,
    /// Everything is swallowed.
    Swallow,
    /// The near address is taken away.
    AddressGone,
    /// Every packet is answered with a reset.
    Reset,
}

impl Cut {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NearDown,
        Self::FarDown,
        Self::Swallow,
        Self::AddressGone,
        Self::Reset,
    ];
}

impl Cables {
    /// None, with a line that says so, where the test may not make networks.
    pub fn new(count: u32) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let tools = runs("ip", &["netns", "list"]) && runs("nft", &["--version"]);
        if !nix::unistd::geteuid().is_root() || !tools {
            eprintln!("SKIPPED: namespaces take root, ip (iproute2) and nft (nftables)");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let cables = Self {
            id: format!("tb{}c{number}", std::process::id()),
        };
        let (near, far) = (cables.near(), cables.far());
        for name in [&near, &far] {
            ip(&format!("netns add {name}"));
            ip(&format!("-n {name} link set lo up"));
        }
        ip(&format!("-n {far} addr add 10.78.0.2/32 dev lo"));
        for cable in 0..count {
            let link = format!("net{cable}");
            ip(&format!(
                "link add {link} netns {near} type veth peer name {link} netns {far}"
            ));
            ip(&format!("-n {near} addr add 10.77.{cable}.1/24 dev {link}"));
            ip(&format!("-n {far} addr add 10.77.{cable}.2/24 dev {link}"));
            ip(&format!("-n {near} link set {link} up"));
            ip(&format!("-n {far} link set {link} up"));
            cables.route(cable);
        }
        Some(cables)
    }

    /// The namespace of the box that dials.
    pub fn near(&self) -> String {
        format!("{}near", self.id)
    }

    /// The namespace of the box that is dialled.
    pub fn far(&self) -> String {
        format!("{}far", self.id)
    }

    /// Cuts a cable.
    pub fn cut(&self, cable: u32, how: Cut) {
        let (near, far) = (self.near(), self.far());
        match how {
            Cut::NearDown => ip(&format!("-n {near} link set net{cable} down")),
            Cut::FarDown => ip(&format!("-n {far} link set net{cable} down")),
            Cut::AddressGone => ip(&format!(
                "-n {near} addr del 10.77.{cable}.1/24 dev net{cable}"
            )),
            Cut::Swallow => self.rule(cable, "drop"),
            Cut::Reset => self.rule(cable, "meta l4proto tcp reject with tcp reset"),
        }
    }

    /// Mends it.
    pub fn mend(&self, cable: u32, how: Cut) {
        let (near, far) = (self.near(), self.far());
        match how {
            Cut::NearDown => ip(&format!("-n {near} link set net{cable} up")),
            Cut::FarDown => ip(&format!("-n {far} link set net{cable} up")),
            Cut::AddressGone => ip(&format!(
                "-n {near} addr add 10.77.{cable}.1/24 dev net{cable}"
            )),
            Cut::Swallow | Cut::Reset => {
                for name in [&near, &far] {
                    ip(&format!("netns exec {name} nft delete table ip cut{cable}"));
                }
            }
        }
        if matches!(how, Cut::NearDown | Cut::AddressGone) {
            // The kernel takes routes away with their interface or address, and does not bring them back.
            self.route(cable);
        }
    }

    /// Connects a client to a box in one of the namespaces.
    pub fn device(namespace: &str, address: SocketAddr) -> Device {
        let file = std::fs::File::open(format!("/run/netns/{namespace}")).expect("the namespace");
        // A thread of its own: the socket stays where it was made, the thread's namespace ends with it.
        std::thread::spawn(move || {
            nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).expect("setns");
            Device::plain(address)
        })
        .join()
        .expect("a client")
    }

    fn route(&self, cable: u32) {
        let near = self.near();
        let metric = 100 + cable;
        ip(&format!(
            "-n {near} route replace 10.78.0.0/24 via 10.77.{cable}.2 dev net{cable} metric {metric}"
        ));
    }

    /// On both sides, for what comes in: what is answered goes back to its own side.
    fn rule(&self, cable: u32, what: &str) {
        for name in [self.near(), self.far()] {
            let rules = format!(
                "table ip cut{cable} {{\nchain in {{\ntype filter hook input priority 0;\niifname net{cable} {what}\n}}\n}}"
            );
            let done = Command::new("ip")
                .args(["netns", "exec", &name, "nft", &rules])
                .output()
                .expect("nft runs");
            let complaint = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success(), "nft {rules}: {complaint}");
        }
    }
}

impl Drop for Cables {
    fn drop(&mut self) {
        for name in [self.near(), self.far()] {
            let _ = Command::new("ip").args(["netns", "del", &name]).output();
        }
    }
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    let quiet = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    quiet.is_ok_and(|status| status.success())
}

#[track_caller]
fn ip(arguments: &str) {
    let done = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .expect("ip runs");
    let complaint = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "ip {arguments}: {complaint}");
}
