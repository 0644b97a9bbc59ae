//! XML as a small tree, for configurations of other servers. Nothing outside the text is read: a document type is
//! refused, and with it every entity but the five that XML has anyway.

/// Deepest nesting.
const MOST_DEPTH: usize = 32;
/// Most elements of one file.
const MOST_ELEMENTS: usize = 20_000;
/// Most attributes of one element.
const MOST_ATTRIBUTES: usize = 64;

/// One element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name without a prefix.
    pub name: String,
    /// The line it begins in, counted from 1.
    pub line: usize,
    /// Its attributes, names without prefix.
    pub attributes: Vec<(String, String)>,
    /// The elements in it.
    pub children: Vec<Element>,
    /// The text directly in it.
    pub text: String,
}

impl Element {
    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The elements of that name directly in it.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first element of that name directly in it.
    pub fn first(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The texts of all elements of that name directly in it, as lists are written; empty ones are left out.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let texts = self.all(name).map(|child| child.text.trim().to_owned());
        texts.filter(|text| !text.is_empty()).collect()
    }
}

/// Where the text stops being XML, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotXml {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub fault: String,
}

/// Reads a whole document: one element, with what may stand before and after it.
///
/// # Errors
/// Where it stops being XML.
pub fn read(text: &str) -> Result<Element, NotXml> {
    let mut reading = Reading {
        text,
        at: 0,
        elements: 0,
    };
    reading.document().map_err(|fault| NotXml {
        line: reading.line(),
        fault: fault.to_owned(),
    })
}

struct Reading<'a> {
    text: &'a str,
    at: usize,
    elements: usize,
}

impl<'a> Reading<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn line(&self) -> usize {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        1 + before.matches('\n').count()
    }

    fn document(&mut self) -> Result<Element, &'static str> {
        // The elements that are open, the outermost first.
        let mut open: Vec<Element> = Vec::new();
        let mut root = None;
        loop {
            let words = self.words()?;
            match open.last_mut() {
                Some(inside) => inside.text.push_str(&words),
                None if !words.trim().is_empty() => {
                    return Err("there is text outside the element");
                }
                None => {}
            }
            let rest = self.rest();
            if rest.is_empty() {
                return match (open.is_empty(), root) {
                    (true, Some(root)) => Ok(root),
                    (true, None) => Err("there is no element"),
                    (false, _) => Err("it ends before its elements do"),
                };
            }
            if rest.starts_with("<!--") {
                self.pass(4, "-->")?;
            } else if let Some(verbatim) = rest.strip_prefix("<![CDATA[") {
                let end = verbatim.find("]]>").ok_or("a CDATA section has no end")?;
                let inside = open.last_mut().ok_or("there is text outside the element")?;
                inside.text.push_str(&verbatim[..end]);
                self.at += "<![CDATA[".len() + end + 3;
            } else if rest.starts_with("<?") {
                self.pass(2, "?>")?;
            } else if rest.starts_with("<!") {
                return Err(
                    "a document type is not read, it could name other files: take <!DOCTYPE ...> out",
                );
            } else if rest.starts_with("</") {
                self.at += 2;
                let name = self.name()?;
                self.space();
                self.expect('>')?;
                let done = open.pop().ok_or("an element ends that did not begin")?;
                if done.name != local(name) {
                    return Err("an element ends inside another one");
                }
                Self::close(done, &mut open, &mut root)?;
            } else {
                let (element, is_whole) = self.element()?;
                if is_whole {
                    Self::close(element, &mut open, &mut root)?;
                } else if open.len() == MOST_DEPTH {
                    return Err("it is nested deeper than 32 elements");
                } else {
                    open.push(element);
                }
            }
        }
    }

    fn close(
        done: Element,
        open: &mut [Element],
        root: &mut Option<Element>,
    ) -> Result<(), &'static str> {
        match (open.last_mut(), &root) {
            (Some(around), _) => around.children.push(done),
            (None, None) => *root = Some(done),
            (None, Some(_)) => return Err("there are two elements where one is the whole"),
        }
        Ok(())
    }

    /// A start tag; whether it is the end too.
    fn element(&mut self) -> Result<(Element, bool), &'static str> {
        self.elements += 1;
        if self.elements > MOST_ELEMENTS {
            return Err("it has more than 20000 elements");
        }
        let line = self.line();
        self.at += 1;
        let mut element = Element {
            name: local(self.name()?).to_owned(),
            line,
            ..Element::default()
        };
        loop {
            let had_space = self.space();
            let rest = self.rest();
            if rest.starts_with("/>") {
                self.at += 2;
                return Ok((element, true));
            }
            if rest.starts_with('>') {
                self.at += 1;
                return Ok((element, false));
            }
            if !had_space {
                return Err("between attributes goes a space");
            }
            if element.attributes.len() == MOST_ATTRIBUTES {
                return Err("an element has more than 64 attributes");
            }
            let name = self.name()?;
            self.space();
            self.expect('=')?;
            self.space();
            let quote = self
                .rest()
                .chars()
                .next()
                .filter(|quote| matches!(quote, '"' | '\''));
            let quote = quote.ok_or("the value of an attribute goes in \"quotes\"")?;
            self.at += 1;
            let value = self.rest();
            let end = value
                .find(quote)
                .ok_or("the value of an attribute has no end")?;
            let value = plain(&value[..end])?;
            if element.attribute(local(name)).is_some() {
                return Err("an attribute is there twice");
            }
            element.attributes.push((local(name).to_owned(), value));
            self.at += end + 1;
        }
    }

    /// The text up to the next `<`.
    fn words(&mut self) -> Result<String, &'static str> {
        let rest = self.rest();
        let end = rest.find('<').unwrap_or(rest.len());
        let words = plain(&rest[..end])?;
        self.at += end;
        Ok(words)
    }

    fn name(&mut self) -> Result<&'a str, &'static str> {
        let rest = self.rest();
        let ends = |letter: char| {
            letter.is_whitespace() || matches!(letter, '=' | '>' | '/' | '<' | '"' | '\'' | '&')
        };
        let name = &rest[..rest.find(ends).unwrap_or(rest.len())];
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit() || first == '-')
        {
            return Err("there is no name where one must be");
        }
        self.at += name.len();
        Ok(name)
    }

    fn space(&mut self) -> bool {
        let rest = self.rest();
        let passed = rest.len() - rest.trim_start().len();
        self.at += passed;
        passed > 0
    }

    fn expect(&mut self, sign: char) -> Result<(), &'static str> {
        if !self.rest().starts_with(sign) {
            return Err(match sign {
                '=' => "behind the name of an attribute goes =",
                _ => "a tag has no end",
            });
        }
        self.at += 1;
        Ok(())
    }

    fn pass(&mut self, head: usize, end: &str) -> Result<(), &'static str> {
        let rest = self.rest().get(head..).unwrap_or_default();
        let found = rest
            .find(end)
            .ok_or("a remark or an instruction has no end")?;
        self.at += head + found + end.len();
        Ok(())
    }
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// The text without its entities.
fn plain(written: &str) -> Result<String, &'static str> {
    const UNKNOWN: &str =
        "an entity that XML does not have by itself is not read: write the text itself, & as &amp;";
    let mut plain = String::with_capacity(written.len());
    let mut rest = written;
    while let Some((before, behind)) = rest.split_once('&') {
        plain.push_str(before);
        let (name, after) = behind.split_once(';').ok_or(UNKNOWN)?;
        let letter = match (name, name.strip_prefix('#')) {
            ("lt", _) => '<',
            ("gt", _) => '>',
            ("amp", _) => '&',
            ("quot", _) => '"',
            ("apos", _) => '\'',
            (_, Some(number)) => {
                let number = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => number.parse(),
                };
                number.ok().and_then(char::from_u32).ok_or(UNKNOWN)?
            }
            _ => return Err(UNKNOWN),
        };
        plain.push(letter);
        rest = after;
    }
    plain.push_str(rest);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_document_is_a_tree() {
        let text = "<?xml version=\"1.0\"?>\n<!-- <a> -->\n<x:a one='1' n:two=\"a &amp; &#x41;\">\n <b/>t&lt;\n <b>é</b>\
                    <![CDATA[<c>]]></x:a>\n";
        let tree = read(text).unwrap();
        assert_eq!((tree.name.as_str(), tree.line), ("a", 3));
        assert_eq!(tree.attribute("two"), Some("a & A"));
        assert_eq!(tree.texts("b"), ["é"]);
        assert_eq!(tree.children[1].line, 5);
        assert!(
            tree.text.contains("t<") && tree.text.contains("<c>"),
            "{}",
            tree.text
        );
    }

    #[test]
    fn what_is_no_xml_or_dangerous_is_refused_with_its_line() {
        let deep = "<a>".repeat(40);
        let many = format!("<a>{}</a>", "<b/>".repeat(MOST_ELEMENTS));
        for (text, line, words) in [
            ("<a>\n<b>\n</a>", 3, "ends inside another"),
            ("<a>", 1, "ends before"),
            ("", 1, "no element"),
            (
                "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>",
                1,
                "document type",
            ),
            ("<a>&b;</a>", 1, "an entity"),
            ("<a>&#xD800;</a>", 1, "an entity"),
            ("<a b=c/>", 1, "in \"quotes\""),
            ("<a b='1' b='2'/>", 1, "twice"),
            ("<a/>\n<b/>", 2, "two elements"),
            ("<a/>x", 1, "outside"),
            (&deep, 1, "nested deeper"),
            (&many, 1, "more than 20000"),
        ] {
            let fault = read(text).unwrap_err();
            assert_eq!(fault.line, line, "{text:.60}: {fault:?}");
            assert!(fault.fault.contains(words), "{text:.60}: {fault:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[<>/a='\"&;#x!\\[\\]\\-? é\n]{0,60}") {
            let _ = read(&text);
        }

        #[test]
        fn what_quick_xml_writes_is_read_back(value in "[ -~é]{0,40}", words in "[!-~é]{0,20}") {
            let mut writer = quick_xml::Writer::new(Vec::new());
            writer
                .create_element("a")
                .with_attribute(("b", value.as_str()))
                .write_text_content(quick_xml::events::BytesText::new(&words))
                .unwrap();
            let tree = read(&String::from_utf8(writer.into_inner()).unwrap()).unwrap();
            prop_assert_eq!(tree.attribute("b"), Some(value.as_str()));
            prop_assert_eq!(tree.text, words);
        }
    }
}
