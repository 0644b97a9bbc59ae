//! Update bundles that lie in a source: each is honoured once, whatever comes of it.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use super::memory::{Memory, hex};
use super::source;
use crate::update::machine::Machine;
use crate::update::{UpdateError, install};

/// How often a bundle is begun that the power cut short.
const MOST_TRIES: u32 = 3;
/// Bundles of one source that are looked at.
const MOST_BUNDLES: usize = 4;
/// Largest bundle, bytes.
const MOST_BYTES: u64 = 1 << 30;

/// What came of the bundles.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Bundles {
    /// In words, for the report.
    pub notes: Vec<String>,
    /// One was installed: the box must restart.
    pub restart: bool,
}

/// Installs the first bundle that is news. `save` is called before anything is begun and after it ended.
pub fn install_new(
    paths: &[PathBuf],
    machine: &Machine,
    memory: &mut Memory,
    save: impl Fn(&Memory) -> io::Result<()>,
) -> Bundles {
    let mut found = Bundles::default();
    for path in paths.iter().take(MOST_BUNDLES) {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut note = |words: &str| found.notes.push(format!("{name}: {words}"));
        let digest = match digest(path) {
            Ok(digest) => digest,
            Err(error) => {
                note(&format!("cannot be read: {error}"));
                continue;
            }
        };
        let known = memory.bundle(&digest);
        if let Some(words) = &known.words {
            note(&words.clone());
            continue;
        }
        if known.tries >= MOST_TRIES {
            note("was begun several times and never finished; it is left alone now");
            continue;
        }
        known.tries += 1;
        if let Err(error) = save(memory) {
            note(&format!(
                "not installed, because nothing can be remembered: {error}"
            ));
            continue;
        }
        let (words, restart) = match install::install(machine, path, false) {
            Ok(installed) => (
                format!(
                    "version {} was installed into slot {} to be tried",
                    installed.version, installed.slot
                ),
                true,
            ),
            // It is no fault of the bundle: the next look at the source asks again.
            Err(UpdateError::NotNow(why)) => {
                memory.bundle(&digest).tries -= 1;
                if let Err(error) = save(memory) {
                    tracing::warn!("what came of {name} cannot be remembered: {error}");
                }
                note(&format!("not installed yet: {why}"));
                continue;
            }
            Err(UpdateError::NoSlots) => (
                "not installed: this machine takes no bundles".to_owned(),
                false,
            ),
            Err(error) => (format!("not installed: {error}"), false),
        };
        memory.bundle(&digest).words = Some(words.clone());
        if let Err(error) = save(memory) {
            tracing::warn!("what came of {name} cannot be remembered: {error}");
        }
        note(&words);
        if restart {
            found.restart = true;
            break;
        }
    }
    found
}

fn digest(path: &Path) -> io::Result<String> {
    let mut file = source::open(path)?.take(MOST_BYTES);
    let mut context = Context::new(&SHA256);
    let mut block = vec![0; 64 * 1024];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hex(context.finish().as_ref())),
            read => context.update(&block[..read]),
        }
    }
}
