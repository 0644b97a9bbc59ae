//! The status LED of a real box, on a directory that looks like one of the kernel's LED class.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;
use tombolo::led::Pattern;

use crate::support::led::{Stretch, decode, played};
use crate::support::{
    Authority, Device, Registration, Setup, TomboloBox, eventually, tombolo, track,
};

/// The lease that the box holds, milliseconds.
const LEASE_MS: u64 = 6_000;

/// A LED that is no more than files.
struct Led {
    _directory: TempDir,
    path: PathBuf,
}

impl Led {
    fn new(triggers: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("status");
        fs::create_dir(&path).expect("a LED");
        for (file, text) in [
            ("trigger", triggers),
            ("brightness", "0\n"),
            ("max_brightness", "255\n"),
            ("pattern", ""),
            ("repeat", "-1\n"),
        ] {
            fs::write(path.join(file), text).expect(file);
        }
        Self {
            _directory: directory,
            path,
        }
    }

    /// One whose kernel plays patterns.
    fn playing() -> Self {
        Self::new("[none] timer pattern\n")
    }

    fn key(&self) -> String {
        format!("device = {:?}", self.path.to_str().expect("UTF-8"))
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path.join(file)).unwrap_or_default()
    }

    /// What is shown while the box lives, and when it is dead.
    fn shows(&self) -> Option<(String, String)> {
        shows(&self.read("pattern"), LEASE_MS)
    }

    #[track_caller]
    fn wait(&self, word: &str) {
        let mut last = None;
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(&format!("the LED shows {word}"), || {
                last = self.shows();
                last.clone().filter(|(alive, _)| alive == word)
            })
        }));
        let Ok(dead) = seen else {
            panic!(
                "the LED shows {last:?} and not {word}: {}",
                self.read("pattern")
            );
        };
        assert_eq!(dead.1, "blinks_10", "when the box dies");
    }

    /// Notes every word that is shown, until told to stop.
    fn watch(&self) -> Watcher {
        let (path, stop) = (self.path.join("pattern"), Arc::new(AtomicBool::new(false)));
        let stopping = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut words: Vec<String> = Vec::new();
            while !stopping.load(Ordering::Relaxed) {
                let text = fs::read_to_string(&path).unwrap_or_default();
                if let Some((word, _)) = shows(&text, LEASE_MS)
                    && words.last() != Some(&word)
                {
                    words.push(word);
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            words
        });
        Watcher { stop, thread }
    }
}

struct Watcher {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<String>>,
}

impl Watcher {
    fn words(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("a watcher")
    }
}

/// A text that is half written is none.
fn shows(text: &str, lease_ms: u64) -> Option<(String, String)> {
    if !text.ends_with('\n') || text.len() < 20 {
        return None;
    }
    let (mut alive, mut dead, mut at) = (Vec::new(), Vec::new(), 0);
    for stretch in played(text, 255) {
        let first = stretch.ms.min(lease_ms.saturating_sub(at));
        for (part, ms) in [(&mut alive, first), (&mut dead, stretch.ms - first)] {
            if ms > 0 {
                part.push(Stretch { ms, ..stretch });
            }
        }
        at += stretch.ms;
    }
    Some((word_of(&alive), decode(&dead)))
}

/// The pattern of which these stretches are a piece; the lease is shorter than some cycles.
fn word_of(found: &[Stretch]) -> String {
    let is_piece = |pattern: &Pattern, phase: u64| {
        let mut at = phase;
        found.iter().all(|stretch| {
            let lit = |ms| pattern.at(at + ms).step.lit == stretch.lit;
            let fits = (0..stretch.ms).step_by(50).all(lit) && lit(stretch.ms - 1);
            at += stretch.ms;
            fits
        })
    };
    let known = Pattern::ALL.iter().find(|pattern| {
        (0..pattern.cycle_ms())
            .step_by(50)
            .any(|phase| is_piece(pattern, phase))
    });
    known.map_or("unknown", |pattern| pattern.word()).to_owned()
}

fn word(status: &TomboloBox) -> String {
    let status = status.status();
    status.0["led"]["signal"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[track_caller]
fn change(node: &TomboloBox, from: &str, to: &str) {
    let text = fs::read_to_string(node.config()).expect("tombolo.toml");
    assert!(text.contains(from), "{from} in\n{text}");
    fs::write(node.config(), text.replace(from, to)).expect("tombolo.toml");
    node.call(["reload"], "").success();
}

#[test]
fn from_the_first_boot_to_a_sudden_death() {
    let led = Led::playing();
    let watcher = led.watch();
    let (alpha_ca, bravo_ca) = (Authority::new("alpha-ca"), Authority::new("bravo-ca"));
    let alpha = Setup::new("alpha").identity(&alpha_ca.issue("alpha"));
    let bravo = Setup::new("bravo").identity(&bravo_ca.issue("bravo"));
    let (to_alpha, to_bravo) = (alpha.registration(), bravo.registration());

    // Nothing is configured.
    let mut bravo = bravo.own_machine().led(&led.key()).start();
    led.wait("double");
    assert_eq!(led.read("trigger"), "pattern");
    let status = bravo.status();
    assert_eq!(status.0["led"]["back_end"], "kernel");
    assert_eq!(status.0["led"]["signal"], "provisioning");
    assert_eq!(status.0["led"]["pattern"], "double pulse");
    assert_eq!(watcher.words(), ["fast", "double"], "booting comes first");
    let people = bravo.call(["status"], "").success();
    assert!(
        people.contains("led             double pulse: waiting for provisioning"),
        "{people}"
    );

    // A peer that has not dialled yet.
    let text = fs::read_to_string(bravo.config()).expect("tombolo.toml");
    let to_alpha = to_alpha.key("outgoing = false");
    fs::write(bravo.config(), text + &to_alpha.in_file()).expect("tombolo.toml");
    bravo.call(["reload"], "").success();
    led.wait("medium");

    // It comes, and nothing can be proven: neither side sends.
    let alpha = alpha
        .peer(to_bravo.dial(bravo.federation()).key("outgoing = false"))
        .led("device = \"\"")
        .start();
    alpha.wait_peer("bravo");
    led.wait("wink");
    assert_eq!(word(&bravo), "connected");
    assert_eq!(alpha.status().0["led"]["back_end"], "none");

    // Events cross.
    alpha
        .call(["peer", "set", "bravo", "--outgoing"], "")
        .success();
    let hawk = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(1);
    hawk.send(track("hawk", 1));
    led.wait("steady");

    // Mistakes of provisioning, and their end.
    let runtime = bravo.machine().join("run/tombolo");
    fs::create_dir_all(&runtime).expect("a directory");
    let report = runtime.join("provision.json");
    fs::write(&report, "{\"state\":\"mistakes\",\"mistakes\":[\"x\"]}").expect("a report");
    led.wait("double");
    fs::write(&report, "{\"state\":\"done\"}").expect("a report");
    led.wait("steady");

    // Paused by the operator.
    bravo.call(["peer", "pause", "alpha"], "").success();
    led.wait("off");
    assert_eq!(word(&bravo), "paused");
    bravo.call(["peer", "resume", "alpha"], "").success();
    // Alpha was refused meanwhile and would wait for a minute.
    alpha.call(["peer", "pause", "bravo"], "").success();
    alpha.call(["peer", "resume", "bravo"], "").success();
    // Nobody sends anything, and a probe proves it.
    led.wait("steady");

    // Light discipline: the kernel is told to leave the LED alone, and nothing is written any more.
    change(&bravo, "[led]\n", "[led]\nmode = \"dark\"\n");
    eventually("the LED is dark", || {
        (led.read("trigger") == "none" && led.read("brightness") == "0").then_some(())
    });
    assert_eq!(word(&bravo), "dark");
    let written = || fs::metadata(led.path.join("pattern")).and_then(|file| file.modified());
    let before = written().expect("a time");
    fs::write(led.path.join("brightness"), "255").expect("somebody else");
    eventually("the LED is dark again", || {
        (led.read("brightness") == "0").then_some(())
    });
    assert_eq!(written().expect("a time"), before);
    // The kernel lists what there is, and forgets a pattern with its trigger.
    fs::write(led.path.join("trigger"), "[none] timer pattern\n").expect("the kernel");
    fs::write(led.path.join("pattern"), "").expect("the kernel");
    change(&bravo, "mode = \"dark\"\n", "");
    led.wait("steady");

    // The other side goes away.
    drop(alpha);
    led.wait("medium");

    // A sudden death: what was written last speaks for itself.
    bravo.signal(Signal::SIGKILL);
    bravo.wait_end(Duration::from_secs(10)).expect("its end");
    assert_eq!(
        led.shows(),
        Some(("medium".to_owned(), "blinks_10".to_owned()))
    );
}

#[test]
fn a_stopped_box_says_for_a_while_that_it_will_be_back() {
    let led = Led::playing();
    let mut alpha = Setup::new("alpha").led(&led.key()).start();
    led.wait("double");
    alpha.signal(Signal::SIGTERM);
    alpha.wait_end(Duration::from_secs(10)).expect("its end");
    let text = led.read("pattern");
    let (stopped, dead) = shows(&text, 20_000).expect("a pattern");
    assert_eq!(stopped, "fast");
    let blinks = played(&text, 255);
    assert!(blinks.iter().filter(|one| one.lit && one.ms == 300).count() >= 10);
    assert_ne!(dead, "fast");
}

#[test]
fn a_certificate_that_is_not_the_registered_one_is_five_blinks() {
    let led = Led::playing();
    let (alpha_ca, bravo_ca) = (Authority::new("alpha-ca"), Authority::new("bravo-ca"));
    let other = bravo_ca.issue("somebody-else");
    let bravo = Setup::new("bravo")
        .identity(&bravo_ca.issue("bravo"))
        .start();
    let alpha = Setup::new("alpha")
        .identity(&alpha_ca.issue("alpha"))
        .led(&led.key())
        .peer(Registration::of("bravo", &other).dial(bravo.federation()))
        .start();
    led.wait("blinks_5");
    assert_eq!(word(&alpha), "fault_certificate");
}

#[test]
fn nobody_answers_is_retrying_first_and_four_blinks_then() {
    let led = Led::playing();
    let nowhere = "127.0.0.1:1".parse().expect("an address");
    let leaf = Authority::new("bravo-ca").issue("bravo");
    let watcher = led.watch();
    let alpha = Setup::new("alpha")
        .led(&led.key())
        .peer(Registration::of("bravo", &leaf).dial(nowhere))
        .start();
    led.wait("blinks_4");
    assert_eq!(word(&alpha), "fault_unanswered");
    assert_eq!(watcher.words(), ["fast", "medium", "blinks_4"]);
}

#[test]
fn without_the_kernels_patterns_the_box_switches_by_itself() {
    let led = Led::new("[none] timer heartbeat\n");
    let alpha = Setup::new("alpha").led(&led.key()).start();
    let mut seen = BTreeSet::new();
    eventually("it blinks", || {
        seen.insert(led.read("brightness"));
        (seen.contains("0") && seen.contains("255")).then_some(())
    });
    assert_eq!(alpha.status().0["led"]["back_end"], "class");
    assert_eq!(led.read("pattern"), "", "nothing for the kernel");
    assert_eq!(led.read("trigger"), "[none] timer heartbeat\n");
}

#[test]
fn a_led_that_vanishes_is_taken_again_when_it_is_back() {
    let led = Led::playing();
    let alpha = Setup::new("alpha").led(&led.key()).start();
    led.wait("double");
    let away = led.path.with_extension("away");
    fs::rename(&led.path, &away).expect("unplugged");
    let lost = eventually("the loss is noticed", || {
        let status = alpha.status();
        (status.0["led"]["back_end"] == "lost").then_some(status)
    });
    let problem = lost.0["led"]["problem"].as_str().unwrap_or_default();
    assert!(problem.contains("there is no such file"), "{problem}");
    std::thread::sleep(Duration::from_millis(2500));
    fs::write(away.join("pattern"), "").expect("a new one");
    fs::rename(&away, &led.path).expect("plugged in");
    led.wait("double");
    let status = eventually("it is told", || {
        let status = alpha.status();
        (status.0["led"]["back_end"] == "kernel").then_some(status)
    });
    assert_eq!(status.0["led"]["losses"], 1);
    assert!(status.0["led"]["problem"].is_null());
    let told = alpha.log();
    let warnings = told.matches("federation goes on without it").count();
    assert_eq!(warnings, 1, "told once\n{told}");
}

/// Calls `tombolo led` as systemd would.
fn call(words: &[&str], config: &Path, result: Option<&str>) -> (bool, String) {
    let mut command = Command::new(tombolo());
    command
        .arg("led")
        .args(words)
        .arg("--config")
        .arg(config)
        .env_remove("SERVICE_RESULT");
    if let Some(result) = result {
        command.env("SERVICE_RESULT", result);
    }
    let output = command.output().expect("the program");
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

#[test]
fn units_speak_through_the_led_before_the_start_and_after_a_death() {
    let led = Led::playing();
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("tombolo.toml");
    let whole = |text: &str| played(text, 255).repeat(20);
    // A mistake elsewhere is why the box did not start.
    let broken = format!("[led]\n{}\n[limits]\nnonsense = 5\n", led.key());
    fs::write(&config, &broken).expect("tombolo.toml");
    assert!(call(&["booting"], &config, None).0);
    assert_eq!(decode(&whole(&led.read("pattern"))), "fast");
    assert!(call(&["fault"], &config, Some("success")).0);
    assert_eq!(decode(&whole(&led.read("pattern"))), "fast", "left alone");
    assert!(call(&["fault"], &config, Some("watchdog")).0);
    assert_eq!(decode(&whole(&led.read("pattern"))), "blinks_10");
    // Light discipline holds even when the file makes no sense.
    fs::write(led.path.join("brightness"), "255").expect("lit");
    fs::write(
        &config,
        broken.replace("[led]\n", "[led]\nmode = \"dark\"\n"),
    )
    .expect("a file");
    let (fine, said) = call(&["fault"], &config, Some("watchdog"));
    assert!(fine && said.contains("stays dark"), "{said}");
    assert_eq!(led.read("trigger"), "none");
    assert_eq!(led.read("brightness"), "0");
    // A LED that is not there is an answer for people, not a crash.
    fs::write(&config, "[led]\ndevice = \"/no/such/led\"\n").expect("a file");
    let (fine, said) = call(&["fault"], &config, None);
    assert!(!fine && said.contains("[led]"), "{said}");
}

/// The decoder of the image tests shares nothing with the program but the table in its documents.
#[test]
fn the_decoder_of_the_image_tests_knows_every_pattern() {
    let decoder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/image/led_decode.py");
    let python = |file: Option<&Path>| {
        let output = Command::new("python3")
            .arg(&decoder)
            .args(file)
            .output()
            .expect("python3");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert!(python(None).contains("patterns told apart"));
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("look");
    for pattern in Pattern::ALL {
        let look = (0..2000_u64)
            .map(|number| number * 10)
            .map(|ms| {
                let lit = pattern.at(1234 + ms).step.lit;
                format!("{}.{:03} {}\n", ms / 1000, ms % 1000, u8::from(lit))
            })
            .collect::<String>();
        fs::write(&file, look).expect("a look");
        assert_eq!(python(Some(&file)), pattern.word());
    }
}
