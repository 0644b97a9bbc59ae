//! Networks of a test's own: namespaces of the kernel with a NAT between them. They take root, `ip` and `nft`.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A box inside has this address.
pub const INSIDE: &str = "10.90.1.2";
/// A box outside has this address; boxes inside reach it through the NAT.
pub const OUTSIDE: &str = "203.0.113.2";

/// `inside` - a NAT that forgets idle connections - `outside`, each a namespace of its own.
#[derive(Debug)]
pub struct Nat {
    id: String,
}

impl Nat {
    /// A NAT that forgets an idle TCP connection after so many seconds and, like a carrier's, lets none begin in the
    /// middle. None, with a line that says so, where the test may not make networks.
    pub fn new(timeout_seconds: u32) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let tools = runs("ip", &["netns", "list"]) && runs("nft", &["--version"]);
        if !nix::unistd::geteuid().is_root() || !tools {
            eprintln!("SKIPPED: namespaces take root, ip (iproute2) and nft (nftables)");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let nat = Self {
            id: format!("tb{}n{number}", std::process::id()),
        };
        let (inside, middle, outside) = (nat.inside(), nat.middle(), nat.outside());
        for name in [&inside, &middle, &outside] {
            ip(&["netns", "add", name]);
            ip(&["-n", name, "link", "set", "lo", "up"]);
        }
        nat.join(&inside, INSIDE, "lan", "10.90.1.1");
        nat.join(&outside, OUTSIDE, "wan", "203.0.113.1");
        ip(&["-n", &inside, "route", "add", "default", "via", "10.90.1.1"]);
        nat.nft(
            "table ip t {
                chain post { type nat hook postrouting priority 100; oifname wan masquerade; }
                chain pass { type filter hook forward priority 0; ct state invalid drop;
                    tcp flags & (syn | ack) != syn ct state new drop; }
             }",
        );
        nat.set("ipv4/ip_forward", 1);
        nat.set("netfilter/nf_conntrack_tcp_loose", 0);
        nat.set_timeout(timeout_seconds);
        Some(nat)
    }

    /// The namespace of boxes inside.
    pub fn inside(&self) -> String {
        format!("{}in", self.id)
    }

    /// The namespace of boxes outside.
    pub fn outside(&self) -> String {
        format!("{}out", self.id)
    }

    /// Forgets idle connections after so many seconds from now on.
    pub fn set_timeout(&self, seconds: u32) {
        self.set("netfilter/nf_conntrack_tcp_timeout_established", seconds);
    }

    /// Throws away what passes either way, without a word, from now on.
    pub fn cut(&self) {
        self.nft(
            "table ip cut {\nchain pass { type filter hook forward priority -10; policy drop; }\n}",
        );
    }

    /// Lets it pass again.
    pub fn mend(&self) {
        self.nft("delete table ip cut");
    }

    fn middle(&self) -> String {
        format!("{}nat", self.id)
    }

    /// A cable from a namespace to the middle.
    fn join(&self, end: &str, address: &str, port: &str, middle_address: &str) {
        let middle = self.middle();
        ip(&[
            "link", "add", "net0", "netns", end, "type", "veth", "peer", "name", port, "netns",
            &middle,
        ]);
        for (name, link, address) in [(end, "net0", address), (&middle, port, middle_address)] {
            ip(&[
                "-n",
                name,
                "addr",
                "add",
                &format!("{address}/24"),
                "dev",
                link,
            ]);
            ip(&["-n", name, "link", "set", link, "up"]);
        }
    }

    fn nft(&self, rules: &str) {
        ip(&["netns", "exec", &self.middle(), "nft", rules]);
    }

    fn set(&self, setting: &str, value: u32) {
        let line = format!("echo {value} > /proc/sys/net/{setting}");
        ip(&["netns", "exec", &self.middle(), "sh", "-c", &line]);
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        for name in [self.inside(), self.middle(), self.outside()] {
            let _ = Command::new("ip").args(["netns", "del", &name]).output();
        }
    }
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

#[track_caller]
fn ip(arguments: &[&str]) {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .expect("ip runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments:?}: {complaint}");
}
