//! `tombolo packages list|add|remove|log`: the data packages that the box keeps, and those on their way.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ring::digest::{Context, SHA256};

use super::carriage;
use super::failure::{Exit, Failure};
use super::output::{clean, column, json_line, print};
use super::paths::Places;
use crate::api::packages::{PIECE, PackageEntry, PackagePiece, to_hex};
use crate::api::{Request, Response, ask};
use crate::files::fault;

/// Arguments of `packages`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the packages
    List {
        /// One line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what is on its way between federates, and how the latest ended
    Log {
        /// One line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Add a file; what came of an attempt before is gone on with
    Add {
        /// The file
        file: PathBuf,
        /// One line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a package
    Remove {
        /// Its SHA-256, as `packages list` shows it
        hash: String,
        /// One line of JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs `packages`.
///
/// # Errors
/// What the box says against it.
pub fn run(arguments: &Arguments, places: &Places) -> Result<(), Failure> {
    match &arguments.action {
        Action::List { json } => {
            let packages = list(places)?;
            print(&match json {
                true => json_line(&packages)?,
                false => table(&packages),
            })
        }
        Action::Log { json } => {
            let carriage = match ask(&places.state, &Request::Status)?.into_result()? {
                Response::Status(status) => status.carriage,
                _ => return Err(unexpected()),
            };
            let text = carriage::table(&carriage);
            print(&match (json, text.as_str()) {
                (true, _) => json_line(&carriage)?,
                (false, "") => "nothing is on its way\n".to_owned(),
                (false, text) => text.trim_start().to_owned(),
            })
        }
        Action::Add { file, json } => told(&add(file, places)?, *json),
        Action::Remove { hash, json } => {
            let request = Request::PackageRemove { hash: hash.clone() };
            match ask(&places.state, &request)?.into_result()? {
                Response::Done(words) => told(&words, *json),
                _ => Err(unexpected()),
            }
        }
    }
}

fn told(words: &str, json: bool) -> Result<(), Failure> {
    print(&match json {
        true => json_line(&serde_json::json!({ "done": words }))?,
        false => format!("{}\n", clean(words)),
    })
}

fn list(places: &Places) -> Result<Vec<PackageEntry>, Failure> {
    let mut all: Vec<PackageEntry> = Vec::new();
    loop {
        let after = all.last().map(|last| last.hash.clone());
        match ask(&places.state, &Request::Packages { after })?.into_result()? {
            Response::Packages(page) if page.is_empty() => return Ok(all),
            Response::Packages(page) => all.extend(page),
            _ => return Err(unexpected()),
        }
    }
}

fn add(path: &Path, places: &Places) -> Result<String, Failure> {
    let problem = |error: std::io::Error| {
        Failure::new(
            Exit::NoInput,
            format!("{}: {}", path.display(), fault(&error)),
        )
    };
    let mut file = File::open(path).map_err(problem)?;
    let (mut digest, mut size, mut buffer) = (Context::new(&SHA256), 0, vec![0; PIECE]);
    loop {
        let count = file.read(&mut buffer).map_err(problem)?;
        if count == 0 {
            break;
        }
        digest.update(&buffer[..count]);
        size += count as u64;
    }
    let mut piece = PackagePiece {
        hash: to_hex(digest.finish().as_ref()),
        size,
        filename: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        at: 0,
        bytes: String::new(),
    };
    loop {
        let request = Request::PackagePiece {
            piece: piece.clone(),
        };
        match ask(&places.state, &request)?.into_result()? {
            Response::Done(words) => return Ok(words),
            Response::PackageAt(at) => piece.at = at,
            _ => return Err(unexpected()),
        }
        file.seek(SeekFrom::Start(piece.at)).map_err(problem)?;
        let count = file.read(&mut buffer).map_err(problem)?;
        if count == 0 {
            let words = format!("{}: it changed meanwhile", path.display());
            return Err(Failure::new(Exit::Data, words));
        }
        piece.bytes = to_hex(&buffer[..count]);
    }
}

fn unexpected() -> Failure {
    let words = "the box answers something else than was asked";
    Failure::new(Exit::Internal, words)
}

fn table(packages: &[PackageEntry]) -> String {
    if packages.is_empty() {
        return "no data packages\n".to_owned();
    }
    let mut text = String::new();
    for package in packages {
        let from = package.peer.as_deref().unwrap_or(&package.submitter);
        text.push_str(&format!(
            "{}  {:>11}  {}  {}  {}\n",
            package.hash,
            package.size,
            column(&clean(package.submitted.as_deref().unwrap_or("-")), 24),
            column(&clean(from), 16),
            clean(&package.name),
        ));
    }
    text
}
