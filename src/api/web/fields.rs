//! The members of JSON objects that requests bring: one table each, by which a request is read and the document of the
//! API is written. So neither can say something else than the other.

use serde_json::{Map, Value, json};

use super::page::form::Form;
use super::problem::Problem;
use crate::config::nearest;

/// What a member is.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Text of at most so many characters.
    Text(u32),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// True or false.
    Flag,
    /// A whole number, from and to.
    Number(u32, u32),
    /// Words, at most so many.
    Words(u32),
    /// An object with members of its own.
    Object(&'static [Field]),
}

/// One member.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its key.
    pub key: &'static str,
    /// What it is.
    pub kind: Kind,
    /// It must be there.
    pub required: bool,
    /// What it means.
    pub about: &'static str,
}

/// A member that may be left out.
pub const fn may(key: &'static str, kind: Kind, about: &'static str) -> Field {
    Field {
        key,
        kind,
        required: false,
        about,
    }
}

/// A member that must be there.
pub const fn must(key: &'static str, kind: Kind, about: &'static str) -> Field {
    Field {
        key,
        kind,
        required: true,
        about,
    }
}

impl Kind {
    /// As JSON Schema.
    fn schema(self) -> Value {
        match self {
            Self::Text(most) => json!({"type": "string", "maxLength": most}),
            Self::Choice(words) => json!({"type": "string", "enum": words}),
            Self::Flag => json!({"type": "boolean"}),
            Self::Number(least, most) => {
                json!({"type": "integer", "minimum": least, "maximum": most})
            }
            Self::Words(most) => {
                json!({"type": "array", "items": {"type": "string"}, "maxItems": most})
            }
            Self::Object(fields) => schema(fields),
        }
    }

    /// What is wanted, in words.
    fn words(self) -> String {
        match self {
            Self::Text(most) => format!("text of at most {most} characters"),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Flag => "true or false".to_owned(),
            Self::Number(least, most) => format!("a whole number from {least} to {most}"),
            Self::Words(most) => format!("a list of at most {most} words"),
            Self::Object(fields) => {
                let keys: Vec<&str> = fields.iter().map(|field| field.key).collect();
                format!("an object of {}", keys.join(", "))
            }
        }
    }

    fn takes(self, value: &Value) -> bool {
        match self {
            Self::Text(most) => value
                .as_str()
                .is_some_and(|text| text.chars().count() <= most as usize),
            Self::Choice(words) => value.as_str().is_some_and(|text| words.contains(&text)),
            Self::Flag => value.is_boolean(),
            Self::Number(least, most) => value
                .as_u64()
                .is_some_and(|number| (u64::from(least)..=u64::from(most)).contains(&number)),
            Self::Words(most) => value.as_array().is_some_and(|words| {
                words.len() <= most as usize && words.iter().all(Value::is_string)
            }),
            Self::Object(_) => value.is_object(),
        }
    }
}

/// The object as JSON Schema.
pub fn schema(fields: &[Field]) -> Value {
    let property = |field: &Field| {
        let mut schema = field.kind.schema();
        schema["description"] = field.about.into();
        (field.key.to_owned(), schema)
    };
    let properties: Map<String, Value> = fields.iter().map(property).collect();
    let required: Vec<&str> = fields
        .iter()
        .filter(|field| field.required)
        .map(|field| field.key)
        .collect();
    let mut object = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

/// Looks at an object by its table; `outer` is what its keys are called by.
fn check(members: &Map<String, Value>, fields: &[Field], outer: &str) -> Result<(), Problem> {
    let keys: Vec<&str> = fields.iter().map(|field| field.key).collect();
    for (key, value) in members {
        let full = format!("{outer}{key}");
        let Some(field) = fields.iter().find(|field| field.key == key) else {
            let hint = match nearest(key, &keys) {
                Some(near) => format!("unknown key; did you mean \"{near}\"?"),
                None => format!("unknown key; there are {}", keys.join(", ")),
            };
            return Err(Problem::of_key(&full, hint));
        };
        if !value.is_null() && !field.kind.takes(value) {
            let words = format!("cannot be used; give {}", field.kind.words());
            return Err(Problem::of_key(&full, words));
        }
        if let (Kind::Object(inner), Value::Object(members)) = (field.kind, value) {
            check(members, inner, &format!("{full}."))?;
        }
    }
    let is_there = |key: &str| members.get(key).is_some_and(|value| !value.is_null());
    let missing = fields
        .iter()
        .find(|field| field.required && !is_there(field.key));
    match missing {
        None => Ok(()),
        Some(field) => {
            let words = format!("missing: {}; give {}", field.about, field.kind.words());
            Err(Problem::of_key(&format!("{outer}{}", field.key), words))
        }
    }
}

/// The members of a request, each of the kind that its table says.
#[derive(Debug)]
pub struct Members(Map<String, Value>);

impl Members {
    /// Reads a body by a table. A member that is `null` is as good as left out, except for [`Self::is_null`].
    ///
    /// # Errors
    /// What is no JSON object, and the first member that is unknown, missing or of another kind.
    pub fn read(body: &[u8], fields: &[Field]) -> Result<Self, Problem> {
        let value: Value = serde_json::from_slice(body).map_err(|error| {
            Problem::bad_request(format!(
                "the body is no JSON: {error}; give an object in {{}}"
            ))
        })?;
        let Value::Object(members) = value else {
            let words = "the body is JSON and no object; give an object in {}";
            return Err(Problem::bad_request(words));
        };
        check(&members, fields, "")?;
        Ok(Self(members))
    }

    /// Reads a query by a table of texts.
    ///
    /// # Errors
    /// What is no query, and the first member that is unknown, missing, there twice or of another kind.
    pub fn of_query(query: &[u8], fields: &[Field]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(query).ok();
        let Some(form) = text.and_then(Form::read) else {
            let words = "the query of the address cannot be read; give ?KEY=VALUE&KEY=VALUE, with %XX for what is no letter";
            return Err(Problem::bad_request(words));
        };
        let mut members = Map::new();
        for (key, value) in form.members() {
            if members.insert(key.clone(), value.as_str().into()).is_some() {
                return Err(Problem::of_key(key, "it is there twice; give it once"));
            }
        }
        check(&members, fields, "")?;
        Ok(Self(members))
    }

    /// A text or a choice.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str()
    }

    /// A flag.
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.0.get(key)?.as_bool()
    }

    /// A number.
    pub fn number(&self, key: &str) -> Option<u32> {
        self.0.get(key)?.as_u64()?.try_into().ok()
    }

    /// A list of words.
    pub fn words(&self, key: &str) -> Option<Vec<String>> {
        let words = self.0.get(key)?.as_array()?.iter();
        Some(
            words
                .filter_map(|word| word.as_str().map(str::to_owned))
                .collect(),
        )
    }

    /// An object.
    pub fn object(&self, key: &str) -> Option<Self> {
        Some(Self(self.0.get(key)?.as_object()?.clone()))
    }

    /// It is there, and `null`.
    pub fn is_null(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(Value::is_null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[Field] = &[
        must("name", Kind::Text(8), "what it is called"),
        may("port", Kind::Number(1, 65_535), "where"),
        may("protocol", Kind::Choice(&["tls"]), "how"),
        may("enabled", Kind::Flag, "whether"),
        may("scopes", Kind::Words(2), "what"),
        may(
            "filters",
            Kind::Object(&[may("direction", Kind::Flag, "x")]),
            "what passes",
        ),
    ];

    #[test]
    fn what_fits_is_read_and_what_does_not_is_named() {
        let body = br#"{"name":"x","port":9000,"enabled":false,"scopes":["a"],"protocol":null}"#;
        let members = Members::read(body, FIELDS).unwrap();
        assert_eq!(members.text("name"), Some("x"));
        assert_eq!(members.number("port"), Some(9000));
        assert_eq!(members.flag("enabled"), Some(false));
        assert_eq!(members.words("scopes"), Some(vec!["a".to_owned()]));
        assert!(members.is_null("protocol") && !members.is_null("port"));
        for (body, key, words) in [
            (r#"{}"#, Some("name"), "missing"),
            (r#"{"name":null}"#, Some("name"), "missing"),
            (
                r#"{"name":"x","prot":1}"#,
                Some("prot"),
                "did you mean \"port\"?",
            ),
            (
                r#"{"name":"x","port":"9000"}"#,
                Some("port"),
                "a whole number from 1 to 65535",
            ),
            (r#"{"name":"x","port":0}"#, Some("port"), "from 1"),
            (
                r#"{"name":"x","protocol":"udp"}"#,
                Some("protocol"),
                "one of tls",
            ),
            (r#"{"name":"123456789"}"#, Some("name"), "at most 8"),
            (r#"{"name":"x","scopes":[1]}"#, Some("scopes"), "words"),
            (
                r#"{"name":"x","filters":{"directio":1}}"#,
                Some("filters.directio"),
                "did you mean",
            ),
            (
                r#"{"name":"x","filters":{"direction":1}}"#,
                Some("filters.direction"),
                "true or false",
            ),
            (r#"[]"#, None, "no object"),
            ("\u{fffd}", None, "no JSON"),
        ] {
            let problem = Members::read(body.as_bytes(), FIELDS).unwrap_err();
            assert_eq!(problem.key.as_deref(), key, "{body}");
            assert!(problem.detail.contains(words), "{body}: {}", problem.detail);
        }
    }

    #[test]
    fn the_schema_says_the_same() {
        let schema = schema(FIELDS);
        assert_eq!(schema["required"], json!(["name"]));
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["port"]["maximum"], 65_535);
        assert_eq!(schema["properties"]["protocol"]["enum"], json!(["tls"]));
    }
}
