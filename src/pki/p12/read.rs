//! Reading: DER, and the older BER with its open lengths, as BouncyCastle writes it.

#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method of a reader with two lifetimes does not fit where its closure does"
)]

use ring::hmac;
use yasna::{ASN1Error, ASN1ErrorKind, ASN1Result, BERReader, Tag};

use super::cipher::{Algorithm, Derivation, Hash, Purpose, Scheme};
use super::{P12Error, Password, oid};

/// What was in a PKCS#12 file: all keys and certificates, whatever belongs together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// PKCS#8.
    pub keys: Vec<Vec<u8>>,
    /// X.509.
    pub certificates: Vec<Vec<u8>>,
}

/// What seals a file against changes, and tells whether the password is right.
struct Seal {
    digest: Algorithm,
    value: Vec<u8>,
    salt: Vec<u8>,
    rounds: u32,
}

/// One of the parts of a file.
enum Part {
    Open(Vec<u8>),
    Encrypted(Algorithm, Vec<u8>),
    /// For the owner of some key.
    Other,
}

/// A name, and what stands under it, not looked into yet.
type Bag = (Vec<u64>, Vec<u8>);

impl Contents {
    /// Reads a file. One that is not sealed is read too.
    ///
    /// # Errors
    /// [`P12Error::Damaged`], [`P12Error::Password`] or [`P12Error::Unknown`].
    pub fn read(bytes: &[u8], password: &str) -> Result<Self, P12Error> {
        match Self::read_with(bytes, &Password::new(password)) {
            Err(P12Error::Password) if password.is_empty() => {
                Self::read_with(bytes, &Password::none())
            }
            read => read,
        }
    }

    fn read_with(bytes: &[u8], password: &Password<'_>) -> Result<Self, P12Error> {
        let (part, seal) = yasna::parse_ber(bytes, |reader| {
            reader.read_sequence(|fields| {
                if fields.next().read_u32()? != 3 {
                    return Err(ASN1Error::new(ASN1ErrorKind::Invalid));
                }
                Ok((
                    Part::read(fields.next())?,
                    fields.read_optional(Seal::read)?,
                ))
            })
        })
        .map_err(|_| P12Error::Damaged)?;
        // A file may also be signed, with a certificate in place of a password; nobody does.
        let Part::Open(safe) = part else {
            return Err(P12Error::Unknown);
        };
        if let Some(seal) = seal {
            seal.check(&safe, password)?;
        }
        let parts = yasna::parse_ber(&safe, |reader| reader.collect_sequence_of(Part::read))
            .map_err(|_| P12Error::Damaged)?;
        let mut contents = Self::default();
        for part in parts {
            match part {
                Part::Open(bags) => contents.add(&bags, password)?,
                Part::Encrypted(algorithm, bytes) => {
                    let bags = Scheme::of(&algorithm)?.decrypt(&bytes, password)?;
                    contents.add(&bags, password)?;
                }
                Part::Other => {}
            }
        }
        Ok(contents)
    }

    fn add(&mut self, bags: &[u8], password: &Password<'_>) -> Result<(), P12Error> {
        let bags = yasna::parse_ber(bags, |reader| reader.collect_sequence_of(bag))
            .map_err(|_| P12Error::Damaged)?;
        for (name, value) in bags {
            match name.as_slice() {
                oid::KEY_BAG => self.keys.push(value),
                oid::SHROUDED_KEY_BAG => {
                    let (algorithm, bytes) = yasna::parse_ber(&value, |reader| {
                        reader.read_sequence(|fields| {
                            Ok((Algorithm::read(fields.next())?, fields.next().read_bytes()?))
                        })
                    })
                    .map_err(|_| P12Error::Damaged)?;
                    let key = Scheme::of(&algorithm)?.decrypt(&bytes, password)?;
                    self.keys.push(key);
                }
                oid::CERTIFICATE_BAG => {
                    let certificate = yasna::parse_ber(&value, certificate);
                    let certificate = certificate.map_err(|_| P12Error::Damaged)?;
                    self.certificates.extend(certificate);
                }
                // Secrets without a certificate, lists of revoked ones.
                _ => {}
            }
        }
        Ok(())
    }
}

impl Part {
    fn read(reader: BERReader<'_, '_>) -> ASN1Result<Self> {
        reader.read_sequence(|fields| {
            let name = fields.next().read_oid()?;
            let content = fields.next();
            match name.components().as_slice() {
                oid::DATA => content
                    .read_tagged(Tag::context(0), |reader| reader.read_bytes())
                    .map(Self::Open),
                oid::ENCRYPTED_DATA => content.read_tagged(Tag::context(0), Self::encrypted),
                _ => content.read_der().map(|_| Self::Other),
            }
        })
    }

    fn encrypted(reader: BERReader<'_, '_>) -> ASN1Result<Self> {
        reader.read_sequence(|fields| {
            fields.next().read_u32()?;
            let part = fields.next().read_sequence(|fields| {
                fields.next().read_oid()?;
                let algorithm = Algorithm::read(fields.next())?;
                let bytes = fields
                    .next()
                    .read_tagged_implicit(Tag::context(0), |reader| reader.read_bytes())?;
                Ok(Self::Encrypted(algorithm, bytes))
            })?;
            // Attributes that nobody uses.
            fields.read_optional(|reader| {
                reader.read_tagged_implicit(Tag::context(1), |reader| {
                    reader.read_set_of(|reader| reader.read_der().map(drop))
                })
            })?;
            Ok(part)
        })
    }
}

fn bag(reader: BERReader<'_, '_>) -> ASN1Result<Bag> {
    reader.read_sequence(|fields| {
        let name = fields.next().read_oid()?.components().clone();
        let value = fields
            .next()
            .read_tagged(Tag::context(0), |reader| reader.read_der())?;
        // Names for people, and which certificate goes with which key: the keys tell themselves.
        fields.read_optional(|reader| reader.read_set_of(|reader| reader.read_der().map(drop)))?;
        Ok((name, value))
    })
}

/// The certificate, unless it is one of another kind.
fn certificate(reader: BERReader<'_, '_>) -> ASN1Result<Option<Vec<u8>>> {
    reader.read_sequence(|fields| {
        let name = fields.next().read_oid()?;
        let content = fields.next();
        if name.components() != oid::X509_CERTIFICATE {
            return content.read_der().map(|_| None);
        }
        content
            .read_tagged(Tag::context(0), |reader| reader.read_bytes())
            .map(Some)
    })
}

impl Seal {
    fn read(reader: BERReader<'_, '_>) -> ASN1Result<Self> {
        reader.read_sequence(|fields| {
            let (digest, value) = fields.next().read_sequence(|fields| {
                Ok((Algorithm::read(fields.next())?, fields.next().read_bytes()?))
            })?;
            Ok(Self {
                digest,
                value,
                salt: fields.next().read_bytes()?,
                rounds: fields.read_default(1, |reader| reader.read_u32())?,
            })
        })
    }

    fn check(self, safe: &[u8], password: &Password<'_>) -> Result<(), P12Error> {
        let derivation = Derivation {
            hash: Hash::of_digest(&self.digest.name)?,
            salt: self.salt,
            rounds: self.rounds,
        };
        let algorithm = derivation.hash.hmac();
        let mut key = vec![0; algorithm.digest_algorithm().output_len()];
        derivation.old_way(password, Purpose::Mac, &mut key)?;
        hmac::verify(&hmac::Key::new(algorithm, &key), safe, &self.value)
            .map_err(|_| P12Error::Password)
    }
}
