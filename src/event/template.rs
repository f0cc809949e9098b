//! Texts with places for what an event says: "{severity}: {message} at {label.site}".

use chrono::SecondsFormat;

use super::{Post, Severity, clean};

/// A checked text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place(Place),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    After,
    Before,
    Device,
    Kind,
    Label(String),
    Message,
    Model,
    Platform,
    Severity,
    Source,
    Time,
    Why,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace without its other half.
    #[error("has a brace that is not closed or not opened; a brace itself is written twice")]
    Brace,
    /// A place that no event has.
    #[error("has no place of the name {{{0}}}")]
    Unknown(String),
}

/// The places that a template may have.
pub const PLACES: &str = "{message}, {device}, {source}, {kind}, {severity}, {before}, {after}, {why}, {platform}, {model}, {time} or \
                          {label.NAME}";

impl Template {
    /// Checks a text.
    ///
    /// # Errors
    /// What is wrong with it, as a fragment.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '{' | '}' if rest.peek() == Some(&c) => {
                    plain.push(c);
                    rest.next();
                }
                '{' => {
                    let mut name = String::new();
                    loop {
                        match rest.next() {
                            Some('}') => break,
                            Some('{') | None => return Err(TemplateError::Brace),
                            Some(c) => name.push(c),
                        }
                    }
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(Piece::Place(place(&name)?));
                }
                '}' => return Err(TemplateError::Brace),
                c => plain.push(c),
            }
        }
        pieces.push(Piece::Text(plain));
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        Ok(Self(pieces))
    }

    /// The text with a post's own words in its places, each made safe by `escape`. What a digest or an event doesn't have
    /// is empty.
    #[must_use]
    pub fn fill(&self, post: &Post, escape: fn(&str) -> String) -> String {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Place(place) => filled.push_str(&escape(&place.of(post))),
            }
        }
        filled
    }
}

fn place(name: &str) -> Result<Place, TemplateError> {
    Ok(match name {
        "after" => Place::After,
        "before" => Place::Before,
        "device" => Place::Device,
        "kind" => Place::Kind,
        "message" => Place::Message,
        "model" => Place::Model,
        "platform" => Place::Platform,
        "severity" => Place::Severity,
        "source" => Place::Source,
        "time" => Place::Time,
        "why" => Place::Why,
        _ => match name.strip_prefix("label.") {
            Some(label) if !label.is_empty() => Place::Label(label.to_owned()),
            _ => return Err(TemplateError::Unknown(name.to_owned())),
        },
    })
}

impl Place {
    fn of(&self, post: &Post) -> String {
        let (platform, model, before, after) = match post {
            Post::Event(event) => (&event.platform, &event.model, &event.change.before, &event.change.after),
            Post::Digest(digest) => (&digest.platform, &digest.model, &digest.before, &digest.after),
        };
        match (self, post) {
            (Self::After, _) => clean(after),
            (Self::Before, _) => clean(before),
            (Self::Device, _) => post.device().map_or_else(String::new, |device| clean(device.as_str())),
            (Self::Kind, _) => post.kind().to_string(),
            (Self::Message, _) => post.message(),
            (Self::Model, _) => clean(model.as_deref().unwrap_or_default()),
            (Self::Platform, _) => platform.as_ref().map_or_else(String::new, ToString::to_string),
            (Self::Source, _) => post.source().map_or_else(String::new, clean),
            (Self::Severity, _) => Severity::of(post.kind()).to_string(),
            (Self::Time, _) => post.at().to_rfc3339_opts(SecondsFormat::Secs, true),
            (Self::Label(label), Post::Event(event)) => clean(event.labels.get(label).unwrap_or_default()),
            (Self::Why, Post::Event(event)) => clean(&event.change.why),
            (Self::Label(_) | Self::Why, Post::Digest(_)) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Change, ChangeKind};
    use crate::clock::Timestamp;
    use crate::device::{DeviceId, PlatformKey};
    use crate::event::Event;

    fn post() -> Post {
        Post::Event(Event {
            sequence: 7,
            change: Change {
                of: DeviceId::new("core1").unwrap().into(),
                sweep: None,
                at: Timestamp::UNIX_EPOCH,
                kind: ChangeKind::Upgrade,
                subject: String::new(),
                before: "1".into(),
                after: "<2>\u{1b}".into(),
                why: "newer".into(),
                confirmed: true,
            },
            platform: Some(PlatformKey::new("cisco_xe")),
            model: Some("C9300".into()),
            labels: [("site".to_owned(), "ams".to_owned())].into_iter().collect(),
        })
    }

    fn filled(text: &str) -> String {
        Template::parse(text).unwrap().fill(&post(), |text| text.replace('<', "&lt;"))
    }

    #[test]
    fn places_are_filled_and_only_they_are_escaped() {
        assert_eq!(
            filled(
                "<b>{{{kind}}} {device} {before}->{after} {why} {platform} {model} {severity} {time} {label.site}{label.no}"
            ),
            "<b>{upgrade} core1 1->&lt;2>\u{fffd} newer cisco_xe C9300 notice 1970-01-01T00:00:00Z ams"
        );
        assert_eq!(filled("{message}"), "core1 was upgraded from 1 to &lt;2>\u{fffd}");
    }

    #[test]
    fn what_is_no_template_says_why() {
        for text in ["{", "{a", "}", "{a{b}}", "x } y"] {
            assert_eq!(Template::parse(text), Err(TemplateError::Brace), "{text}");
        }
        for text in ["{nobody}", "{label.}", "{}"] {
            assert!(matches!(Template::parse(text), Err(TemplateError::Unknown(_))), "{text}");
        }
    }
}
