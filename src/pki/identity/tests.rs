use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use rcgen::KeyUsagePurpose::KeyAgreement;
use tempfile::TempDir;

use super::*;
use crate::pki::store::pem;
use crate::pki::testing::{Authority, Leaf, NOW, at};

/// Files as an operator would have them.
struct Files {
    directory: TempDir,
}

impl Files {
    fn new(chain: &[CertificateDer<'_>], key: &Identity) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("chain.pem"), pem(chain)).unwrap();
        let text = pem(&[CertificateDer::from(key.key.secret_der().to_vec())])
            .replace("CERTIFICATE", "PRIVATE KEY");
        std::fs::write(directory.path().join("key.pem"), text).unwrap();
        Self { directory }
    }

    fn load(&self) -> Result<Identity, IdentityError> {
        let path = self.directory.path();
        Identity::from_files(&path.join("chain.pem"), &path.join("key.pem"), at(NOW))
    }

    fn flaw(&self) -> (String, Flaw) {
        let error = self.load().unwrap_err();
        let file = error
            .file
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        assert!(error.to_string().contains(&file), "{error}");
        (file, error.flaw)
    }
}

#[test]
fn a_good_identity_is_read() {
    let bravo = Authority::new("CA").issue(Leaf::good("bravo"));
    let read = Files::new(&bravo.chain, &bravo).load().unwrap();
    assert_eq!(read.fingerprint(), bravo.fingerprint());
    assert_eq!(read.chain.len(), 2);
}

#[test]
fn every_flaw_is_named_with_its_file() {
    let ca = Authority::new("CA");
    let bravo = ca.issue(Leaf::good("bravo"));
    let other = Authority::new("other CA").issue(Leaf::good("other"));
    let chain = "chain.pem".to_owned();
    let of = |leaf: Leaf| {
        let identity = ca.issue(leaf);
        Files::new(&identity.chain, &identity).flaw()
    };
    assert_eq!(
        Files::new(&bravo.chain[..1], &bravo).flaw(),
        (chain.clone(), Flaw::NoIssuer)
    );
    assert_eq!(
        Files::new(&bravo.chain, &other).flaw(),
        (chain.clone(), Flaw::KeyMismatch)
    );
    let swapped = [bravo.chain[1].clone(), bravo.chain[0].clone()];
    assert_eq!(
        Files::new(&swapped, &bravo).flaw(),
        (chain.clone(), Flaw::WrongOrder)
    );
    let foreign = [bravo.chain[0].clone(), other.chain[1].clone()];
    assert_eq!(
        Files::new(&foreign, &bravo).flaw(),
        (chain.clone(), Flaw::NotItsIssuer)
    );
    assert_eq!(
        of(Leaf::good("b").usages(&[ServerAuth])),
        (chain.clone(), Flaw::Usage("clientAuth"))
    );
    assert_eq!(
        of(Leaf::good("b").usages(&[ClientAuth])),
        (chain.clone(), Flaw::Usage("serverAuth"))
    );
    let agreement = Leaf {
        key_usages: vec![KeyAgreement],
        ..Leaf::good("b")
    };
    assert_eq!(
        of(agreement),
        (chain.clone(), Flaw::Usage("digitalSignature"))
    );
    assert_eq!(
        of(Leaf::good("b").dates(NOW - 9, NOW - 5)),
        (chain.clone(), Flaw::Expired(NOW - 5))
    );
    assert_eq!(
        of(Leaf {
            name: None,
            ..Leaf::good("b")
        }),
        (chain, Flaw::NoCommonName)
    );
}

#[test]
fn not_yet_valid_is_the_clock_and_not_the_certificate() {
    let bravo = Authority::new("CA").issue(Leaf::good("b").dates(NOW + 5, NOW + 9));
    assert!(Files::new(&bravo.chain, &bravo).load().is_ok());
}

#[test]
fn wrong_files_are_told_apart() {
    let bravo = Authority::new("CA").issue(Leaf::good("bravo"));
    let files = Files::new(&bravo.chain, &bravo);
    let key = files.directory.path().join("key.pem");
    let wrong = |text: &str| {
        std::fs::write(&key, text).unwrap();
        files.flaw()
    };
    assert_eq!(wrong("hello"), ("key.pem".to_owned(), Flaw::NoKey));
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_eq!(wrong(encrypted), ("key.pem".to_owned(), Flaw::EncryptedKey));
    let damaged = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(wrong(damaged), ("key.pem".to_owned(), Flaw::BadKey));
    std::fs::remove_file(&key).unwrap();
    assert!(matches!(files.flaw(), (file, Flaw::Io(_)) if file == "key.pem"));
    std::fs::write(files.directory.path().join("chain.pem"), "no certificate").unwrap();
    assert_eq!(files.flaw(), ("chain.pem".to_owned(), Flaw::NoCertificate));
}

#[test]
fn a_key_never_shows_in_debug_output() {
    let bravo = Authority::new("CA").issue(Leaf::good("bravo"));
    assert_eq!(
        format!("{bravo:?}"),
        format!("Identity({})", bravo.fingerprint())
    );
}
