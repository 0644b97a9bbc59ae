//! A box with two slots that lies in a directory: its card is a file, RAUC a script.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::{Finished, tombolo};

/// A box with two slots.
#[derive(Debug)]
pub struct Machine {
    /// Its file system.
    pub root: TempDir,
}

impl Machine {
    /// It runs version 0.2.0 for the board `virt` from slot A.
    pub fn new() -> Self {
        let machine = Self {
            root: tempfile::tempdir().expect("a directory"),
        };
        for place in [
            "proc/sys/kernel/random",
            "usr/lib/tombolo",
            "etc/rauc",
            "bin",
            "data",
            "run/tombolo/requests",
            "run/tombolo/results",
        ] {
            fs::create_dir_all(machine.at(place)).expect("a directory");
        }
        fs::write(machine.at("card"), vec![0; 262_144]).expect("the card");
        fs::write(
            machine.at("usr/lib/tombolo/slot.conf"),
            format!("device={}\n", machine.at("card").display()),
        )
        .expect("slot.conf");
        fs::write(
            machine.at("usr/lib/tombolo/image-release"),
            "VERSION=0.2.0\nBOARD=virt\n",
        )
        .expect("image-release");
        machine.boots("A", false, "first");
        machine.script("systemctl", "echo \"$@\" >> \"$ROOT/systemctl.log\"");
        machine.rauc(
            "tombolo-virt",
            "0.3.0",
            "slot rauc set-state B bad && $TOMBOLO slot --root $ROOT rauc set-primary B",
        );
        machine.slot(&["repair"]).success();
        machine
    }

    /// A path of the box.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// What boot loader and kernel say after a start.
    pub fn boots(&self, slot: &str, trial: bool, boot_id: &str) {
        let line = format!(
            "quiet tombolo.slot={slot} tombolo.trial={}\n",
            u8::from(trial)
        );
        fs::write(self.at("proc/cmdline"), line).expect("cmdline");
        fs::write(
            self.at("proc/sys/kernel/random/boot_id"),
            format!("{boot_id}\n"),
        )
        .expect("boot_id");
    }

    /// A program that is found before those of the system.
    pub fn script(&self, name: &str, body: &str) {
        let path = self.at("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    /// RAUC as far as its arguments and answers go.
    pub fn rauc(&self, compatible: &str, version: &str, install: &str) {
        let body = format!(
            "echo \"$@\" >> \"$ROOT/rauc.log\"\n\
             case \"$*\" in\n\
             *info*) echo '{{\"compatible\":\"{compatible}\",\"version\":\"{version}\",\"images\":[]}}' ;;\n\
             install*) $TOMBOLO slot --root $ROOT {} ;;\n\
             esac",
            install.trim_start_matches("slot ")
        );
        self.script("rauc", &body);
    }

    /// Calls the program.
    pub fn call(&self, words: &[&str]) -> Finished {
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.at("bin").display());
        self.call_with(&path, words)
    }

    /// The same with another PATH.
    pub fn call_with(&self, path: &str, words: &[&str]) -> Finished {
        let output = Command::new(tombolo())
            .arg("--state")
            .arg(self.at("var/lib/tombolo"))
            .args(words)
            .env("PATH", path)
            .env("ROOT", self.root.path())
            .env("TOMBOLO", tombolo())
            .output()
            .expect("the program runs");
        Finished {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// `tombolo slot`
    pub fn slot(&self, words: &[&str]) -> Finished {
        let root = self.root.path().display().to_string();
        self.call(&[&["slot", "--root", &root], words].concat())
    }

    /// `tombolo update`
    pub fn update(&self, words: &[&str]) -> Finished {
        let root = self.root.path().display().to_string();
        self.call(&[&["update", "--root", &root], words].concat())
    }

    /// What stands on the card.
    pub fn slots(&self) -> Value {
        serde_json::from_str(&self.slot(&["show", "--json"]).success()).expect("JSON")
    }

    /// `tombolo update status`
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.update(&["status", "--json"]).success()).expect("JSON")
    }

    /// What the boot loader does with a trial.
    pub fn boot_loader(&self, boot_id: &str) {
        let slots = self.slots();
        let left = slots["left"].as_u64().unwrap_or(0);
        match (slots["trial"].as_str(), left) {
            (Some(trial), 1..) => {
                let trial = trial.to_owned();
                if left == 1 {
                    // No command of ours writes a zero: that is the boot loader's.
                    write_block(
                        &self.at("card"),
                        &format!(
                            "good={}\0left=0\0trial={trial}\0\0",
                            slots["good"].as_str().expect("a slot")
                        ),
                    );
                } else {
                    self.slot(&["trial", &trial, "--attempts", &(left - 1).to_string()])
                        .success();
                }
                self.boots(&trial, true, boot_id);
            }
            _ => self.boots(slots["good"].as_str().expect("a slot"), false, boot_id),
        }
    }

    /// A bundle on the data partition.
    pub fn bundle(&self) -> String {
        let path = self.at("data/new.raucb");
        fs::write(&path, "a bundle").expect("a bundle");
        path.display().to_string()
    }
}

fn write_block(card: &Path, text: &str) {
    let mut body = text.as_bytes().to_vec();
    body.resize(508, 0);
    // CRC-32 bit by bit: shares nothing with the program.
    let crc = !body.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1))
        })
    });
    let block = [&crc.to_le_bytes()[..], &body].concat();
    let file = fs::OpenOptions::new()
        .write(true)
        .open(card)
        .expect("the card");
    for offset in [131_072, 135_168] {
        file.write_all_at(&block, offset).expect("written");
    }
}
