//! Which part of the page a scrape asks for.

use crate::hash::fnv1a;
use crate::known::DeviceState;

/// Which of the page's two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Collect {
    /// Both.
    #[default]
    All,
    /// The daemon's own: counters, sweeps, sinks, process.
    Own,
    /// The devices and their counts.
    Devices,
}

impl Collect {
    /// Whether the device part is wanted.
    #[must_use]
    pub fn devices(self) -> bool {
        self != Self::Own
    }

    /// Whether the daemon's part is wanted.
    #[must_use]
    pub fn own(self) -> bool {
        self != Self::Devices
    }
}

/// One of `of` parts of the fleet, chosen by a stable hash of the device's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    of: u32,
}

impl Shard {
    /// The shard `index` of `of`; `None` unless `index < of`.
    #[must_use]
    pub fn new(index: u32, of: u32) -> Option<Self> {
        (index < of).then_some(Self { index, of })
    }

    fn holds(self, name: &str) -> bool {
        fnv1a(name.as_bytes()) % u64::from(self.of) == u64::from(self.index)
    }
}

/// What a scrape asks for; the default is everything. Site and shard cut the device part only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cut {
    /// Which parts.
    pub collect: Collect,
    /// Only devices of this site.
    pub site: Option<String>,
    /// Only devices of this shard.
    pub shard: Option<Shard>,
}

/// A query that `/metrics` does not understand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CutError {
    /// Neither of the two parts.
    #[error("unknown collect[] value: take self or devices, or leave it out for both")]
    Collect,
    /// Not `i/n`.
    #[error("shard is i/n with i from 0 to n-1, such as shard=0/4")]
    Shard,
    /// Another key.
    #[error("unknown query key: /metrics knows collect[], site and shard")]
    Key,
}

impl Cut {
    /// Reads the decoded pairs of a query: `collect[]=self|devices` (both when given twice), `site=`, `shard=i/n`.
    ///
    /// # Errors
    /// [`CutError`] on anything else: a misspelt cut must not pass for the whole page.
    pub fn from_query(pairs: &[(String, String)]) -> Result<Self, CutError> {
        let mut cut = Self::default();
        let (mut own, mut devices) = (false, false);
        for (key, value) in pairs {
            match (key.as_str(), value.as_str()) {
                ("collect[]", "self") => own = true,
                ("collect[]", "devices") => devices = true,
                ("collect[]", _) => return Err(CutError::Collect),
                ("site", site) => cut.site = Some(site.to_owned()),
                ("shard", shard) => cut.shard = Some(parse_shard(shard).ok_or(CutError::Shard)?),
                _ => return Err(CutError::Key),
            }
        }
        cut.collect = match (own, devices) {
            (true, false) => Collect::Own,
            (false, true) => Collect::Devices,
            _ => Collect::All,
        };
        Ok(cut)
    }

    /// The same devices, whatever else was asked for: the key under which a rendered device part is kept.
    pub(super) fn devices_only(&self) -> Self {
        Self { collect: Collect::Devices, ..self.clone() }
    }

    pub(super) fn holds(&self, state: &DeviceState) -> bool {
        let site =
            self.site.as_deref().is_none_or(|site| state.device.labels.get("site").unwrap_or("") == site);
        site && self.shard.is_none_or(|shard| shard.holds(state.device.id.as_str()))
    }
}

fn parse_shard(text: &str) -> Option<Shard> {
    let (index, of) = text.split_once('/')?;
    Shard::new(index.parse().ok()?, of.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pairs: &[(&str, &str)]) -> Result<Cut, CutError> {
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Cut::from_query(&pairs)
    }

    #[test]
    fn nothing_asked_is_everything() {
        assert_eq!(cut(&[]), Ok(Cut::default()));
        assert_eq!(cut(&[("collect[]", "self"), ("collect[]", "devices")]), Ok(Cut::default()));
    }

    #[test]
    fn a_misspelt_cut_is_refused() {
        assert_eq!(cut(&[("collect[]", "device")]), Err(CutError::Collect));
        assert_eq!(cut(&[("sites", "ams")]), Err(CutError::Key));
        for bad in ["4/4", "1", "-1/4", "0/0", "a/b", ""] {
            assert_eq!(cut(&[("shard", bad)]), Err(CutError::Shard), "{bad}");
        }
    }

    #[test]
    fn shards_cover_the_fleet_once() {
        for n in 0..1000 {
            let name = format!("r{n}");
            let holders =
                (0..7).filter(|i| Shard::new(*i, 7).is_some_and(|shard| shard.holds(&name))).count();
            assert_eq!(holders, 1, "{name}");
        }
    }
}
