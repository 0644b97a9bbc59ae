//! The text of a ROL program: `operation resource parameters ;` (protocol reference 3.3).

use std::fmt;

use super::PROGRAM_LIMIT;

/// How deep objects and lists may be nested in the parameters.
pub const DEEPEST: usize = 16;

/// Longest word, bytes: the longest that is known is `federated_connection`.
const LONGEST_WORD: usize = 32;

/// One program: views over its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program<'a> {
    /// The operation: `create`, `announce`, `update` and the like.
    pub verb: &'a str,
    /// What it is about: `resource`, `package`, `mission`, `data_feed` and the like.
    pub object: &'a str,
    /// The parameters as they stand there, an object as a rule; empty if there are none.
    pub json: &'a str,
}

/// What a program means to this box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// `create resource`: a file with its bytes.
    CreateResource,
    /// `announce package`: a file for somebody.
    AnnouncePackage,
    /// Anything else: missions, data feeds, changes and removals of resources.
    Other,
}

/// Why a text is no program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramError {
    /// Longer than [`PROGRAM_LIMIT`].
    TooLong,
    /// It does not begin with two words.
    Words,
    /// Braces, brackets or quotes of the parameters do not match.
    Unbalanced,
    /// Nested deeper than [`DEEPEST`].
    TooDeep,
    /// The `;` at the end is missing, or something stands behind it.
    End,
}

impl ProgramError {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::TooLong => "the program is too long",
            Self::Words => "the program does not begin with an operation and a resource",
            Self::Unbalanced => "braces or quotes of the program do not match",
            Self::TooDeep => "the program is nested too deep",
            Self::End => "the program does not end with one ;",
        }
    }
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl std::error::Error for ProgramError {}

impl<'a> Program<'a> {
    /// Takes a text apart. White space is free; the parameters are looked at as far as their brackets and strings go.
    ///
    /// # Errors
    /// Why it is no program.
    pub fn read(text: &'a str) -> Result<Self, ProgramError> {
        if text.len() > PROGRAM_LIMIT {
            return Err(ProgramError::TooLong);
        }
        let (verb, rest) = word(text)?;
        let (object, rest) = word(rest)?;
        let rest = rest.trim_start();
        let end = end_of_parameters(rest)?;
        match rest[end..].strip_prefix(';') {
            Some(behind) if behind.trim().is_empty() => Ok(Self {
                verb,
                object,
                json: rest[..end].trim_end(),
            }),
            _ => Err(ProgramError::End),
        }
    }

    /// What it means to this box.
    pub fn meaning(&self) -> Meaning {
        match (self.verb, self.object) {
            ("create", "resource") => Meaning::CreateResource,
            ("announce", "package") => Meaning::AnnouncePackage,
            _ => Meaning::Other,
        }
    }

    /// The program as text, as a TAK Server writes it.
    pub fn text(&self) -> String {
        let Self { verb, object, json } = self;
        format!("{verb} {object}\n{json}\n;")
    }
}

/// `create resource` with these parameters.
pub fn create_resource(json: &str) -> String {
    let (verb, object) = ("create", "resource");
    Program { verb, object, json }.text()
}

/// `announce package` with these parameters.
pub fn announce_package(json: &str) -> String {
    let (verb, object) = ("announce", "package");
    Program { verb, object, json }.text()
}

fn word(text: &str) -> Result<(&str, &str), ProgramError> {
    let text = text.trim_start();
    let is_letter = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    let end = text.find(|letter| !is_letter(letter)).unwrap_or(text.len());
    match end {
        1..=LONGEST_WORD => Ok(text.split_at(end)),
        _ => Err(ProgramError::Words),
    }
}

/// Where the parameters end: at the first `;` outside of strings and brackets.
fn end_of_parameters(text: &str) -> Result<usize, ProgramError> {
    let mut open = [0_u8; DEEPEST];
    let (mut depth, mut in_string, mut escaped) = (0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                *open.get_mut(depth).ok_or(ProgramError::TooDeep)? = byte;
                depth += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1).ok_or(ProgramError::Unbalanced)?;
                // In ASCII a closing bracket is two behind its opening one.
                if open[depth] + 2 != byte {
                    return Err(ProgramError::Unbalanced);
                }
            }
            b';' if depth == 0 => return Ok(at),
            _ => {}
        }
    }
    match depth == 0 && !in_string {
        true => Err(ProgramError::End),
        false => Err(ProgramError::Unbalanced),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn programs_are_taken_apart() {
        let text = create_resource(r#"{"name":"a;b}","x":[{}]}"#);
        assert_eq!(text, "create resource\n{\"name\":\"a;b}\",\"x\":[{}]}\n;");
        let program = Program::read(&text).unwrap();
        assert_eq!(program.meaning(), Meaning::CreateResource);
        assert_eq!(program.json, r#"{"name":"a;b}","x":[{}]}"#);
        assert_eq!(program.text(), text);
        for (text, verb, object, json, meaning) in [
            (
                "announce package{};",
                "announce",
                "package",
                "{}",
                Meaning::AnnouncePackage,
            ),
            (
                " update\tmission {a:1} ; \n",
                "update",
                "mission",
                "{a:1}",
                Meaning::Other,
            ),
            (
                "create data_feed\n{}\n;",
                "create",
                "data_feed",
                "{}",
                Meaning::Other,
            ),
            ("get query ;", "get", "query", "", Meaning::Other),
            (
                r#"delete resource {"a":"\";\\"};"#,
                "delete",
                "resource",
                r#"{"a":"\";\\"}"#,
                Meaning::Other,
            ),
        ] {
            let program = Program::read(text).unwrap();
            assert_eq!(program, Program { verb, object, json }, "{text}");
            assert_eq!(program.meaning(), meaning, "{text}");
        }
    }

    #[test]
    fn what_is_no_program_says_why() {
        for (text, error) in [
            ("", ProgramError::Words),
            ("create", ProgramError::Words),
            ("create {};", ProgramError::Words),
            ("create resource {}", ProgramError::End),
            ("create resource", ProgramError::End),
            ("create resource {}; create", ProgramError::End),
            ("create resource {};;", ProgramError::End),
            ("create resource {;", ProgramError::Unbalanced),
            ("create resource [};", ProgramError::Unbalanced),
            ("create resource };", ProgramError::Unbalanced),
            ("create resource {\"a;}", ProgramError::Unbalanced),
        ] {
            assert_eq!(Program::read(text), Err(error), "{text}");
        }
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            format!("create resource {open}{close};")
        };
        assert!(Program::read(&nested(DEEPEST)).is_ok());
        assert_eq!(
            Program::read(&nested(DEEPEST + 1)),
            Err(ProgramError::TooDeep)
        );
        let long = format!("create resource \"{}\";", "a".repeat(PROGRAM_LIMIT));
        assert_eq!(Program::read(&long), Err(ProgramError::TooLong));
        let word = format!("{} resource {{}};", "a".repeat(33));
        assert_eq!(Program::read(&word), Err(ProgramError::Words));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = Program::read(&text);
            let _ = Program::read(&format!("create resource {text};"));
        }

        #[test]
        fn any_json_comes_back(words in prop::collection::vec(any::<String>(), 0..5)) {
            let json = serde_json::json!({"a": words}).to_string();
            let text = announce_package(&json);
            prop_assert_eq!(Program::read(&text).unwrap().json, json);
        }
    }
}
