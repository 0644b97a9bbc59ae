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
use crate::update::machine::Machine;
use crate::update::request::{self, UpdateRequest};

/// Below the root.
const RUN: &str = "run/tombolo";
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
    Path::new("/").join(RUN).join("requests").is_dir()
}

/// Asks for it, and waits for the result where there is one.
pub(super) fn perform(order: &SystemOrder) -> Result<String, Fault> {
    perform_on(Path::new("/"), order)
}

fn perform_on(root: &Path, order: &SystemOrder) -> Result<String, Fault> {
    let run = root.join(RUN);
    let (name, text, patience_ms) = match order {
        SystemOrder::Reboot => ("reboot", json!({}), 0),
        SystemOrder::FactoryReset => ("factory-reset", json!({}), 0),
        SystemOrder::Network(network) => ("network", json!(network), NETWORK_MS),
        SystemOrder::Update {
            file,
            allow_downgrade,
        } => ("update", update(root, file, *allow_downgrade)?, UPDATE_MS),
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

/// The request for an update, if this machine takes any and the bundle lies where root looks for it.
fn update(root: &Path, file: &str, allow_downgrade: bool) -> Result<serde_json::Value, Fault> {
    let machine = Machine::new(root, root);
    machine
        .booted()
        .map_err(|error| Fault::new(ErrorCode::Unavailable, error.to_string()))?;
    let bundle = request::bundle(&machine, Path::new(file))
        .map_err(|error| Fault::new(ErrorCode::NotFound, error.to_string()))?;
    Ok(json!(UpdateRequest {
        path: bundle,
        allow_downgrade,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::Network;
    use std::fs;

    #[test]
    fn a_request_is_written_and_its_result_read() {
        let root = tempfile::tempdir().unwrap();
        let run = root.path().join(RUN);
        let order = SystemOrder::Network(Network::read("10.0.0.2/24 10.0.0.1").unwrap());
        let fault = perform_on(root.path(), &order).unwrap_err();
        assert!(fault.message.contains("not on this machine"), "{fault}");
        let (requests, results) = (run.join("requests"), run.join("results"));
        fs::create_dir_all(&requests).unwrap();
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
            let answer = perform_on(root.path(), &order);
            assert_eq!(
                answer.as_deref().map_err(|fault| fault.message.as_str()),
                done
            );
            let asked: Network = serde_json::from_str(&unit.join().unwrap()).unwrap();
            assert_eq!(SystemOrder::Network(asked), order);
        }
        assert!(perform_on(root.path(), &SystemOrder::Reboot).is_ok());
        assert!(requests.join("reboot").exists());
    }

    #[test]
    fn an_update_takes_slots_and_a_file() {
        let root = tempfile::tempdir().unwrap();
        let order = SystemOrder::Update {
            file: "/data/new.raucb".into(),
            allow_downgrade: true,
        };
        fs::create_dir_all(root.path().join("proc")).unwrap();
        fs::create_dir_all(root.path().join("data")).unwrap();
        let command_line = root.path().join("proc/cmdline");
        fs::write(&command_line, "console=ttyS1\n").unwrap();
        let code = || perform_on(root.path(), &order).unwrap_err().code;
        assert_eq!(code(), ErrorCode::Unavailable);
        fs::write(
            &command_line,
            "console=ttyS1 tombolo.slot=A tombolo.trial=0\n",
        )
        .unwrap();
        assert_eq!(code(), ErrorCode::NotFound);
    }
}
