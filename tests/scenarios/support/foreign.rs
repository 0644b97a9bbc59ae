//! A federate on another gRPC stack: `tests/peers/federate.py`, driven over JSON lines.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;

use super::certificates::Leaf;
use super::eventually;

/// A running foreign federate. It is killed when dropped.
#[derive(Debug)]
pub struct Foreign {
    child: Child,
    stdin: ChildStdin,
    said: Arc<Mutex<Vec<Value>>>,
    _directory: TempDir,
}
