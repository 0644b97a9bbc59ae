//! `tombolo demo`, as a newcomer and as a script would run it.

use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{PATIENCE, ask, tombolo};

#[test]
fn for_scripts() {
    let finished = ask(tombolo(), ["demo", "--seconds", "3", "--json"], "");
    assert_eq!(
        finished.code,
        Some(0),
        "{}\n{}",
        finished.stdout,
        finished.stderr
    );
    assert_eq!(finished.stdout.lines().count(), 1, "{}", finished.stdout);
    let line: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let injected = line["injected"].as_u64().expect("a count");
    // Two islands, five tracks at 2 Hz for three seconds, the sender itself and its chat.
    assert!(injected >= 2 * (5 * 6 + 2), "{line}");
    assert_eq!(line["seen"], injected);
    assert_eq!(line["duplicates"], 0);
    assert!(line["latency_ms"]["p50"].as_f64() > Some(0.0), "{line}");
    assert!(line["latency_ms"]["p99"].as_f64() >= line["latency_ms"]["p50"].as_f64());
    let links = line["links"].as_array().expect("links");
    assert_eq!(links.len(), 2);
    for (link, (from, to)) in links.iter().zip([("alpha", "bravo"), ("bravo", "alpha")]) {
        assert_eq!((&link["from"], &link["to"]), (&from.into(), &to.into()));
        assert_eq!(link["state"], "flowing");
    }
}

#[test]
fn for_people_until_ctrl_c_and_nothing_is_left_behind() {
    let home = tempfile::tempdir().expect("a directory");
    let mut demo = Command::new(tombolo())
        .arg("demo")
        .env("TMPDIR", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let number = Pid::from_raw(i32::try_from(demo.id()).expect("a process number"));
    let mut lines =
        std::io::BufRead::lines(std::io::BufReader::new(demo.stdout.take().expect("a pipe")));
    let shown = lines
        .by_ref()
        .map_while(Result::ok)
        .find(|line| line.contains("flowing"))
        .expect("a line with both links");
    assert!(shown.contains("injected"), "{shown}");
    kill(number, Signal::SIGINT).expect("Ctrl-C");
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let ended = demo.wait().expect("it ends");
    assert_eq!(ended.code(), Some(0), "{rest:?}");
    let left: Vec<_> = std::fs::read_dir(home.path())
        .expect("the directory")
        .collect();
    assert!(left.is_empty(), "{left:?}");
    std::thread::sleep(Duration::from_millis(100));
    let orphans = processes_with(home.path().to_str().expect("UTF-8"));
    assert!(orphans.is_empty(), "{orphans:?} after {PATIENCE:?}");
}

/// Command lines of processes that name the directory.
fn processes_with(directory: &str) -> Vec<String> {
    std::fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "))
        .filter(|line| line.contains(directory))
        .collect()
}
