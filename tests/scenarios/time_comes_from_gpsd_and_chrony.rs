//! The real gpsd with a receiver that a test plays, the real gpsfake, and the real chronyd. None of them touches the
//! machine's clock. A machine without one of them skips its test and says so.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::support::{FakedClock, PATIENCE, Setup, TomboloBox, days, eventually, now_ms, stamp};

/// A program of the machine; none = the test is skipped, and says so.
fn program(name: &str) -> Option<PathBuf> {
    let found = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists());
    if found.is_none() {
        eprintln!("SKIPPED: {name} is not installed");
    }
    found
}

/// A program that ends with the test, and with it what it started.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        let quiet = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0);
        Self(quiet.stderr(Stdio::null()).spawn().expect("it starts"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = i32::try_from(self.0.id()).expect("a process number");
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

/// A port that nobody has at the moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
}

/// One second of a receiver's words, as NMEA 0183 writes them.
fn nmea(utc_ms: i64, has_fix: bool) -> String {
    let stamp = stamp(utc_ms);
    let digits = |range: std::ops::Range<usize>| stamp[range].replace([':', '-'], "");
    let time = format!("{}.00", digits(11..19));
    let (day, month, year) = (digits(8..10), digits(5..7), digits(0..4));
    let short = format!("{day}{month}{}", &year[2..]);
    let place = "4807.0380,N,01131.0000,E";
    let (position, satellites, motion) = match has_fix {
        true => (
            format!("{place},1,08,0.9,545.4,M,46.9,M,,"),
            "3,04,05,06,09,12,24,25,29,,,,,2.5,1.3,2.1",
            format!("A,{place},000.5,084.4,{short},,,A"),
        ),
        // A receiver without a fix guesses the time by its own clock.
        false => (
            ",,,,0,00,99.9,,,,,,".to_owned(),
            "1,,,,,,,,,,,,,99.9,99.9,99.9",
            format!("V,,,,,,,{short},,,N"),
        ),
    };
    let mut text = String::new();
    for line in [
        format!("GPGGA,{time},{position}"),
        format!("GPGSA,A,{satellites}"),
        format!("GPRMC,{time},{motion}"),
        format!("GPZDA,{time},{day},{month},{year},00,00"),
    ] {
        let sum = line.bytes().fold(0, |sum, byte| sum ^ byte);
        let _ = write!(text, "${line}*{sum:02X}\r\n");
    }
    text
}

/// A receiver at a TCP port, which gpsd reads.
struct Receiver {
    address: SocketAddr,
    offset_ms: Arc<AtomicI64>,
    has_fix: Arc<AtomicBool>,
    ends: Arc<AtomicBool>,
    plays: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Its time is that of the machine and this much more.
    fn start(offset_ms: i64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let offset_ms = Arc::new(AtomicI64::new(offset_ms));
        let has_fix = Arc::new(AtomicBool::new(true));
        let ends = Arc::new(AtomicBool::new(false));
        let (offset, fix, end) = (offset_ms.clone(), has_fix.clone(), ends.clone());
        let plays = std::thread::spawn(move || {
            listener.set_nonblocking(true).expect("a socket");
            let mut readers: Vec<TcpStream> = Vec::new();
            let mut last = 0;
            while !end.load(Ordering::Relaxed) {
                if let Ok((reader, _)) = listener.accept() {
                    readers.push(reader);
                }
                let utc = now_ms() + offset.load(Ordering::Relaxed);
                let second = utc - utc.rem_euclid(1_000);
                if second != last {
                    last = second;
                    let words = nmea(second, fix.load(Ordering::Relaxed));
                    readers.retain_mut(|reader| reader.write_all(words.as_bytes()).is_ok());
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self {
            address,
            offset_ms,
            has_fix,
            ends,
            plays: Some(plays),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(plays) = self.plays.take() {
            let _ = plays.join();
        }
    }
}

/// gpsd writes no file of its own this way, and takes no control socket of the machine.
fn gpsd(program: &Path, receiver: SocketAddr) -> (Running, SocketAddr) {
    let port = free_port();
    let running = Running::start(
        Command::new(program)
            .args(["-N", "-n", "-S"])
            .arg(port.to_string())
            .arg(format!("tcp://{receiver}")),
    );
    (running, SocketAddr::from(([127, 0, 0, 1], port)))
}

#[track_caller]
fn wait_clock(of: &TomboloBox, key: &str, value: &str) {
    let last = Mutex::new(String::new());
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually(&format!("{key} is {value}"), || {
            let clock = of.status().0["clock"].clone();
            *last.lock().expect("text") = clock.to_string();
            (clock[key] == value).then_some(())
        });
    }));
    if result.is_err() {
        panic!(
            "{key} is not {value} within {PATIENCE:?}: {}",
            last.lock().expect("text")
        );
    }
}

fn offset(of: &TomboloBox) -> i64 {
    let status = of.status();
    status.0["clock"]["offset_ms"].as_i64().expect("a number")
}

#[test]
fn gps_vouches_for_a_clock_that_is_right_and_loses_its_fix_and_its_mind() {
    let Some(program) = program("gpsd") else {
        return;
    };
    let clock = FakedClock::new();
    let receiver = Receiver::start(0);
    let (running, address) = gpsd(&program, receiver.address);
    let alpha = Setup::new("alpha").clock(&clock).gpsd(address).start();
    wait_clock(&alpha, "quality", "gps");
    let status = alpha.status();
    assert_eq!(status.text("/clock/follows"), "system");
    assert_eq!(status.text("/clock/gps"), "fix");
    assert!(status.number("/clock/error_ms") >= 500);
    let shown = alpha.call(["status"], "").success();
    assert!(shown.contains("gps: from GPS, within"), "{shown}");
    // The sky is hidden: the time is no worse for it, and nobody says that there is a fix.
    receiver.has_fix.store(false, Ordering::Relaxed);
    wait_clock(&alpha, "gps", "no_fix");
    assert_eq!(alpha.status().text("/clock/quality"), "gps");
    // Somebody sets the system clock: GPS was there a moment ago and knows better.
    clock.shift_ms(-days(2));
    wait_clock(&alpha, "follows", "own");
    assert!(
        (offset(&alpha) - days(2)).abs() < 3_000,
        "{}",
        offset(&alpha)
    );
    clock.shift_ms(0);
    wait_clock(&alpha, "follows", "system");
    // A receiver that is a year behind is not believed: this release was not built then. (gpsd itself puts right a
    // receiver that lost count of the weeks.)
    receiver.offset_ms.store(-days(400), Ordering::Relaxed);
    receiver.has_fix.store(true, Ordering::Relaxed);
    wait_clock(&alpha, "gps", "implausible");
    assert_eq!(alpha.status().text("/clock/follows"), "system");
    // gpsd goes away.
    drop(running);
    wait_clock(&alpha, "gps", "away");
    assert!(alpha.log().contains("is gone"), "{}", alpha.log());
}

#[test]
fn gpsfake_corrects_a_box_whose_clock_is_an_hour_ahead() {
    let (Some(program), Some(_)) = (program("gpsfake"), program("gpsd")) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("receiver.nmea");
    let words: String = (0..120)
        .map(|second| nmea(now_ms() + second * 1_000, true))
        .collect();
    fs::write(&log, words).expect("a log");
    let port = free_port();
    // Four sentences a second.
    let fake = Running::start(
        Command::new(program)
            .args(["-q", "-1", "-n", "-c", "0.25", "-P"])
            .arg(port.to_string())
            .arg(&log),
    );
    let clock = FakedClock::new();
    clock.shift_ms(3_600_000);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let alpha = Setup::new("alpha").clock(&clock).gpsd(address).start();
    wait_clock(&alpha, "follows", "own");
    wait_clock(&alpha, "quality", "gps");
    // gpsfake begins a little late, and its seconds are a little long.
    let by = offset(&alpha);
    assert!((-3_630_000..-3_597_000).contains(&by), "{by}");
    let status = alpha.status();
    assert_eq!(
        status.number("/clock/steps"),
        0,
        "nobody set the system clock"
    );
    assert_eq!(status.number("/clock/jumps"), 1);
    let log = alpha.log();
    assert!(log.contains("the box's time goes"), "{log}");
    assert!(log.contains("the system clock is 60 min ahead"), "{log}");
    // Without gpsd the time runs on.
    drop(fake);
    wait_clock(&alpha, "gps", "away");
    assert_eq!(alpha.status().text("/clock/follows"), "own");
    assert!((offset(&alpha) - by).abs() < 5_000);
    // And without being asked for.
    let text = fs::read_to_string(alpha.config()).expect("the file");
    let off = text.replace(&format!("gpsd = \"{address}\""), "gpsd = false");
    assert_ne!(off, text);
    fs::write(alpha.config(), off).expect("the file");
    alpha.call(["reload"], "").success();
    wait_clock(&alpha, "gps", "off");
    assert_eq!(
        alpha.status().text("/clock/follows"),
        "own",
        "its time does not jump back"
    );
}

/// A real chronyd without the right to set any clock but the faked one.
fn chronyd(
    program: &Path,
    folder: &TempDir,
    name: &str,
    lines: &str,
    clock: &FakedClock,
) -> Running {
    let path = |file: &str| folder.path().join(format!("{name}.{file}"));
    let text = format!(
        "{lines}\ncmdport 0\npidfile {}\ndriftfile {}\nuser root\nbindcmdaddress /\n",
        path("pid").display(),
        path("drift").display()
    );
    fs::write(path("conf"), text).expect("its file");
    // Whatever the library before it does not catch, the kernel refuses.
    Running::start(
        Command::new("setpriv")
            .args([
                "--bounding-set",
                "-sys_time",
                "--inh-caps",
                "-sys_time",
                "--",
            ])
            .arg(program)
            .args(["-d", "-f"])
            .arg(path("conf"))
            .envs(clock.environment()),
    )
}

#[test]
fn chronyd_sets_a_clock_of_1970_and_the_box_goes_by_it() {
    let (Some(program), Some(_)) = (program("chronyd"), program("setpriv")) else {
        return;
    };
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: chronyd wants root");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    // A server that believes its own clock, and a client that asks it.
    let port = UdpSocket::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("it")
        .port();
    let server_clock = FakedClock::new();
    let server_lines =
        format!("port {port}\nbindaddress 127.0.0.1\nlocal stratum 1\nallow 127.0.0.1");
    let _server = chronyd(&program, &folder, "server", &server_lines, &server_clock);
    let clock = FakedClock::in_1970();
    let alpha = Setup::new("alpha").clock(&clock).start();
    assert_eq!(alpha.status().text("/clock/quality"), "build");
    let client_lines = format!(
        "port 0\nserver 127.0.0.1 port {port} iburst minpoll -4 maxpoll -2\nmakestep 1 -1\nrtcsync"
    );
    let _client = chronyd(&program, &folder, "client", &client_lines, &clock);
    eventually("chronyd sets the clock", || {
        (clock.sets() > 0).then_some(())
    });
    wait_clock(&alpha, "quality", "ntp");
    let status = alpha.status();
    assert!(clock.is_synchronised());
    assert_eq!(status.text("/clock/follows"), "system");
    assert_eq!(status.0["clock"]["synchronised"], true);
    assert!(clock.shifted_ms().abs() < 2_000, "{}", clock.shifted_ms());
    assert!(
        status.number("/clock/error_ms") < 1_000,
        "{}",
        status.0["clock"]
    );
    assert!(status.number("/clock/steps") >= 1);
}
