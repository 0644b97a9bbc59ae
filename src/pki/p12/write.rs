//! Writing, as OpenSSL does it with its options for old readers.

use ring::hmac;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use yasna::models::ObjectIdentifier;
use yasna::{DERWriter, Tag, construct_der};

use super::cipher::{Cipher, Derivation, Hash, Purpose, Scheme};
use super::{P12Error, Password, oid};
use crate::pki::issue::random;
use crate::pki::{Fingerprint, Identity};

/// Rounds of each key derivation: what Java's files have.
const ROUNDS: u32 = 10_000;

/// CA certificates, without a key, marked as trusted.
///
/// # Errors
/// [`P12Error::NoRandomness`].
pub fn truststore(authorities: &[CertificateDer<'_>], password: &str) -> Result<Vec<u8>, P12Error> {
    let password = &Password::new(password);
    let bags = construct_der(|writer| {
        writer.write_sequence_of(|bags| {
            for (index, authority) in authorities.iter().enumerate() {
                let marks = Marks {
                    name: Some(&format!("ca{index}")),
                    trusted: true,
                    ..Marks::default()
                };
                marks.write_certificate(bags.next(), authority);
            }
        });
    });
    file(&[part(&bags, Some(password))?], password)
}

/// A key with its chain, under one alias.
///
/// # Errors
/// [`P12Error::Key`] if it is not PKCS#8, [`P12Error::NoRandomness`].
pub fn keystore(alias: &str, identity: &Identity, password: &str) -> Result<Vec<u8>, P12Error> {
    let PrivateKeyDer::Pkcs8(key) = &identity.key else {
        return Err(P12Error::Key);
    };
    let password = &Password::new(password);
    // Ties the key to its leaf inside the file.
    let Fingerprint(link) = identity.fingerprint();
    let of_leaf = Marks {
        name: Some(alias),
        link: Some(&link[..20]),
        ..Marks::default()
    };
    let certificates = construct_der(|writer| {
        writer.write_sequence_of(|bags| {
            for (index, certificate) in identity.chain.iter().enumerate() {
                let marks = if index == 0 {
                    of_leaf
                } else {
                    Marks::default()
                };
                marks.write_certificate(bags.next(), certificate);
            }
        });
    });
    let scheme = scheme()?;
    let hidden = scheme.encrypt(key.secret_pkcs8_der(), password)?;
    let key = construct_der(|writer| {
        writer.write_sequence_of(|bags| {
            of_leaf.write_bag(bags.next(), oid::SHROUDED_KEY_BAG, |writer| {
                writer.write_sequence(|fields| {
                    write_scheme(fields.next(), &scheme);
                    fields.next().write_bytes(&hidden);
                });
            });
        });
    });
    file(
        &[part(&certificates, Some(password))?, part(&key, None)?],
        password,
    )
}

/// What is said of a certificate or key besides itself.
#[derive(Debug, Clone, Copy, Default)]
struct Marks<'a> {
    /// For people; the alias in Java.
    name: Option<&'a str>,
    /// The same for a key and its leaf.
    link: Option<&'a [u8]>,
    trusted: bool,
}

impl Marks<'_> {
    fn write_certificate(&self, writer: DERWriter<'_>, der: &[u8]) {
        self.write_bag(writer, oid::CERTIFICATE_BAG, |writer| {
            writer.write_sequence(|fields| {
                write_oid(fields.next(), oid::X509_CERTIFICATE);
                fields
                    .next()
                    .write_tagged(Tag::context(0), |writer| writer.write_bytes(der));
            });
        });
    }

    fn write_bag(&self, writer: DERWriter<'_>, kind: &[u64], value: impl FnOnce(DERWriter<'_>)) {
        writer.write_sequence(|fields| {
            write_oid(fields.next(), kind);
            fields.next().write_tagged(Tag::context(0), value);
            if self.name.is_none() && self.link.is_none() && !self.trusted {
                return;
            }
            fields.next().write_set_of(|marks| {
                if let Some(name) = self.name {
                    write_mark(marks.next(), oid::FRIENDLY_NAME, |writer| {
                        writer.write_bmp_string(name);
                    });
                }
                if let Some(link) = self.link {
                    write_mark(marks.next(), oid::LOCAL_KEY_ID, |writer| {
                        writer.write_bytes(link);
                    });
                }
                if self.trusted {
                    write_mark(marks.next(), oid::TRUSTED_KEY_USAGE, |writer| {
                        write_oid(writer, oid::ANY_USAGE);
                    });
                }
            });
        });
    }
}

fn write_mark(writer: DERWriter<'_>, name: &[u64], value: impl FnOnce(DERWriter<'_>)) {
    writer.write_sequence(|fields| {
        write_oid(fields.next(), name);
        fields.next().write_set_of(|values| value(values.next()));
    });
}

fn write_oid(writer: DERWriter<'_>, name: &[u64]) {
    writer.write_oid(&ObjectIdentifier::from_slice(name));
}

fn derivation() -> Result<Derivation, P12Error> {
    let salt: [u8; 16] = random().map_err(|_| P12Error::NoRandomness)?;
    Ok(Derivation {
        hash: Hash::Sha1,
        salt: salt.to_vec(),
        rounds: ROUNDS,
    })
}

fn scheme() -> Result<Scheme, P12Error> {
    Ok(Scheme {
        cipher: Cipher::TripleDes,
        derivation: derivation()?,
        start: None,
    })
}

fn write_scheme(writer: DERWriter<'_>, scheme: &Scheme) {
    writer.write_sequence(|fields| {
        write_oid(fields.next(), oid::PBE_3DES);
        fields.next().write_sequence(|fields| {
            fields.next().write_bytes(&scheme.derivation.salt);
            fields.next().write_u32(scheme.derivation.rounds);
        });
    });
}

/// Bags as a part of a file, encrypted if there is a password.
fn part(bags: &[u8], password: Option<&Password<'_>>) -> Result<Vec<u8>, P12Error> {
    let Some(password) = password else {
        return Ok(construct_der(|writer| write_data(writer, bags)));
    };
    let scheme = scheme()?;
    let hidden = scheme.encrypt(bags, password)?;
    Ok(construct_der(|writer| {
        writer.write_sequence(|fields| {
            write_oid(fields.next(), oid::ENCRYPTED_DATA);
            fields.next().write_tagged(Tag::context(0), |writer| {
                writer.write_sequence(|fields| {
                    fields.next().write_u32(0);
                    fields.next().write_sequence(|fields| {
                        write_oid(fields.next(), oid::DATA);
                        write_scheme(fields.next(), &scheme);
                        fields
                            .next()
                            .write_tagged_implicit(Tag::context(0), |writer| {
                                writer.write_bytes(&hidden);
                            });
                    });
                });
            });
        });
    }))
}

fn write_data(writer: DERWriter<'_>, bytes: &[u8]) {
    writer.write_sequence(|fields| {
        write_oid(fields.next(), oid::DATA);
        fields
            .next()
            .write_tagged(Tag::context(0), |writer| writer.write_bytes(bytes));
    });
}

/// The whole file, sealed.
fn file(parts: &[Vec<u8>], password: &Password<'_>) -> Result<Vec<u8>, P12Error> {
    let safe = construct_der(|writer| {
        writer.write_sequence_of(|safe| {
            for part in parts {
                safe.next().write_der(part);
            }
        });
    });
    let derivation = derivation()?;
    let algorithm = derivation.hash.hmac();
    let mut key = [0; 20];
    derivation.old_way(password, Purpose::Mac, &mut key)?;
    let seal = hmac::sign(&hmac::Key::new(algorithm, &key), &safe);
    Ok(construct_der(|writer| {
        writer.write_sequence(|fields| {
            fields.next().write_u32(3);
            write_data(fields.next(), &safe);
            fields.next().write_sequence(|fields| {
                fields.next().write_sequence(|fields| {
                    fields.next().write_sequence(|fields| {
                        write_oid(fields.next(), oid::SHA1);
                        fields.next().write_null();
                    });
                    fields.next().write_bytes(seal.as_ref());
                });
                fields.next().write_bytes(&derivation.salt);
                fields.next().write_u32(derivation.rounds);
            });
        });
    }))
}
