//! Tells the program when it was built: no box can run it earlier, whatever its clock says.
//!
//! `SOURCE_DATE_EPOCH` (seconds since 1970) when it is set, so that builds can be repeated; else the time of the newest
//! commit; else now.

#![allow(
    clippy::disallowed_types,
    reason = "the time of the build is what it is for"
)]

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    // Not at every commit: a release is built from a fresh tree, and a little early is right, too.
    println!("cargo:rerun-if-changed=Cargo.toml");
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let given = std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|seconds| seconds.parse().ok());
    let seconds: u64 = given.or_else(newest_commit).unwrap_or(now).min(now);
    println!("cargo:rustc-env=TOMBOLO_BUILD_SECONDS={seconds}");
}

fn newest_commit() -> Option<u64> {
    let git = Command::new("git")
        .args(["log", "-1", "--format=%ct"])
        .current_dir(std::env::var_os("CARGO_MANIFEST_DIR")?)
        .output()
        .ok()?;
    String::from_utf8(git.stdout).ok()?.trim().parse().ok()
}
