//! Programs of others: TAK clients and servers from PyPI and npm, as `scripts/test` installs them.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::device::Device;
use super::{Leaf, PATIENCE};

/// Where `scripts/test` puts them; none, in a word, when this one is not there.
pub fn installed(program: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("TOMBOLO_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers"),
        PathBuf::from,
    );
    let path = folder.join(program);
    if !path.exists() {
        eprintln!(
            "skipped: {} is not installed; scripts/test does it",
            path.display()
        );
        return None;
    }
    Some(path)
}

/// pytak as a client on a plain port. None where it is not installed.
pub fn pytak(address: SocketAddr) -> Option<Device> {
    let mut command = Command::new(installed("pytak/bin/pytak")?);
    command.arg(format!("tcp://{address}"));
    Some(Device::of_program(command))
}

/// The same over TLS, with a certificate; it knows the server by its CA.
pub fn pytak_tls(address: SocketAddr, leaf: &Leaf, folder: &Path) -> Option<Device> {
    let mut command = Command::new(installed("pytak/bin/pytak")?);
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("a file");
        path
    };
    command
        .env("PYTAK_TLS_DONT_CHECK_HOSTNAME", "1")
        .arg("--tls-cert")
        .arg(file("pytak.pem", &leaf.chain_pem))
        .arg("--tls-key")
        .arg(file("pytak.key", &leaf.key_pem))
        .arg("--tls-ca")
        .arg(file("ca.pem", &leaf.authority_pem))
        .arg(format!("tls://{address}"));
    Some(Device::of_program(command))
}

/// `@tak-ps/node-tak` as a client over TLS. None where it is not installed, or no node.
pub fn node_tak(address: SocketAddr, leaf: &Leaf, folder: &Path) -> Option<Device> {
    let package = installed("node-tak")?;
    installed("node-tak/node_modules/@tak-ps/node-tak/package.json")?;
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("a file");
        path
    };
    let mut command = Command::new("node");
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/node_tak.mjs"))
        .arg(package)
        .arg(address.to_string())
        .arg(file("node.pem", &leaf.chain_pem))
        .arg(file("node.key", &leaf.key_pem));
    Some(Device::of_program(command))
}

/// A taky server. It is killed when dropped.
#[derive(Debug)]
pub struct Taky {
    program: PathBuf,
    folder: TempDir,
    address: SocketAddr,
    child: Option<Child>,
}

impl Taky {
    /// Starts one on a free port, with its own CA or without TLS. None where it is not installed.
    pub fn start(tls: bool) -> Option<Self> {
        let program = installed("taky/bin/taky")?;
        let folder = tempfile::tempdir().expect("a directory");
        let site = folder.path().join("site");
        let no_tls: &[&str] = if tls { &[] } else { &["--no-ssl"] };
        takyctl(&program, folder.path())
            .args(["setup", "--host", "taky.test", "--public-ip", "127.0.0.1"])
            .args(["--bind-ip", "127.0.0.1"])
            .args(no_tls)
            .arg(&site)
            .run();
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("its address");
        drop(free);
        let file = site.join("taky.conf");
        let config = fs::read_to_string(&file).expect("taky.conf");
        let config: Vec<String> = config
            .lines()
            .map(|line| match line.starts_with("port =") {
                true => format!("port = {}", address.port()),
                false => line.to_owned(),
            })
            .collect();
        fs::write(&file, config.join("\n")).expect("taky.conf");
        let mut taky = Self {
            program,
            folder,
            address,
            child: None,
        };
        taky.run();
        Some(taky)
    }

    /// Starts it again after [`Taky::kill`].
    pub fn run(&mut self) {
        let log = fs::File::create(self.site().join("log")).expect("a log");
        let child = Command::new(&self.program)
            .args(["-c", "taky.conf", "-l", "debug"])
            .current_dir(self.site())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("taky starts");
        self.child = Some(child);
        let deadline = Instant::now() + PATIENCE * 2;
        while TcpStream::connect(self.address).is_err() {
            assert!(
                Instant::now() < deadline,
                "taky does not listen\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// As a power cut does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes a user as its administrator does: the `.p12` of the user, and that of the server's CA.
    pub fn user(&self, name: &str) -> (PathBuf, PathBuf) {
        takyctl(&self.program, &self.site())
            .args(["build_client", name])
            .run();
        let folder = self.site().join(format!("package-{name}"));
        let python = self.program.with_file_name("python");
        let mut unpack = Command::new(python);
        unpack
            .args(["-m", "zipfile", "-e"])
            .arg(self.site().join(format!("{name}.zip")))
            .arg(&folder);
        Tool(unpack).run();
        let file = |begin: &str| {
            let files = fs::read_dir(folder.join("certs")).expect("certs");
            let mut paths = files.map(|file| file.expect("a file").path());
            let named = |path: &PathBuf| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with(begin) && name.ends_with(".p12")
            };
            paths.find(named).expect("a .p12")
        };
        (file(name), file("server"))
    }

    fn site(&self) -> PathBuf {
        self.folder.path().join("site")
    }

    /// What it said of itself.
    pub fn log(&self) -> String {
        fs::read_to_string(self.site().join("log")).unwrap_or_default()
    }
}

impl Drop for Taky {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(30)..].join("\n");
            eprintln!("--- log of taky\n{last}");
        }
    }
}

struct Tool(Command);

fn takyctl(taky: &Path, site: &Path) -> Tool {
    let mut command = Command::new(taky.with_file_name("takyctl"));
    command.current_dir(site);
    Tool(command)
}

impl Tool {
    fn args<S: AsRef<std::ffi::OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.0.args(arguments);
        self
    }

    fn arg(mut self, argument: impl AsRef<std::ffi::OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    #[track_caller]
    fn run(mut self) {
        let output = self.0.output().expect("the tool starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {said}", self.0);
    }
}
