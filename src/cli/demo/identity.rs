//! How the demo learns what a box proves itself with: the same way an administrator does.

use std::path::{Path, PathBuf};

use super::DemoError;
use super::island::ask;

/// What the other box registers.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// The leaf's fingerprint, `SHA256:…`.
    pub(super) fingerprint: String,
    /// The CA certificate, PEM.
    pub(super) ca_file: PathBuf,
}

/// Makes the box create its CA and identity, and gives back what others need of it.
pub(super) async fn learn(
    name: &'static str,
    config: &Path,
    state: &Path,
    export: &Path,
) -> Result<Known, DemoError> {
    let words =
        |text: &str| -> Vec<std::ffi::OsString> { text.split(' ').map(Into::into).collect() };
    let mut base = words("--config");
    base.push(config.into());
    base.extend(words("--state"));
    base.push(state.into());

    let mut show = base.clone();
    show.extend(words("cert show --json"));
    let shown = ask(name, show).await?;
    let fingerprint = serde_json::from_str::<serde_json::Value>(&shown)
        .ok()
        .and_then(|shown| shown.get("fingerprint")?.as_str().map(str::to_owned))
        .ok_or_else(|| {
            DemoError::Island(
                name,
                format!("shows no fingerprint: {shown}"),
                String::new(),
            )
        })?;

    base.extend(words("cert export --out"));
    base.push(export.into());
    ask(name, base).await?;
    Ok(Known {
        fingerprint,
        ca_file: export.join(format!("{name}-ca.pem")),
    })
}
