use std::fs;
use std::os::unix::fs::PermissionsExt;

use clap::Parser;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tempfile::TempDir;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: CertArgs,
}

/// A box's state, and a directory to write to.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Result<String, LocalError> {
        self.run_both(arguments).map(|(out, _)| out)
    }

    fn run_both(&self, arguments: &[&str]) -> Result<(String, String), LocalError> {
        let line = Line::try_parse_from([&["cert"], arguments].concat()).unwrap();
        let state = self.path("state");
        let local = Local {
            state: &state,
            node_name: "alpha",
            identity: None,
            clients_port: 8089,
            federation_port: 9001,
            peers: &[],
        };
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        run(&line.command, &local, &mut out, &mut notes)?;
        Ok((
            String::from_utf8(out).unwrap(),
            String::from_utf8(notes).unwrap(),
        ))
    }

    fn shown(&self) -> serde_json::Value {
        serde_json::from_str(&self.run(&["show", "--json"]).unwrap()).unwrap()
    }
}

#[test]
fn show_says_the_same_in_both_forms() {
    let place = Place::new();
    let shown = place.shown();
    let text = place.run(&["show"]).unwrap();
    for key in [
        "name",
        "fingerprint",
        "fingerprint_colons",
        "ca_fingerprint",
        "subject",
        "issuer",
        "not_after",
    ] {
        let value = shown[key].as_str().unwrap();
        assert!(!value.is_empty() && text.contains(value), "{key} in {text}");
    }
    assert_eq!(shown["name"], "alpha");
    assert_eq!(
        shown["usages"],
        serde_json::json!(["digitalSignature", "serverAuth", "clientAuth"])
    );
    let one: Fingerprint = shown["fingerprint"].as_str().unwrap().parse().unwrap();
    assert_eq!(one.colons(), shown["fingerprint_colons"].as_str().unwrap());
    assert!(PathBuf::from(shown["files"]["key"].as_str().unwrap()).exists());
}

#[test]
fn export_writes_what_was_shown() {
    let place = Place::new();
    let shown = place.shown();
    let out = place.directory.path().to_str().unwrap();
    let said = place.run(&["export", "--out", out]).unwrap();
    for (label, key) in [
        ("fingerprint to register", "fingerprint"),
        ("CA fingerprint", "ca_fingerprint"),
    ] {
        let value = shown[key].as_str().unwrap();
        let line = said.lines().find(|line| line.starts_with(label)).unwrap();
        assert!(line.ends_with(value), "{line}");
        let colons = shown[format!("{key}_colons")].as_str().unwrap();
        assert!(said.contains(colons), "{said}");
    }
    for (file, purpose) in [
        ("alpha-federation.pem", "own certificate"),
        ("alpha-ca.pem", "--ca-cert"),
    ] {
        let after = said.split_once(&format!("{file}\n")).unwrap().1;
        assert!(after.lines().next().unwrap().contains(purpose), "{said}");
    }
    assert!(said.contains(
        "keytool -importcert -trustcacerts -alias alpha -file alpha-ca.pem -keystore \
         /opt/tak/certs/files/fed-truststore.jks -storepass atakatak -noprompt"
    ));
    for (file, key) in [
        ("alpha-federation.pem", "fingerprint"),
        ("alpha-ca.pem", "ca_fingerprint"),
    ] {
        let certificate = CertificateDer::from_pem_file(place.path(file)).unwrap();
        assert_eq!(
            Fingerprint::of(&certificate).to_string(),
            shown[key].as_str().unwrap(),
            "{file}"
        );
    }
    let (piped, notes) = place.run_both(&["export", "--out", "-"]).unwrap();
    assert_eq!(CertificateDer::pem_slice_iter(piped.as_bytes()).count(), 2);
    assert!(!piped.contains("fingerprint") && notes.contains("fingerprint"));
    let made = place.path("made/for/it");
    let to = made.to_str().unwrap();
    place.run(&["export", "--out", to]).unwrap();
    assert!(made.join("alpha-ca.pem").exists());
    let in_a_file = made.join("alpha-ca.pem/at/all");
    let error = place
        .run(&["export", "--out", in_a_file.to_str().unwrap()])
        .unwrap_err();
    assert!(matches!(&error, LocalError::Write(..)), "{error}");
}

#[test]
fn create_makes_rsa_once() {
    let place = Place::new();
    let said = place.run(&["create", "--keys", "rsa-2048"]).unwrap();
    assert!(said.contains("keyEncipherment"));
    assert!(matches!(
        place.run(&["create"]),
        Err(LocalError::StoreExists(_))
    ));
}

#[test]
fn issue_writes_a_private_package_and_tells_its_password() {
    let place = Place::new();
    let file = place.path("packages/viper.zip");
    let path = file.to_str().unwrap();
    let issue = ["issue", "VIPER 1", "--host", "192.0.2.7", "--out", path];
    let said = place.run(&issue).unwrap();
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let made = fs::metadata(place.path("packages")).unwrap();
    assert_eq!(made.permissions().mode() & 0o777, 0o700);
    assert!(said.contains("192.0.2.7:8089"), "{said}");
    let password = said
        .lines()
        .find_map(|line| line.strip_prefix("password"))
        .unwrap()
        .trim();
    assert_eq!(password.len(), 20);
    let package = fs::read(&file).unwrap();
    assert!(
        memchr::memmem::find(&package, password.as_bytes()).is_some(),
        "the preferences carry it"
    );
    assert_eq!(
        place.run(&issue).unwrap_err(),
        LocalError::Exists(file.clone())
    );
    assert_eq!(
        fs::read(&file).unwrap(),
        package,
        "the first package is still there"
    );
}

#[test]
fn issue_takes_host_port_and_password_as_given() {
    let place = Place::new();
    let file = place.path("x.zip");
    let path = file.to_str().unwrap();
    let said = place
        .run(&[
            "issue",
            "X",
            "--host",
            "tak.example:18089",
            "--password",
            "chosen one",
            "--out",
            path,
        ])
        .unwrap();
    assert!(said.contains("tak.example:18089") && said.contains("chosen one"));
    for wrong in [
        "tak.example:0",
        "tak.example:x",
        "[::1]:8089",
        "2001:db8::1",
        "",
        "a b",
    ] {
        let error = place.run(&["issue", "Y", "--host", wrong]).unwrap_err();
        assert!(matches!(error, LocalError::Address(..)), "{wrong}");
    }
    for wrong in ["", "ü", &"x".repeat(65)] {
        assert_eq!(
            place.run(&["issue", "Y", "--password", wrong]).unwrap_err(),
            LocalError::Password
        );
    }
    assert_eq!(
        place
            .run(&["issue", " ", "--out", "/nowhere"])
            .unwrap_err()
            .exit_code(),
        64
    );
}

#[test]
fn a_user_needs_a_callsign_that_can_be_shown() {
    let place = Place::new();
    for callsign in ["", "a\nb"] {
        let error = place
            .run(&["issue", callsign, "--host", "10.0.0.1"])
            .unwrap_err();
        assert_eq!(error.exit_code(), 64);
        assert!(error.to_string().starts_with("CALLSIGN: it "), "{error}");
    }
    assert!(!place.path("state").exists(), "nothing is made for it");
}

#[test]
fn java_keystores_are_taken_in_and_their_faults_are_told() {
    let place = Place::new();
    let [keystore, truststore, password] =
        ["keystore.jks", "truststore.jks", "password"].map(|name| place.path(name));
    fs::write(&keystore, include_bytes!("../../pki/jks/keystore.jks")).unwrap();
    fs::write(&truststore, include_bytes!("../../pki/jks/truststore.jks")).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let words = place.run(&["import", &text(&keystore)]).unwrap();
    assert!(
        words.starts_with("name                     fixture\n"),
        "{words}"
    );
    assert!(
        words.contains("atakatak") && words.contains("[identity]"),
        "{words}"
    );
    let [certificate, key] =
        ["identity.pem", "identity.key"].map(|name| place.path("state/pki").join(name));
    let read = crate::pki::Identity::from_files(&certificate, &key, UnixTime::now()).unwrap();
    assert_eq!(read.chain.len(), 2);
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let words = place.run(&["import", &text(&truststore)]).unwrap();
    assert!(words.starts_with("CA       fixture CA\n"), "{words}");
    assert!(words.contains("peer add NAME --ca-cert"), "{words}");
    // With a password of its own, without it, and cut off.
    fs::write(&password, "another\n").unwrap();
    let given = [
        "import",
        "--password-file",
        &text(&password),
        &text(&keystore),
    ];
    place.run(&given).unwrap();
    let bytes = fs::read(&keystore).unwrap();
    for (bytes, fault) in [
        (&bytes[..bytes.len() - 30], "damaged"),
        (&[&[0xce; 4][..], &bytes[4..]].concat()[..], "JCEKS"),
        (b"noise", "neither PEM nor a .p12"),
    ] {
        fs::write(&keystore, bytes).unwrap();
        let error = place.run(&["import", &text(&keystore)]).unwrap_err();
        assert!(error.to_string().contains(fault), "{fault}: {error}");
        assert_eq!(error.exit_code(), 65);
    }
}

#[test]
fn the_next_certificate_is_made_once_and_shown_on_demand() {
    let place = Place::new();
    let old = place.shown();
    let nothing = place.run(&["renew", "--switch"]).unwrap_err();
    assert!(nothing.to_string().contains("cert renew"), "{nothing}");
    let words = place.run(&["renew"]).unwrap();
    let ca = old["ca_fingerprint_colons"].as_str().unwrap();
    assert!(
        words.contains("<federateCA") && words.contains(ca),
        "{words}"
    );
    assert_eq!(place.shown(), old, "the old one is still in use");
    let again = place.run(&["renew"]).unwrap();
    assert_eq!(words, again);
    place.run(&["renew", "--switch"]).unwrap();
    let new = place.shown();
    assert_ne!(new["fingerprint"], old["fingerprint"]);
    assert_eq!(new["ca_fingerprint"], old["ca_fingerprint"]);
    assert!(words.contains(new["fingerprint"].as_str().unwrap()));
    place.run(&["renew", "--ca"]).unwrap();
    let cancelled = place.run(&["renew", "--cancel"]).unwrap();
    assert!(cancelled.starts_with("forgotten"), "{cancelled}");
    assert_eq!(place.shown(), new);
}

#[test]
fn revocation_lists_are_shown_and_taken_in() {
    let place = Place::new();
    let none = place.run(&["crl"]).unwrap();
    assert!(none.starts_with("no revocation lists"), "{none}");
    let package = place.path("viper.zip");
    let issue = [
        "issue",
        "VIPER",
        "--host",
        "192.0.2.1",
        "--out",
        package.to_str().unwrap(),
    ];
    place.run(&issue).unwrap();
    let unknown = place.run(&["revoke", "COBRA"]).unwrap_err();
    assert!(unknown.to_string().contains("those of VIPER"), "{unknown}");
    let words = place.run(&["revoke", "VIPER"]).unwrap();
    assert!(
        words.starts_with("revoked  VIPER  serial number "),
        "{words}"
    );
    let again = place.run(&["revoke", "VIPER"]).unwrap();
    assert!(again.ends_with("revoked before\n"), "{again}");
    let json = place.run(&["crl", "--json"]).unwrap();
    let lists: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&lists[0]["revoked"], &lists[0]["state"]),
        (&1.into(), &"valid".into())
    );
    // A copy under another name is as good; what nobody here signed is not.
    let own = place.path("state/pki/crl/own.pem");
    let copy = place.path("copy.pem");
    fs::copy(&own, &copy).unwrap();
    let words = place.run(&["crl", copy.to_str().unwrap()]).unwrap();
    assert!(words.contains("copy.crl"), "{words}");
    let other = Place::new();
    other.run(&["show"]).unwrap();
    let stranger = other.run(&["crl", copy.to_str().unwrap()]).unwrap_err();
    assert!(stranger.to_string().contains("not signed by"), "{stranger}");
}
