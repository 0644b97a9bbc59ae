use std::process::{Command, Stdio};

use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey,
    PrivateKeyChain,
};
use proptest::prelude::*;

use super::cipher::{Derivation, Hash, Purpose};
use super::*;
use crate::pki::Identity;
use crate::pki::store;
use crate::pki::testing::{Authority, Leaf};

const PASSWORD: &str = "s3cret <&> ü";

fn identity() -> Identity {
    Authority::new("alpha CA").issue(Leaf::good("VIPER 1"))
}

fn contents(identity: &Identity) -> Contents {
    let chain = identity.chain.iter();
    Contents {
        keys: vec![identity.key.secret_der().to_vec()],
        certificates: chain.map(|certificate| certificate.to_vec()).collect(),
    }
}

/// The same, whatever their order.
fn sorted(mut contents: Contents) -> Contents {
    contents.certificates.sort();
    contents
}

#[test]
fn what_is_written_is_read() {
    let identity = identity();
    for password in [PASSWORD, "", "atakatak"] {
        let bytes = keystore("VIPER 1", &identity, password).unwrap();
        assert_eq!(Contents::read(&bytes, password), Ok(contents(&identity)));
        assert_eq!(Contents::read(&bytes, "other"), Err(P12Error::Password));
        let bytes = truststore(&identity.chain, password).unwrap();
        let trusted = Contents::read(&bytes, password).unwrap();
        assert_eq!(trusted.certificates, contents(&identity).certificates);
        assert!(trusted.keys.is_empty());
    }
    assert_eq!(Contents::read(b"0", ""), Err(P12Error::Damaged));
}

#[test]
fn keys_are_made_as_others_make_them() {
    // Those that BouncyCastle and OpenSSL test themselves with.
    let password = Password::new("smeg");
    for (salt, purpose, expected) in [
        (
            [0x0a, 0x58, 0xcf, 0x64, 0x53, 0x0d, 0x82, 0x3f],
            Purpose::Key,
            "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3",
        ),
        (
            [0x0a, 0x58, 0xcf, 0x64, 0x53, 0x0d, 0x82, 0x3f],
            Purpose::Start,
            "79993dfe048d3b76",
        ),
        (
            [0x3d, 0x83, 0xc0, 0xe4, 0x54, 0x6a, 0xc1, 0x40],
            Purpose::Mac,
            "8d967d88f6caa9d714800ab3d48051d63f73a312",
        ),
    ] {
        let derivation = Derivation {
            hash: Hash::Sha1,
            salt: salt.to_vec(),
            rounds: 1,
        };
        let mut key = vec![0; expected.len() / 2];
        derivation.old_way(&password, purpose, &mut key).unwrap();
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }
    let endless = Derivation {
        hash: Hash::Sha1,
        salt: vec![1],
        rounds: u32::MAX,
    };
    let refused = endless.old_way(&password, Purpose::Key, &mut [0; 8]);
    assert_eq!(refused, Err(P12Error::Unknown));
}

#[test]
fn files_of_another_implementation_are_read() {
    let identity = identity();
    let chain = identity.chain.iter();
    let chain: Vec<_> = chain
        .map(|certificate| Certificate::from_der(certificate).unwrap())
        .collect();
    let key = PrivateKey::from_der(identity.key.secret_der()).unwrap();
    let mut store = KeyStore::new();
    let chain = PrivateKeyChain::new(vec![7; 20], key, chain);
    store.add_entry("user", KeyStoreEntry::PrivateKeyChain(chain));
    for encryption in [
        EncryptionAlgorithm::PbeWithHmacSha256AndAes256,
        EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc,
        EncryptionAlgorithm::PbeWithShaAnd40BitRc4Cbc,
    ] {
        for mac in [MacAlgorithm::HmacSha1, MacAlgorithm::HmacSha256] {
            let writer = store.writer(PASSWORD).encryption_algorithm(encryption);
            let bytes = writer.mac_algorithm(mac).write().unwrap();
            let read = Contents::read(&bytes, PASSWORD);
            assert_eq!(read, Ok(contents(&identity)), "{encryption:?} {mac:?}");
            assert_eq!(Contents::read(&bytes, ""), Err(P12Error::Password));
        }
    }
}

/// Where OpenSSL is at hand: what its users write.
#[test]
fn files_of_openssl_are_read() {
    let identity = identity();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let pem = crate::pki::gather::key_pem(&identity.key) + &store::pem(&identity.chain);
    std::fs::write(path("all.pem"), pem).unwrap();
    for options in [
        "",
        "-legacy",
        "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1",
        "-keypbe PBE-SHA1-2DES -certpbe PBE-SHA1-2DES -macalg sha384",
        "-keypbe AES-128-CBC -certpbe AES-192-CBC -macalg sha512",
        "-legacy -keypbe PBE-SHA1-RC2-128 -certpbe PBE-SHA1-RC2-40",
        "-keypbe NONE -certpbe NONE",
        "-nomac",
    ] {
        for password in ["plain", ""] {
            let output = Command::new("openssl")
                .args("pkcs12 -export -in all.pem -out store.p12 -name user".split(' '))
                .args(options.split_whitespace())
                .args(["-passout", &format!("pass:{password}")])
                .current_dir(directory.path())
                .stdin(Stdio::null())
                .output();
            let Ok(output) = output else {
                eprintln!("skipped: no openssl");
                return;
            };
            if !output.status.success() {
                // Of another version, or built without the old ciphers.
                eprintln!(
                    "skipped: {options}: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
                continue;
            }
            let bytes = std::fs::read(path("store.p12")).unwrap();
            let read = Contents::read(&bytes, password).map(sorted);
            assert_eq!(read, Ok(sorted(contents(&identity))), "{options}");
        }
    }
}

/// The same with open lengths and octet strings in pieces, as far as nothing is encrypted.
fn as_ber(der: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = der;
    while let [tag, length, ..] = *rest {
        let (head, length) = match length {
            ..=0x7f => (2, usize::from(length)),
            0x81 => (3, usize::from(rest[2])),
            _ => (4, usize::from(rest[2]) << 8 | usize::from(rest[3])),
        };
        let (content, behind) = rest[head..].split_at(length);
        match tag {
            0x04 | 0x80 if length > 1 => {
                out.extend([if tag == 4 { 0x24 } else { 0xa0 }, 0x80]);
                for piece in content.chunks(100) {
                    out.extend([4, piece.len() as u8]);
                    out.extend(piece);
                }
                out.extend([0, 0]);
            }
            _ if tag & 0x20 != 0 => {
                out.extend([tag, 0x80]);
                out.extend(as_ber(content));
                out.extend([0, 0]);
            }
            _ => out.extend(&rest[..head + length]),
        }
        rest = behind;
    }
    out
}

#[test]
fn open_lengths_and_pieces_are_read() {
    let identity = identity();
    let bytes = as_ber(&keystore("user", &identity, PASSWORD).unwrap());
    assert_eq!(Contents::read(&bytes, PASSWORD), Ok(contents(&identity)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), byte: u8) {
        let _ = Contents::read(&bytes, "");
        thread_local!(static FILE: Vec<u8> = keystore("user", &identity(), "").unwrap());
        let mut file = FILE.with(Clone::clone);
        let at = at.index(file.len());
        file[at] = byte;
        let _ = Contents::read(&file, "");
        let _ = Contents::read(&file[..at], "");
    }
}
