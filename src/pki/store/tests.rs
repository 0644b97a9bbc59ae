use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::pki::testing::{AFTER_BUILD as NOW, at};
use crate::pki::trust::judge_client;
use crate::pki::{Revocations, TrustRule};

fn open(state: &Path) -> Result<Store, PkiError> {
    Store::open_or_create(state, "alpha", KeyAlgorithm::EcdsaP256, at(NOW))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_run_makes_an_identity_that_peers_accept() {
    let state = tempfile::tempdir().unwrap();
    assert!(!Store::exists(state.path()));
    let store = open(state.path()).unwrap();
    assert!(Store::exists(state.path()));
    let rule = TrustRule {
        peer: "alpha".to_owned(),
        authorities: vec![store.authority().clone()],
        fingerprints: vec![store.identity().fingerprint()],
        ..TrustRule::default()
    };
    assert_eq!(rule.judge(&store.identity().chain, at(NOW)), Ok(None));
    let facts = Facts::read(&store.identity().chain[0]).unwrap();
    assert_eq!(facts.common_name.as_deref(), Some("alpha"));
    assert!(facts.issuer_common_name.unwrap().starts_with("alpha CA "));
}

#[test]
fn reopening_gives_the_same_fingerprint_even_under_another_name() {
    let state = tempfile::tempdir().unwrap();
    let first = open(state.path()).unwrap().identity().fingerprint();
    assert_eq!(open(state.path()).unwrap().identity().fingerprint(), first);
    let renamed =
        Store::open_or_create(state.path(), "beta", KeyAlgorithm::EcdsaP256, at(NOW)).unwrap();
    assert_eq!(renamed.identity().fingerprint(), first);
}

#[test]
fn keys_are_private_and_made_private_again() {
    let state = tempfile::tempdir().unwrap();
    let directory = open(state.path()).unwrap().directory().to_owned();
    assert_eq!(mode(&directory), 0o700);
    for name in [AUTHORITY_KEY, NODE_KEY] {
        assert_eq!(mode(&directory.join(name)), 0o600);
        fs::set_permissions(directory.join(name), fs::Permissions::from_mode(0o644)).unwrap();
    }
    open(state.path()).unwrap();
    assert_eq!(mode(&directory.join(AUTHORITY_KEY)), 0o600);
    assert_eq!(mode(&directory.join(NODE_KEY)), 0o600);
}

/// A power cut after each of the four writes, with and without a half-written temporary file.
#[test]
fn a_cut_between_any_two_writes_leaves_a_state_that_opens() {
    let written = [
        AUTHORITY_KEY,
        AUTHORITY_CERTIFICATE,
        NODE_KEY,
        NODE_CERTIFICATE,
    ];
    for kept in 0..=written.len() {
        let state = tempfile::tempdir().unwrap();
        let directory = open(state.path()).unwrap().directory().to_owned();
        let before: Vec<_> = written
            .iter()
            .map(|name| fs::read(directory.join(name)).unwrap())
            .collect();
        for name in &written[kept..] {
            fs::remove_file(directory.join(name)).unwrap();
            fs::write(directory.join(format!(".{name}.new")), "half").unwrap();
        }
        let store = open(state.path()).unwrap();
        assert_eq!(
            store.identity().check(at(NOW)),
            Ok(()),
            "after {kept} writes"
        );
        for (name, content) in written.iter().zip(&before).take(kept) {
            assert_eq!(
                &fs::read(directory.join(name)).unwrap(),
                content,
                "{name} was kept"
            );
        }
        assert_eq!(
            open(state.path()).unwrap().identity().fingerprint(),
            store.identity().fingerprint()
        );
    }
}

#[test]
fn what_is_lost_is_named_and_never_replaced() {
    for (lost, named) in [
        (AUTHORITY_CERTIFICATE, AUTHORITY_CERTIFICATE),
        (NODE_KEY, NODE_KEY),
    ] {
        let state = tempfile::tempdir().unwrap();
        let directory = open(state.path()).unwrap().directory().to_owned();
        fs::remove_file(directory.join(lost)).unwrap();
        assert_eq!(
            open(state.path()).unwrap_err(),
            PkiError::Missing(directory.join(named))
        );
    }
}

#[test]
fn the_ca_key_may_be_kept_elsewhere() {
    let state = tempfile::tempdir().unwrap();
    let directory = open(state.path()).unwrap().directory().to_owned();
    fs::remove_file(directory.join(AUTHORITY_KEY)).unwrap();
    let store = open(state.path()).unwrap();
    assert_eq!(
        store.issue_client("VIPER", at(NOW)).unwrap_err(),
        PkiError::Missing(directory.join(AUTHORITY_KEY))
    );
}

#[test]
fn a_foreign_ca_key_issues_nothing() {
    let state = tempfile::tempdir().unwrap();
    let store = open(state.path()).unwrap();
    fs::copy(
        store.directory().join(NODE_KEY),
        store.directory().join(AUTHORITY_KEY),
    )
    .unwrap();
    assert!(matches!(
        store.issue_client("VIPER", at(NOW)),
        Err(PkiError::AuthorityMismatch(_))
    ));
}

#[test]
fn a_foreign_node_key_is_refused() {
    let state = tempfile::tempdir().unwrap();
    let directory = open(state.path()).unwrap().directory().to_owned();
    fs::copy(directory.join(AUTHORITY_KEY), directory.join(NODE_KEY)).unwrap();
    let error = open(state.path()).unwrap_err();
    assert!(
        matches!(&error, PkiError::Flawed(error) if error.flaw == Flaw::KeyMismatch),
        "{error}"
    );
}

#[test]
fn an_expired_identity_still_opens() {
    let state = tempfile::tempdir().unwrap();
    open(state.path()).unwrap();
    let later = Store::open_or_create(
        state.path(),
        "alpha",
        KeyAlgorithm::EcdsaP256,
        at(NOW + 731 * 86_400),
    );
    assert!(later.is_ok());
}

#[test]
fn clients_get_certificates_that_may_log_in_and_not_serve() {
    let state = tempfile::tempdir().unwrap();
    let store = open(state.path()).unwrap();
    let user = store.issue_client(" VIPER 1 ", at(NOW)).unwrap();
    let ours = [store.authority().clone()];
    assert_eq!(
        judge_client(&user.chain, (&ours, &Revocations::default()), at(NOW)).map(|(name, _)| name),
        Ok("VIPER 1".to_owned())
    );
    let facts = Facts::read(&user.chain[0]).unwrap();
    assert!(facts.client_auth && !facts.server_auth && !facts.authority);
    for name in ["", "  ", "a\nb", &"x".repeat(65)] {
        assert_eq!(
            store.issue_client(name, at(NOW)).unwrap_err(),
            PkiError::Name
        );
    }
}

#[test]
fn rsa_by_choice() {
    let state = tempfile::tempdir().unwrap();
    let store =
        Store::open_or_create(state.path(), "alpha", KeyAlgorithm::Rsa2048, at(NOW)).unwrap();
    let facts = Facts::read(&store.identity().chain[0]).unwrap();
    assert_eq!(
        facts.usages,
        [
            "digitalSignature",
            "keyEncipherment",
            "serverAuth",
            "clientAuth"
        ]
    );
    assert_eq!(store.identity().check(at(NOW)), Ok(()));
}

#[test]
fn base64_has_its_padding() {
    for (bytes, text) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
    ] {
        assert_eq!(base64(bytes.as_bytes()), text);
    }
}
