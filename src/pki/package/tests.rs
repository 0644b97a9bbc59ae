use std::io::Read;
use std::process::{Command, Stdio};

use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12ImportPolicy};
use zip::ZipArchive;

use super::*;
use crate::pki::testing::{Authority, Leaf};

const PASSWORD: &str = "s3cret <&> ü";

struct World {
    ca: Authority,
    user: Identity,
}

impl World {
    fn new() -> Self {
        let ca = Authority::new("alpha CA");
        let user = ca.issue(Leaf::good("VIPER 1"));
        Self { ca, user }
    }

    fn package(&self, callsign: &str, password: &str) -> ZipArchive<Cursor<Vec<u8>>> {
        let bytes = Connection {
            callsign,
            server_name: "alpha & co",
            host: "192.0.2.7",
            port: 8089,
            identity: &self.user,
            authorities: std::slice::from_ref(&self.ca.certificate),
            password,
        }
        .package()
        .unwrap();
        ZipArchive::new(Cursor::new(bytes)).unwrap()
    }
}

fn part(zip: &mut ZipArchive<Cursor<Vec<u8>>>, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    zip.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// Element texts and attribute values of the preferences, by key.
fn preference(xml: &[u8], wanted: &str) -> Option<String> {
    let text = std::str::from_utf8(xml).unwrap();
    let after = text.split(&format!("key=\"{wanted}\"")).nth(1)?;
    let value = after.split_once('>')?.1.split_once('<')?.0;
    Some(quick_xml::escape::unescape(value).unwrap().into_owned())
}

#[test]
fn the_package_holds_what_its_manifest_and_preferences_name() {
    let world = World::new();
    let mut zip = world.package("VIPER 1", PASSWORD);
    let names: Vec<String> = zip.file_names().map(str::to_owned).collect();
    let manifest = String::from_utf8(part(&mut zip, "MANIFEST/manifest.xml")).unwrap();
    for name in names.iter().filter(|name| !name.starts_with("MANIFEST")) {
        assert!(
            manifest.contains(&format!("zipEntry=\"{name}\"")),
            "{name} in {manifest}"
        );
    }
    assert!(names.contains(&"certs/VIPER_1.p12".to_owned()));
    assert!(manifest.contains("alpha &amp; co for VIPER 1"));
    let preferences = part(&mut zip, "certs/config.pref");
    for (key, value) in [
        ("count", "1"),
        ("connectString0", "192.0.2.7:8089:ssl"),
        ("description0", "alpha & co"),
        ("caLocation", "cert/truststore.p12"),
        ("certificateLocation", "cert/VIPER_1.p12"),
        ("caPassword", PASSWORD),
        ("clientPassword", PASSWORD),
    ] {
        assert_eq!(
            preference(&preferences, key).as_deref(),
            Some(value),
            "{key}"
        );
    }
}

#[test]
fn the_stores_open_with_the_password_and_hold_the_chain() {
    let world = World::new();
    let mut zip = world.package("VIPER 1", PASSWORD);
    let user = part(&mut zip, "certs/VIPER_1.p12");
    assert!(KeyStore::from_pkcs12(&user, "wrong", Pkcs12ImportPolicy::Strict).is_err());
    let store = KeyStore::from_pkcs12(&user, PASSWORD, Pkcs12ImportPolicy::Strict).unwrap();
    let (alias, chain) = store.private_key_chain().unwrap();
    assert_eq!(alias, "VIPER 1");
    let stored: Vec<&[u8]> = chain
        .certs()
        .iter()
        .map(p12_keystore::Certificate::as_der)
        .collect();
    let expected: Vec<&[u8]> = world.user.chain.iter().map(AsRef::as_ref).collect();
    assert_eq!(stored, expected);
    assert_eq!(chain.key().as_der(), world.user.key.secret_der());

    let trust = part(&mut zip, "certs/truststore.p12");
    let store = KeyStore::from_pkcs12(&trust, PASSWORD, Pkcs12ImportPolicy::Strict).unwrap();
    let entries: Vec<_> = store.entries().map(|(_, entry)| entry).collect();
    assert!(
        matches!(entries[..], [KeyStoreEntry::Certificate(ca)] if ca.as_der() == world.ca.certificate.as_ref()),
        "{entries:?}"
    );
}

/// Where OpenSSL is at hand, it must read both without its legacy provider, and see the encryption that Android reads.
#[test]
fn openssl_opens_them() {
    let world = World::new();
    let mut zip = world.package("VIPER 1", "plain");
    let directory = tempfile::tempdir().unwrap();
    for (name, expected) in [
        ("certs/VIPER_1.p12", "BEGIN PRIVATE KEY"),
        ("certs/truststore.p12", "BEGIN CERTIFICATE"),
    ] {
        let path = directory.path().join("store.p12");
        std::fs::write(&path, part(&mut zip, name)).unwrap();
        let Ok(output) = Command::new("openssl")
            .args(["pkcs12", "-info", "-nodes", "-passin", "pass:plain", "-in"])
            .arg(&path)
            .stdin(Stdio::null())
            .output()
        else {
            return;
        };
        let (said, wrote) = (
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&output.stdout),
        );
        assert!(output.status.success(), "{said}");
        assert!(wrote.contains(expected), "{wrote}");
        assert!(
            said.contains("MAC: sha1") && said.contains("pbeWithSHA1And3-KeyTripleDES-CBC"),
            "{said}"
        );
    }
}

#[test]
fn names_become_files() {
    assert_eq!(file_stem("../etc/passwd"), "___etc_passwd");
    assert_eq!(file_stem(" "), "unnamed");
    let world = World::new();
    let zip = world.package("truststore", "x");
    assert!(
        zip.file_names()
            .any(|name| name == "certs/truststore-user.p12")
    );
}

#[test]
fn passwords_are_random() {
    let one = random_password().unwrap();
    assert_eq!(one.len(), 20);
    assert_ne!(one, random_password().unwrap());
}
