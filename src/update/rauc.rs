//! RAUC as a program of its own: with an end to its time, and to its words.

#![allow(
    clippy::disallowed_methods,
    reason = "a command that ends waits for another program; no event loop runs here"
)]

use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::UpdateError;
use super::admission::BundleFacts;
use crate::clock::{Clock, SystemClock};

/// Most that is read of what it says, bytes; the rest is thrown away.
const MOST_OUTPUT: u64 = 64 * 1024;
/// Reading a signature takes seconds.
const INFO_TIME: Duration = Duration::from_secs(120);
/// Writing a slot on a slow card takes minutes.
const INSTALL_TIME: Duration = Duration::from_secs(15 * 60);
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug, Deserialize)]
struct Info {
    compatible: Option<String>,
    version: Option<String>,
}

/// Checks a bundle's signature against the keyring and reads what it says of itself.
///
/// # Errors
/// If the signature is not good, or RAUC cannot be run.
pub fn info(keyring: &Path, bundle: &Path) -> Result<BundleFacts, UpdateError> {
    let keyring_option = [OsStr::new("--keyring"), keyring.as_os_str()];
    let rest = ["info", "--output-format=json"].map(OsStr::new);
    let words = keyring_option
        .into_iter()
        .chain(rest)
        .chain([bundle.as_os_str()]);
    let said = run(words, INFO_TIME)?;
    if !said.success {
        return Err(UpdateError::Refused(format!(
            "{}: the bundle is refused: {}; take a bundle that is signed for this box and copied whole",
            bundle.display(),
            last_words(&said.errors)
        )));
    }
    let info: Info = serde_json::from_str(said.output.trim()).map_err(|error| {
        UpdateError::Rauc(format!("rauc info: its answer is not understood ({error})"))
    })?;
    Ok(BundleFacts {
        compatible: info.compatible.unwrap_or_default(),
        version: info.version.unwrap_or_default(),
    })
}

/// Writes a bundle into the slot that does not run, and has it put on trial.
///
/// # Errors
/// What RAUC says.
pub fn install(bundle: &Path) -> Result<(), UpdateError> {
    let said = run([OsStr::new("install"), bundle.as_os_str()], INSTALL_TIME)?;
    match said.success {
        true => Ok(()),
        false => {
            let all = format!("{}\n{}", said.output, said.errors);
            Err(UpdateError::Rauc(format!(
                "rauc install: {}",
                last_words(&all)
            )))
        }
    }
}

#[derive(Debug)]
struct Said {
    success: bool,
    output: String,
    errors: String,
}

fn run<'a>(
    words: impl IntoIterator<Item = &'a OsStr>,
    time: Duration,
) -> Result<Said, UpdateError> {
    let failed = |error: io::Error| UpdateError::Rauc(format!("rauc: {error}; is it installed?"));
    let mut child = Command::new("rauc")
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let output = child.stdout.take().map(collected);
    let errors = child.stderr.take().map(collected);
    let success = wait(&mut child, time)?;
    let text = |reader: Option<thread::JoinHandle<String>>| {
        reader
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default()
    };
    Ok(Said {
        success,
        output: text(output),
        errors: text(errors),
    })
}

fn wait(child: &mut Child, time: Duration) -> Result<bool, UpdateError> {
    let failed = |error: io::Error| UpdateError::Rauc(format!("rauc: {error}"));
    let clock = SystemClock::new();
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return Ok(status.success());
        }
        if u128::from(clock.now().mono_ms) >= time.as_millis() {
            let _ = child.kill();
            let _ = child.wait();
            return Err(UpdateError::Rauc(format!(
                "rauc did not end within {} s and was stopped; try again",
                time.as_secs()
            )));
        }
        thread::sleep(PAUSE);
    }
}

fn collected(pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut pipe = pipe;
        let mut bytes = Vec::new();
        let _ = pipe.by_ref().take(MOST_OUTPUT).read_to_end(&mut bytes);
        // A full pipe would hold it up for ever.
        let _ = io::copy(&mut pipe, &mut io::sink());
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The last line that says something, fit for a message.
fn last_words(text: &str) -> String {
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    line.unwrap_or("it does not say why")
        .chars()
        .take(300)
        .map(clean)
        .collect()
}
