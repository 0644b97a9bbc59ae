//! What takes more rights than the console has: a file in `/run/tombolo/requests` asks for it, the machine's own units
//! do it and leave a result in `/run/tombolo/results`.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::api::{ErrorCode, Fault};
use crate::console::SystemOrder;
use crate::files;

const RUN: &str = "/run/tombolo";
const COMMAND_LINE: &str = "/proc/cmdline";
/// A network takes this long at most, ms.
const NETWORK_MS: u64 = 20_000;
/// A bundle takes this long to write at most, ms.
const UPDATE_MS: u64 = 900_000;
const LOOK_MS: u64 = 250;

/// A result as the units leave it.
#[derive(Debug, Deserialize)]
struct Outcome {
    ok: bool,
    #[serde(default)]
    message: String,
}

/// Whether anybody hears requests on this machine.
pub(super) fn hears_requests() -> bool {
    Path::new(RUN).join("requests").is_dir()
}

/// Asks for it, and waits for the result where there is one.
pub(super) fn perform(order: &SystemOrder) -> Result<String, Fault> {
    perform_in(Path::new(RUN), order, has_slots())
}

fn perform_in(run: &Path, order: &SystemOrder, has_slots: bool) -> Result<String, Fault> {
    let (name, text, patience_ms) = match order {
        SystemOrder::Reboot => ("reboot", json!({}), 0),
        SystemOrder::FactoryReset => ("factory-reset", json!({}), 0),
        SystemOrder::Network(network) => ("network", json!(network), NETWORK_MS),
        SystemOrder::Update {
            file,
            allow_downgrade,
        } => {
            if !has_slots {
                return Err(Fault::new(
                    ErrorCode::Unavailable,
                    "not on this machine: it has no second system slot; update it by its package",
                ));
            }
            if !Path::new(file).is_file() {
                let words = format!("{file}: there is no such file on this box");
                return Err(Fault::new(ErrorCode::NotFound, words));
            }
            let text = json!({"path": file, "allow_downgrade": allow_downgrade});
            ("update", text, UPDATE_MS)
        }
    };
    let requests = run.join("requests");
    if !requests.is_dir() {
        let words = format!(
            "not on this machine: nobody hears requests in {}",
            requests.display()
        );
        return Err(Fault::new(ErrorCode::Unavailable, words));
    }
    let result = run.join("results").join(format!("{name}.json"));
    let before = age(&result);
    let request = requests.join(name);
    files::replace(&request, text.to_string().as_bytes(), 0o644).map_err(|error| {
        let words = format!("{}: {}", request.display(), files::fault(&error));
        Fault::new(ErrorCode::Io, words)
    })?;
    if patience_ms == 0 {
        return Ok(format!("{name} is asked for: the machine goes down now"));
    }
    for _ in 0..patience_ms / LOOK_MS {
        pause(Duration::from_millis(LOOK_MS));
        if age(&result) != before
            && let Some(outcome) = outcome(&result)
        {
            return match outcome.ok {
                true => Ok(format!("{name}: {}", or(outcome.message, "done"))),
                false => Err(Fault::new(
                    ErrorCode::Unavailable,
                    format!("{name}: {}", or(outcome.message, "not done")),
                )),
            };
        }
    }
    // Nobody shall do it an hour later, when somebody has done it by hand.
    let _ = files::remove(&request);
    let seconds = patience_ms / 1000;
    let words =
        format!("{name}: nobody did it within {seconds} s; the units of the machine do not run");
    Err(Fault::new(ErrorCode::Unavailable, words))
}

#[allow(
    clippy::disallowed_methods,
    reason = "a command of its own process, with nothing else to do"
)]
pub(super) fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn outcome(result: &Path) -> Option<Outcome> {
    let bytes = files::read_bounded(result, 64 * 1024).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn age(result: &Path) -> Option<(u64, i64, i64)> {
    let there = std::fs::metadata(result).ok()?;
    Some((there.ino(), there.mtime(), there.mtime_nsec()))
}

fn or(words: String, instead: &str) -> String {
    match words.is_empty() {
        true => instead.to_owned(),
        false => words,
    }
}

/// Started from one of two system slots, as the kernel's command line tells.
fn has_slots() -> bool {
    let bytes = files::read_bounded(COMMAND_LINE.as_ref(), 64 * 1024).unwrap_or_default();
    let line = String::from_utf8_lossy(&bytes);
    line.split_whitespace()
        .any(|word| word.starts_with("tombolo.slot="))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::Network;
    use std::fs;

    #[test]
    fn a_request_is_written_and_its_result_read() {
        let run = tempfile::tempdir().unwrap();
        let order = SystemOrder::Network(Network::read("10.0.0.2/24 10.0.0.1").unwrap());
        let fault = perform_in(run.path(), &order, false).unwrap_err();
        assert!(fault.message.contains("not on this machine"), "{fault}");
        let (requests, results) = (run.path().join("requests"), run.path().join("results"));
        fs::create_dir(&requests).unwrap();
        fs::create_dir(&results).unwrap();
        fs::write(
            results.join("network.json"),
            "{\"ok\":true,\"message\":\"an old one\"}",
        )
        .unwrap();
        for (result, done) in [
            ("{\"ok\":true,\"message\":\"set\"}", Ok("network: set")),
            ("{\"ok\":false}", Err("network: not done")),
        ] {
            let (requests, results) = (requests.clone(), results.clone());
            let unit = std::thread::spawn(move || {
                while !requests.join("network").exists() {
                    pause(Duration::from_millis(5));
                }
                let text = fs::read_to_string(requests.join("network")).unwrap();
                fs::remove_file(requests.join("network")).unwrap();
                files::replace(&results.join("network.json"), result.as_bytes(), 0o644).unwrap();
                text
            });
            let answer = perform_in(run.path(), &order, false);
            assert_eq!(
                answer.as_deref().map_err(|fault| fault.message.as_str()),
                done
            );
            let asked: Network = serde_json::from_str(&unit.join().unwrap()).unwrap();
            assert_eq!(SystemOrder::Network(asked), order);
        }
        assert!(perform_in(run.path(), &SystemOrder::Reboot, false).is_ok());
        assert!(requests.join("reboot").exists());
    }

    #[test]
    fn an_update_takes_slots_and_a_file() {
        let run = tempfile::tempdir().unwrap();
        let order = SystemOrder::Update {
            file: "/nonexistent".into(),
            allow_downgrade: false,
        };
        let words = |has_slots| {
            perform_in(run.path(), &order, has_slots)
                .unwrap_err()
                .message
        };
        assert!(words(false).contains("no second system slot"));
        assert!(words(true).contains("no such file"));
    }
}
