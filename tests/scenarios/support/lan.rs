//! Two networks of a test's own with several machines on both: `lan0` and `lan1`. They take root and `ip`.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::device::Device;

/// Where positions are said.
pub const SA: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 2, 3, 1), 6969);
/// Where chat is said.
pub const CHAT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(224, 10, 10, 1), 17012);

/// Namespaces, each with `lan0` (10.91.0.N) and `lan1` (10.91.1.N), N counted from 1; a switch joins all of each.
#[derive(Debug)]
pub struct Lan {
    id: String,
    machines: u32,
}

impl Lan {
    /// None, with a line that says so, where the test may not make networks.
    pub fn new(machines: u32) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let quiet = Command::new("ip")
            .args(["netns", "list"])
            .stdout(Stdio::null())
            .status();
        if !nix::unistd::geteuid().is_root() || !quiet.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: namespaces take root and ip (iproute2)");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let lan = Self {
            id: format!("tb{}l{number}", std::process::id()),
            machines,
        };
        let switch = lan.switch();
        ip(&format!("netns add {switch}"));
        for net in 0..2 {
            ip(&format!(
                "-n {switch} link add br{net} type bridge mcast_snooping 0"
            ));
            ip(&format!("-n {switch} link set br{net} up"));
        }
        for machine in 1..=machines {
            let name = lan.machine(machine);
            ip(&format!("netns add {name}"));
            ip(&format!("-n {name} link set lo up"));
            for net in 0..2 {
                lan.plug(machine, net);
            }
        }
        Some(lan)
    }

    /// The namespace of a machine, counted from 1.
    pub fn machine(&self, machine: u32) -> String {
        format!("{}m{machine}", self.id)
    }

    /// Its address on a network.
    pub fn address(machine: u32, net: u32) -> Ipv4Addr {
        Ipv4Addr::new(10, 91, net as u8, machine as u8)
    }

    /// Gives a machine its interface on a network.
    pub fn plug(&self, machine: u32, net: u32) {
        let (name, switch) = (self.machine(machine), self.switch());
        ip(&format!(
            "link add lan{net} netns {name} type veth peer name m{machine}n{net} netns {switch}"
        ));
        ip(&format!(
            "-n {switch} link set m{machine}n{net} master br{net} up"
        ));
        ip(&format!(
            "-n {name} addr add {}/24 dev lan{net}",
            Self::address(machine, net)
        ));
        ip(&format!("-n {name} link set lan{net} up"));
    }

    /// Takes it away, as one takes a stick out of its socket.
    pub fn unplug(&self, machine: u32, net: u32) {
        ip(&format!("-n {} link del lan{net}", self.machine(machine)));
    }

    /// The other end goes away or comes back, and the interface stays.
    pub fn carrier(&self, machine: u32, net: u32, on: bool) {
        let state = if on { "up" } else { "down" };
        ip(&format!(
            "-n {} link set m{machine}n{net} {state}",
            self.switch()
        ));
    }

    /// Does something as a program on that machine would.
    pub fn on<T: Send + 'static>(
        &self,
        machine: u32,
        what: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let file =
            File::open(format!("/run/netns/{}", self.machine(machine))).expect("the namespace");
        // A thread of its own: the sockets stay where they were made, the thread's namespace ends with it.
        std::thread::spawn(move || {
            nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).expect("setns");
            what()
        })
        .join()
        .expect("no panic")
    }

    /// Connects a client to the box on that machine.
    pub fn client(&self, machine: u32, address: SocketAddr) -> Device {
        self.on(machine, move || Device::plain(address))
    }

    /// An ATAK device on that machine and network.
    pub fn handset(&self, machine: u32, net: u32) -> Handset {
        self.on(machine, move || Handset::new(Self::address(machine, net)))
    }

    fn switch(&self) -> String {
        format!("{}sw", self.id)
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        let machines = (1..=self.machines).map(|machine| self.machine(machine));
        for name in machines.chain([self.switch()]) {
            let _ = Command::new("ip").args(["netns", "del", &name]).output();
        }
    }
}

/// One datagram off the wire.
#[derive(Debug, Clone)]
pub struct Datagram {
    pub from: SocketAddr,
    pub to: SocketAddrV4,
    pub bytes: Vec<u8>,
}

impl Datagram {
    /// It holds that text, in whatever form it is written.
    pub fn holds(&self, text: &str) -> bool {
        memchr::memmem::find(&self.bytes, text.as_bytes()).is_some()
    }
}

/// Says and hears datagrams, as a device on a mesh does. It hears every datagram that the network carries for the groups, and
/// those for its own address at port 4242.
#[derive(Debug)]
pub struct Handset {
    say: UdpSocket,
    heard: Arc<Mutex<Vec<Datagram>>>,
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
}

impl Handset {
    fn new(address: Ipv4Addr) -> Self {
        let (heard, stop) = (
            Arc::<Mutex<Vec<Datagram>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let own = SocketAddrV4::new(address, 4242);
        let workers = [SA, CHAT, own].map(|place| {
            let socket =
                Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
            socket.set_reuse_address(true).expect("reuse");
            socket.set_multicast_all_v4(false).expect("own groups only");
            socket.set_recv_buffer_size(1 << 20).expect("room");
            socket.bind(&place.into()).expect("bind");
            if place.ip().is_multicast() {
                socket
                    .join_multicast_v4(place.ip(), &address)
                    .expect("join");
            }
            socket
                .set_read_timeout(Some(Duration::from_millis(20)))
                .expect("a timeout");
            let (socket, heard, stop) = (
                UdpSocket::from(socket),
                Arc::clone(&heard),
                Arc::clone(&stop),
            );
            std::thread::spawn(move || {
                let mut buffer = vec![0; 65_536];
                while !stop.load(Ordering::Relaxed) {
                    if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                        let bytes = buffer[..length].to_vec();
                        heard.lock().expect("no panic").push(Datagram {
                            from,
                            to: place,
                            bytes,
                        });
                    }
                }
            })
        });
        let say = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
        say.bind(&SocketAddrV4::new(address, 0).into())
            .expect("bind");
        say.set_multicast_if_v4(&address).expect("an interface");
        Self {
            say: say.into(),
            heard,
            stop,
            workers: workers.into(),
        }
    }

    /// Says a datagram.
    pub fn say(&self, to: SocketAddrV4, bytes: impl AsRef<[u8]>) {
        self.say.send_to(bytes.as_ref(), to).expect("said");
    }

    /// Everything that the network carried so far, beacons of boxes included.
    pub fn heard(&self) -> Vec<Datagram> {
        self.heard.lock().expect("no panic").clone()
    }

    /// Everything that holds that text.
    pub fn heard_of(&self, text: &str) -> Vec<Datagram> {
        self.heard()
            .into_iter()
            .filter(|datagram| datagram.holds(text))
            .collect()
    }
}

impl Drop for Handset {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
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
