//! Another opinion on XML: quick-xml reads it, and meaning is compared, not spelling.

use std::collections::BTreeMap;

use quick_xml::events::{BytesStart, Event as Token};
use quick_xml::{Reader, XmlVersion};

/// One element by meaning: order of attributes and children, quotes and blank text do not count; numbers of `point`
/// and `track` count by value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// Reads one element; the words of the failure name the text.
    pub(super) fn read(xml: &str) -> Result<Self, String> {
        let mut reader = Reader::from_str(xml);
        let mut open = vec![Self::default()];
        loop {
            let token = reader
                .read_event()
                .map_err(|error| format!("{error}: {xml}"))?;
            let top = open.last_mut().ok_or("more ends than beginnings")?;
            match token {
                Token::Eof => break,
                Token::Start(tag) => open.push(Self::of(&tag)?),
                Token::Empty(tag) => top.children.push(Self::of(&tag)?.sorted()),
                Token::End(_) => {
                    let ended = open.pop().ok_or("more ends than beginnings")?.sorted();
                    let parent = open.last_mut().ok_or("more ends than beginnings")?;
                    parent.children.push(ended);
                }
                Token::Text(text) => top.text += &text,
                Token::CData(text) => top.text += &text,
                Token::GeneralRef(reference) => {
                    let resolved = reference.resolve_char_ref().map_err(|e| e.to_string())?;
                    match resolved {
                        Some(character) => top.text.push(character),
                        None => {
                            top.text += quick_xml::escape::resolve_predefined_entity(&reference)
                                .ok_or("an entity nobody defined")?;
                        }
                    }
                }
                Token::Comment(_) => {}
                other => return Err(format!("{other:?} has no place in an event")),
            }
        }
        match open.as_mut_slice() {
            [root] if root.children.len() == 1 && root.text.trim().is_empty() => {
                Ok(root.children.remove(0))
            }
            _ => Err(format!("not exactly one element: {xml}")),
        }
    }

    /// The only child of that name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    fn of(tag: &BytesStart<'_>) -> Result<Self, String> {
        let name = tag.name().as_ref().to_owned();
        let mut attributes = BTreeMap::new();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let key = attribute.key.as_ref().to_owned();
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| error.to_string())?;
            let value = match (name.as_str(), value.trim().parse::<f64>()) {
                ("point" | "track", Ok(number)) => format!("{number:?}"),
                _ => value.into_owned(),
            };
            attributes.insert(key, value);
        }
        Ok(Self {
            name,
            attributes,
            ..Self::default()
        })
    }

    fn sorted(mut self) -> Self {
        self.text = self.text.trim().to_owned();
        self.children.sort();
        self
    }
}
