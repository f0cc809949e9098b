//! The query of a request, read pair by pair: a key that nobody knows is refused, because a misspelt filter must not
//! pass for none.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{self, FromRequestParts};
use axum::http::request::Parts;
use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Timestamp;
use crate::http::problem::Refusal;

/// Items in one answer when `limit` is not given, and at most.
pub(super) const LIMIT: usize = 100;
pub(super) const LIMIT_MAX: usize = 5000;

/// The most values of one key. A filter names a few; what names hundreds is better asked for by a label.
const VALUES_MAX: usize = 20;

/// The decoded pairs of a query, all of which must be known.
pub(in crate::http) struct Params(Vec<(String, String)>);

/// The query of a request as it came, decoded.
#[derive(Clone)]
pub(in crate::http) struct Query(Vec<(String, String)>);

impl Query {
    /// The pairs in their order.
    pub(in crate::http) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// Without those of these fields that a form sent empty.
    pub(in crate::http) fn without_empty(mut self, fields: &[&str]) -> Self {
        self.0.retain(|(key, value)| !value.trim().is_empty() || !fields.contains(&key.as_str()));
        self
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let query = extract::Query::from_request_parts(parts, state).await;
        query.map(|extract::Query(pairs)| Self(pairs)).map_err(|bad| Refusal::BadQuery(bad.body_text()))
    }
}

/// The one name in a request's path, decoded.
pub(in crate::http) struct Name(pub(in crate::http) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        // What can't be decoded is nobody's name.
        let path = extract::Path::from_request_parts(parts, state).await;
        path.map(|extract::Path(name)| Self(name)).map_err(|_| Refusal::UnknownPath)
    }
}

impl Params {
    /// Takes the query when it has known keys only.
    pub(in crate::http) fn known(Query(pairs): Query, keys: &[&str]) -> Result<Self, Refusal> {
        let times = |key: &str| pairs.iter().filter(|(name, _)| name == key).count();
        if let Some(key) = keys.iter().find(|key| times(key) > VALUES_MAX) {
            return Err(Refusal::BadQuery(format!("{key} has at most {VALUES_MAX} values")));
        }
        match pairs.iter().all(|(key, _)| keys.contains(&key.as_str())) {
            true => Ok(Self(pairs)),
            false if keys.is_empty() => Err(Refusal::BadQuery("no query is taken here".to_owned())),
            false => Err(Refusal::BadQuery(format!("unknown key; there are: {}", keys.join(", ")))),
        }
    }

    /// All values of a key, in their order.
    pub(in crate::http) fn all(&self, key: &str) -> Vec<String> {
        self.0.iter().filter(|(name, _)| name == key).map(|(_, value)| value.clone()).collect()
    }

    /// The value of a key that is given at most once.
    pub(in crate::http) fn one(&self, key: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.0.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Refusal::BadQuery(format!("{key} is given more than once"))),
        }
    }

    /// The value of a key, read.
    pub(in crate::http) fn read<T: FromStr>(
        &self,
        key: &str,
        what: impl Display,
    ) -> Result<Option<T>, Refusal> {
        let read = |text: &str| text.parse().map_err(|_| Refusal::BadQuery(format!("{key} is {what}")));
        self.one(key)?.map(read).transpose()
    }

    /// All values of a key, each one of a closed set.
    pub(in crate::http) fn among(&self, key: &str, names: &[&str]) -> Result<Vec<String>, Refusal> {
        let values = self.all(key);
        match values.iter().all(|value| names.contains(&value.as_str())) {
            true => Ok(values),
            false => Err(Refusal::BadQuery(format!("unknown {key}; there are: {}", names.join(", ")))),
        }
    }

    /// How many items are asked for.
    pub(super) fn limit(&self) -> Result<usize, Refusal> {
        let what = format!("a number from 1 to {LIMIT_MAX}");
        match self.read("limit", &what)?.unwrap_or(LIMIT) {
            limit @ 1..=LIMIT_MAX => Ok(limit),
            _ => Err(Refusal::BadQuery(format!("limit is {what}"))),
        }
    }

    /// An instant.
    pub(in crate::http) fn instant(&self, key: &str) -> Result<Option<Timestamp>, Refusal> {
        self.read(key, "an instant of RFC 3339, such as 2026-11-25T14:00:00Z")
    }

    /// Where the page before ended, as [`cursor`] wrote it.
    pub(super) fn cursor<T: DeserializeOwned>(&self) -> Result<Option<T>, Refusal> {
        let read = |text: &str| {
            let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| Refusal::UnknownCursor)?;
            serde_json::from_slice(&bytes).map_err(|_| Refusal::UnknownCursor)
        };
        self.one("cursor")?.map(read).transpose()
    }
}

/// Cuts rows that were read one beyond `limit` to a page; its last row, where there are more behind it.
pub(in crate::http) fn page_end<T>(rows: &mut Vec<T>, limit: usize) -> Option<&T> {
    let more = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| more)
}

/// A cursor: opaque to clients, which give it back as it is.
pub(super) fn cursor(place: &impl Serialize) -> Option<String> {
    // What cursors carry can always be written; without one a client has reached the end.
    serde_json::to_vec(place).ok().map(|bytes| BASE64URL_NOPAD.encode(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        Params(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(params(&[("limit", "5"), ("limit", "6")]).limit().is_err());
        for limit in ["0", "5001", "-1", "many", ""] {
            assert!(params(&[("limit", limit)]).limit().is_err(), "{limit}");
        }
        assert!(params(&[("since", "yesterday")]).instant("since").is_err());
        assert!(params(&[("state", "sad")]).among("state", &["up"]).is_err());
    }

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let given = (7, "core1".to_owned());
        let text = cursor(&given).unwrap();
        assert_eq!(params(&[("cursor", &text)]).cursor().unwrap(), Some(given));
        for broken in ["", "?", "e30", &text[1..]] {
            assert_eq!(params(&[("cursor", broken)]).cursor::<(i64, String)>(), Err(Refusal::UnknownCursor));
        }
    }
}
