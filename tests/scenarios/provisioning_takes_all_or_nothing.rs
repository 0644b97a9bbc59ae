//! Provisioning from directories that stand for the boot partition and the stick.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Authority, Machine, NETWORK, Setup, TOML, World, ask, eventually, tombolo};

/// Power cuts, spread over the time that it takes.
const CUTS: u32 = 30;

/// Every file below a directory with its bytes and its time of change.
fn picture(directory: &Path) -> Vec<(PathBuf, Vec<u8>, std::time::SystemTime)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let facts = fs::symlink_metadata(&path).expect("facts");
        if facts.is_dir() {
            found.extend(picture(&path));
        } else if facts.is_file() {
            found.push((
                path.clone(),
                fs::read(&path).expect("bytes"),
                facts.modified().expect("a time"),
            ));
        }
    }
    found.sort();
    found
}

#[test]
fn a_full_source_is_taken_once_and_the_operator_has_the_last_word() {
    for source in ["boot", "stick"] {
        let world = World::new();
        world.full(source);
        world.provision().success();
        world.assert_full(source);
        // Nothing new: not one file is written, on the source or on the box.
        let places = || {
            (
                picture(&world.at(source)),
                picture(&world.at("etc")),
                picture(&world.at("state")),
            )
        };
        let before = places();
        assert_eq!(world.provision().success(), "");
        assert!(before == places(), "something was written");
        // What the operator changed stays.
        world
            .call(&["peer", "set", "bravo", "--address", "127.0.0.1:7"])
            .success();
        world.call(&["peer", "remove", "charlie"]).success();
        let changed = world.read("etc/tombolo.toml");
        world.provision().success();
        assert_eq!(world.read("etc/tombolo.toml"), changed);
        // One new file is taken, and only that.
        world.put(
            source,
            "peers/delta.pem",
            world.bravo.authority_pem.as_bytes(),
        );
        world.provision().success();
        let text = world.read("etc/tombolo.toml");
        assert!(
            text.contains("delta") && text.contains("127.0.0.1:7") && !text.contains("charlie"),
            "{text}"
        );
        assert!(text.contains("[identity]"), "{text}");
        // A new tombolo.toml without an identity keeps the one that was taken.
        world.put(
            source,
            "TOMBOLO.TOML",
            TOML.replace("alpha", "alpha-2").as_bytes(),
        );
        world.provision().success();
        let text = world.read("etc/tombolo.toml");
        assert!(
            text.contains("alpha-2") && text.contains("provisioned/"),
            "{text}"
        );
    }
}

#[test]
fn with_any_mistake_nothing_is_taken_and_the_mistake_is_told() {
    type Spoil = fn(&World);
    let spoils: [(&str, &str, Spoil); 17] = [
        ("tombolo.toml", "naem", |world| {
            world.put("boot", "TOMBOLO.TOML", b"[node]\nnaem = \"x\"\n");
        }),
        ("tombolo.toml", "tombolo.toml:1:", |world| {
            world.put("boot", "TOMBOLO.TOML", b"[node\n");
        }),
        ("TOMBOLO.TOML", "UTF-8", |world| {
            world.put("boot", "TOMBOLO.TOML", b"name = \"caf\xe9\"\n");
        }),
        ("tombolo.toml", "TOMBOLO.TOML too", |world| {
            world.put("boot", "tombolo.toml", TOML.as_bytes());
        }),
        ("tombolo.toml.txt", "rename it", |world| {
            world.put("boot", "tombolo.toml.txt", TOML.as_bytes());
        }),
        ("certs", "no private key belongs", |world| {
            world.put(
                "boot",
                "Certs/box.key",
                Authority::new("x").issue("x").key_pem.as_bytes(),
            );
        }),
        ("certs", "private key of \"alpha\" is not there", |world| {
            fs::remove_file(world.at("boot/Certs/box.key")).expect("removed");
        }),
        ("certs", "lacks its issuer", |world| {
            fs::remove_file(world.at("boot/Certs/ca.CRT")).expect("removed");
            let leaf = world
                .ours
                .chain_pem
                .split_inclusive("-----END CERTIFICATE-----\n")
                .next()
                .expect("a leaf");
            world.put("boot", "Certs/Box.pem", leaf.as_bytes());
        }),
        ("Certs/box.p12", "password.txt", |world| {
            world.put("boot", "Certs/box.p12", b"\x30\x82\x00\x00");
        }),
        ("peers/BRAVO.PEM", "leaf, not a CA", |world| {
            world.put("boot", "peers/BRAVO.PEM", world.bravo.chain_pem.as_bytes());
        }),
        ("peers/bravo.toml", "adress", |world| {
            world.put("boot", "peers/bravo.toml", b"adress = \"x:1\"\n");
        }),
        ("tombolo.toml", "address", |world| {
            world.put("boot", "peers/bravo.toml", b"address = \"no port\"\n");
        }),
        (
            "federation.json",
            "line 1: peer \"d\": `groups`: is no list",
            |world| {
                world.put("boot", "federation.json", br#"{"version":1,"peers":[{"name":"d","address":"x","filters":{"groups":"Blue"}}]}"#);
            },
        ),
        ("network/10-ETH0.network", "[Match]", |world| {
            world.put("boot", "network/10-ETH0.network", b"[Network]\nDHCP=yes\n");
        }),
        ("network/eth0.txt", "NAME.network", |world| {
            world.put("boot", "network/eth0.txt", NETWORK.as_bytes());
        }),
        ("authorized_keys", "no public SSH key", |world| {
            world.put("boot", "authorized_keys", b"hello\n");
        }),
        ("network", "must be a folder", |world| {
            fs::remove_dir_all(world.at("boot/network")).expect("removed");
            world.put("boot", "network", b"x");
        }),
    ];
    for (file, word, spoil) in spoils {
        let world = World::new();
        fs::write(world.at("etc/tombolo.toml"), "[node]\nname = \"before\"\n")
            .expect("a configuration");
        world.full("boot");
        spoil(&world);
        let secret = world.at("boot/network/wpa_supplicant-wlan0.conf").exists();
        world.provision().success();
        let result = world.result();
        assert_eq!(result["state"], "mistakes", "{file} {word}: {result}");
        let mistakes = result["mistakes"].to_string();
        assert!(
            mistakes.contains(file) && mistakes.contains(&word.replace('"', "\\\"")),
            "{file} {word}: {mistakes}"
        );
        let report = world.read("boot/TOMBOLO-REPORT.txt");
        assert!(
            report.contains("NOTHING was taken")
                && report.contains(word)
                && report.contains("\r\n"),
            "{report}"
        );
        assert_eq!(
            world.read("etc/tombolo.toml"),
            "[node]\nname = \"before\"\n"
        );
        assert!(!world.at("data").exists(), "{file} {word}");
        assert_eq!(
            world.at("boot/network/wpa_supplicant-wlan0.conf").exists(),
            secret
        );
    }
}

#[test]
fn links_pipes_floods_and_giants_are_refused() {
    let refused = |spoil: &dyn Fn(&World), word: &str| {
        let world = World::new();
        world.put(
            "boot",
            "tombolo.toml",
            TOML.replace("\n[[peer]]\nname = \"bravo\"\n", "")
                .as_bytes(),
        );
        spoil(&world);
        world.provision().success();
        let mistakes = world.result()["mistakes"].to_string();
        assert!(mistakes.contains(word), "{word}: {mistakes}");
        assert!(!world.at("etc/tombolo.toml").exists());
    };
    let secret = |world: &World| {
        fs::write(world.at("etc/shadow"), "secret").expect("a secret");
        world.at("etc/shadow")
    };
    refused(
        &|world| symlink(secret(world), world.at("boot/authorized_keys")).expect("a link"),
        "is a link",
    );
    refused(
        &|world| {
            world.put("boot", "network/10-a.network", NETWORK.as_bytes());
            symlink(
                secret(world),
                world.at("boot/network/wpa_supplicant-wlan0.conf"),
            )
            .expect("a link");
        },
        "is a link",
    );
    refused(
        &|world| symlink(world.at("etc"), world.at("boot/certs")).expect("a link"),
        "must be a folder",
    );
    refused(
        &|world| {
            nix::unistd::mkfifo(
                &world.at("boot/federation.json"),
                nix::sys::stat::Mode::S_IRWXU,
            )
            .expect("a pipe");
        },
        "no ordinary file",
    );
    refused(
        &|world| {
            fs::create_dir(world.at("boot/authorized_keys")).expect("a folder");
        },
        "no ordinary file",
    );
    refused(
        &|world| {
            let file = fs::File::create(world.at("boot/federation.json")).expect("a file");
            file.set_len(8 << 30).expect("a giant");
        },
        "is larger than",
    );
    refused(
        &|world| {
            for number in 0..1000 {
                world.put("boot", &format!("peers/peer-{number}.pem"), b"x");
            }
        },
        "more than 256 files",
    );
    // An outbox that leads elsewhere, or cannot be written at all, is not followed and not fatal.
    let world = World::new();
    world.full("boot");
    fs::create_dir(world.at("elsewhere")).expect("a folder");
    symlink(world.at("elsewhere"), world.at("boot/outbox")).expect("a link");
    world.provision().success();
    assert_eq!(world.result()["state"], "done");
    assert_eq!(
        fs::read_dir(world.at("elsewhere"))
            .expect("a folder")
            .count(),
        0
    );
}

#[test]
fn a_power_cut_at_any_moment_is_made_up_for() {
    let started = std::time::Instant::now();
    let whole = World::new();
    whole.full("stick");
    whole.provision().success();
    let whole = started.elapsed();
    for cut in 0..CUTS {
        let world = World::new();
        world.full("stick");
        let mut child = Command::new(tombolo())
            .args(world.words())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        std::thread::sleep(whole * cut / CUTS);
        let _ = child.kill();
        let _ = child.wait();
        // In between there is the old configuration or the whole new one.
        if world.at("etc/tombolo.toml").exists() {
            world.call(&["cert", "show"]).success();
        }
        world.provision().success();
        world.assert_full("stick");
    }
}

#[test]
fn a_running_box_takes_it_over() {
    let daemon = Setup::new("alpha").start();
    let world = World::new();
    world.put(
        "stick",
        "peers/bravo.pem",
        world.bravo.authority_pem.as_bytes(),
    );
    let (config, state) = (
        daemon.config().display().to_string(),
        daemon.state().display().to_string(),
    );
    let mut words = world.words();
    words[1] = config;
    words[3] = state;
    ask(tombolo(), words, "").success();
    eventually("the box knows the peer", || {
        daemon
            .call(["peer", "list"], "")
            .success()
            .contains("bravo")
            .then_some(())
    });
}

/// A stick with one bundle is in the box; the box looks at it.
fn with_stick(machine: &Machine) -> impl Fn() + '_ {
    fs::create_dir_all(machine.at("run/tombolo-stick")).expect("the stick");
    fs::write(machine.at("run/tombolo-stick/new.raucb"), "a bundle").expect("a bundle");
    move || {
        let at = |path: &str| machine.at(path).display().to_string();
        machine
            .call(&[
                "--config",
                &at("etc/tombolo.toml"),
                "provision",
                "--root",
                &at(""),
                "--boot",
                &at("none"),
                "--stick",
                &at("run/tombolo-stick"),
            ])
            .success();
    }
}

fn report(machine: &Machine) -> String {
    fs::read_to_string(machine.at("run/tombolo-stick/TOMBOLO-REPORT.txt")).expect("a report")
}

fn installs(machine: &Machine) -> usize {
    let log = fs::read_to_string(machine.at("rauc.log")).unwrap_or_default();
    log.lines()
        .filter(|line| line.starts_with("install"))
        .count()
}

/// A stick that is plugged in while the system of the last update proves itself.
#[test]
fn a_bundle_waits_for_the_end_of_a_trial() {
    let machine = Machine::new();
    machine.slot(&["trial", "B"]).success();
    machine.boots("B", true, "second");
    let provision = with_stick(&machine);
    // More often than a bundle may be begun.
    for _ in 0..5 {
        provision();
        assert!(
            report(&machine).contains("not installed yet"),
            "{}",
            report(&machine)
        );
    }
    assert_eq!(installs(&machine), 0);
    machine.slot(&["commit"]).success();
    machine.rauc("tombolo-virt", "0.3.0", "rauc set-primary A");
    provision();
    assert_eq!(installs(&machine), 1);
    assert!(
        report(&machine).contains("version 0.3.0 was installed into slot A"),
        "{}",
        report(&machine)
    );
}

#[test]
fn a_bundle_is_honoured_once() {
    let machine = Machine::new();
    let provision = with_stick(&machine);
    let report = || report(&machine);
    let installs = || installs(&machine);
    provision();
    assert_eq!(installs(), 1);
    assert!(
        report().contains("version 0.3.0 was installed into slot B"),
        "{}",
        report()
    );
    assert!(machine.at("systemctl.log").exists(), "the box restarts");
    // Both trials fail; the stick is still there at every start.
    for boot_id in ["second", "third", "fourth", "fifth"] {
        machine.boot_loader(boot_id);
        provision();
    }
    assert_eq!(installs(), 1);
    assert_eq!(machine.slots()["good"], "A");
    assert_eq!(machine.status()["history"][0]["end"], "rolled_back");
    // One that is not newer is left alone with a word.
    machine.rauc("tombolo-virt", "0.2.0", "rauc set-primary B");
    fs::write(machine.at("run/tombolo-stick/new.raucb"), "another bundle").expect("a bundle");
    provision();
    assert_eq!(installs(), 1);
    assert!(
        report().contains("version 0.2.0 runs already"),
        "{}",
        report()
    );
}
