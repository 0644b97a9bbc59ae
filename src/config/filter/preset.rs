//! Presets: kinds of events by the names people use.

use std::fmt;

/// Kinds of events by the names people use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything: the filter narrows nothing by type.
    Everything,
    /// Positions.
    Tracks,
    /// Chat and its receipts.
    Chat,
    /// 911, ring the bell, in contact, their cancellation, CASEVAC.
    Emergencies,
    /// Markers, routes and drawings.
    Markers,
    /// Requests and receipts of file transfers.
    Files,
}

impl Part {
    const ALL: [Self; 6] = [
        Self::Everything,
        Self::Tracks,
        Self::Chat,
        Self::Emergencies,
        Self::Markers,
        Self::Files,
    ];

    /// The word in the file.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Tracks => "tracks",
            Self::Chat => "chat",
            Self::Emergencies => "emergencies",
            Self::Markers => "markers",
            Self::Files => "files",
        }
    }

    /// The types it stands for; none for everything.
    pub const fn types(self) -> &'static [&'static str] {
        match self {
            Self::Everything => &[],
            Self::Tracks => &["a"],
            Self::Chat => &["b-t-f"],
            Self::Emergencies => &["b-a", "b-r-f-h-c"],
            Self::Markers => &["b-m", "u"],
            Self::Files => &["b-f-t"],
        }
    }
}

/// Kinds of events put together: `tracks+chat+emergencies`. The default is that of a filter without any rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset(Vec<Part>);

/// How to write one.
pub const PRESET_CURE: &str = "write tracks, chat, emergencies, markers and files with + between them, such as \
                               \"tracks+chat+emergencies\", or \"everything\"";

impl Preset {
    /// Reads parts with `+` between them.
    ///
    /// # Errors
    /// What is wrong, in words that follow the text itself.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        for word in text.split('+').map(str::trim) {
            let part = (Part::ALL.into_iter())
                .find(|part| part.word() == word)
                .ok_or_else(|| format!("has a part that is not known, \"{word}\""))?;
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        Ok(Self(parts))
    }

    /// Its parts.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// It stands for everything.
    pub fn is_everything(&self) -> bool {
        self.0.contains(&Part::Everything)
    }
}

impl Default for Preset {
    fn default() -> Self {
        Self(vec![Part::Tracks, Part::Chat, Part::Emergencies])
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.iter().enumerate() {
            f.write_str(if at > 0 { "+" } else { "" })?;
            f.write_str(part.word())?;
        }
        Ok(())
    }
}
