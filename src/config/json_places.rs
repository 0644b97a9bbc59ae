//! Where a value stands in a JSON text that is known to be well-formed, for the line in a message.

/// One step into a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Into<'a> {
    /// The value of that key.
    Key(&'a str),
    /// The item of that number, counted from 0.
    Item(usize),
}

/// The line, counted from 1, where the value at that path begins, its key included; of the innermost part of the path
/// that is there.
pub fn line_of(text: &str, path: &[Into<'_>]) -> usize {
    let mut walker = Walker {
        bytes: text.as_bytes(),
        at: 0,
    };
    let mut found = 0;
    walker.find(path, &mut found);
    1 + text
        .bytes()
        .take(found)
        .filter(|&byte| byte == b'\n')
        .count()
}

struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Walker<'_> {
    fn peek(&mut self) -> u8 {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// Goes as far along the path as there is something; `found` is where that begins.
    fn find(&mut self, path: &[Into<'_>], found: &mut usize) {
        let opened = self.peek();
        let Some((step, rest)) = path.split_first() else {
            return;
        };
        if !matches!(opened, b'{' | b'[') {
            return;
        }
        self.at += 1;
        let mut number = 0;
        loop {
            match self.peek() {
                b',' => self.at += 1,
                b'}' | b']' | 0 => return,
                _ => {
                    let begins = self.at;
                    let wanted = match (opened, step) {
                        (b'{', step) => {
                            let key = self.text();
                            self.peek();
                            self.at += 1;
                            matches!(step, Into::Key(wanted) if key.as_deref() == Some(wanted))
                        }
                        (_, Into::Item(wanted)) => *wanted == number,
                        _ => false,
                    };
                    if wanted {
                        *found = begins;
                        return self.find(rest, found);
                    }
                    number += 1;
                    self.skip();
                }
            }
        }
    }

    /// Reads a text; its quotes are passed.
    fn text(&mut self) -> Option<String> {
        let begins = self.at;
        self.at += 1;
        while let Some(&byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'"' => break,
                _ => {}
            }
        }
        serde_json::from_slice(self.bytes.get(begins..self.at)?).ok()
    }

    /// Passes a value, however deep, without calling itself.
    fn skip(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                0 => return,
                b'"' => {
                    self.text();
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                _ => self.at += 1,
            }
            if depth == 0 && matches!(self.peek(), b',' | b'}' | b']' | 0) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_found_wherever_they_stand() {
        let text = "{\n \"version\": 1,\n \"peers\": [\n  {\"name\": \"a,}\\\"\", \"x\": [1, {\"y\": 2}]},\n  {\n\
                    \"name\": \"b\",\n \"filters\": {\n \"cot_types\": [\"a\",\n \"b\"] }\n }\n ]\n}";
        let peer = |rest: &[Into<'static>]| {
            let path = [&[Into::Key("peers"), Into::Item(1)], rest].concat();
            line_of(text, &path)
        };
        assert_eq!(line_of(text, &[Into::Key("version")]), 2);
        assert_eq!(line_of(text, &[Into::Key("peers"), Into::Item(0)]), 4);
        assert_eq!(peer(&[]), 5);
        assert_eq!(peer(&[Into::Key("name")]), 6);
        assert_eq!(
            peer(&[Into::Key("filters"), Into::Key("cot_types"), Into::Item(1)]),
            9
        );
        assert_eq!(peer(&[Into::Key("nothing")]), 5);
        assert_eq!(line_of(text, &[Into::Key("nothing")]), 1);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]{}\",:a \\\\\n]{0,40}", key in "[a]{0,1}", item in 0..3_usize) {
            let _ = line_of(&text, &[Into::Key(&key), Into::Item(item)]);
        }
    }
}
