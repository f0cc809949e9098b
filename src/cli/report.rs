//! `versweep report`: the state of a fleet on paper.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write as _};
use std::ops::ControlFlow;
use std::sync::Arc;

use clap::ValueEnum;

use super::Exit;
use super::past::{StoreArgs, label, moment, selector, unless_gone};
use crate::clock::{Clock as _, SystemClock, Timestamp};
use crate::config::{self, ConfigErrors, Draft};
use crate::device::{DeviceId, Labels, PlatformKey, Selector};
use crate::document::Problem;
use crate::event::clean;
use crate::known::Known;
use crate::platform::Platforms;
use crate::policy::{Book, Policy, Subject, majorities};
use crate::store::{ChangeFilter, ChangeRow, Reader};

mod csv;
mod markdown;

/// Report what a fleet runs: versions by platform, drift from policies, odd ones out, changes of the last days.
///
/// Reads the store and the configuration's policies, also while the daemon runs. Devices that left the inventory are left
/// out; labels are those of each device's last visit.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  versweep report > fleet.md\n  versweep report --format csv --section drift --select site=ams"
)]
pub(crate) struct Args {
    #[command(flatten)]
    store: StoreArgs,
    /// How to print
    #[arg(long, value_enum, default_value = "markdown")]
    format: Format,
    /// Only this section; may be given more than once. CSV has one
    #[arg(long, value_enum)]
    section: Vec<Section>,
    /// Only devices with this label, or with this platform
    #[arg(long, value_name = "LABEL=VALUE", value_parser = label)]
    select: Vec<(String, String)>,
    /// Changes from this time on: a date, an RFC 3339 time, or so long ago
    #[arg(long, value_name = "TIME", value_parser = moment, default_value = "7d")]
    since: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Markdown,
    /// One table
    Csv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// How many devices run which version
    Versions,
    /// Who breaks which policy
    Drift,
    /// Who doesn't run what most of their model run
    Odd,
    /// What changed
    Changes,
}

/// A table with its title, ready to be printed in any way.
struct Sheet {
    title: &'static str,
    /// What to know before reading it.
    remark: String,
    names: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

/// What a report is made of.
struct Findings {
    now: Timestamp,
    since: Timestamp,
    devices: Vec<Subjected>,
    changes: Vec<ChangeRow>,
}

/// A device of the store.
struct Subjected {
    id: DeviceId,
    labels: Labels,
    known: Known,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let sections = match (self.format, self.section.as_slice()) {
            (Format::Csv, [one]) => vec![*one],
            (Format::Csv, _) => anyhow::bail!("--format csv is one table: give one --section"),
            (Format::Markdown, []) => Section::value_variants().to_vec(),
            (Format::Markdown, some) => some.to_vec(),
        };
        let draft = self.draft()?;
        let reader = self.store.reader()?;
        let findings = self.look(&reader)?;
        let mut sheets = Vec::new();
        for section in sections {
            sheets.push(match section {
                Section::Versions => findings.versions(),
                Section::Drift => {
                    findings.drift(&reader, &draft.config.policies.all(), &draft.config.platforms)?
                }
                Section::Odd => findings.odd(),
                Section::Changes => findings.changes(),
            });
        }
        let mut out = BufWriter::new(io::stdout().lock());
        let printed = match self.format {
            Format::Markdown => markdown::print(&findings, &sheets, &mut out),
            Format::Csv => csv::print(&sheets, &mut out),
        };
        unless_gone(printed.and_then(|()| Ok(out.flush()?)))?;
        Ok(Exit::Done)
    }

    /// The configuration, of which the policies are wanted: secrets that this user can't read are no reason to refuse.
    fn draft(&self) -> Result<Draft, ConfigErrors> {
        let mut draft = config::draft(&self.store.config.path);
        let concern = |problem: &Problem| !problem.key.starts_with("credentials");
        draft.problems.0.retain(concern);
        if draft.problems.is_empty() { Ok(draft) } else { Err(draft.problems) }
    }

    fn look(&self, reader: &Reader) -> anyhow::Result<Findings> {
        let select = selector(&self.select);
        let mut devices = Vec::new();
        for (id, (labels, known)) in reader.known_with_labels()? {
            if known.removed.is_none() && selects(&select, &id, &labels, &known) {
                devices.push(Subjected { id, labels, known });
            }
        }
        devices.sort_by(|a, b| a.id.cmp(&b.id));
        let filter = ChangeFilter { since: Some(self.since), select, ..ChangeFilter::default() };
        let mut changes = Vec::new();
        reader.each_change(&filter, |row| {
            changes.push(row);
            ControlFlow::Continue(())
        })?;
        Ok(Findings { now: SystemClock.now(), since: self.since, devices, changes })
    }
}

fn selects(select: &Selector, id: &DeviceId, labels: &Labels, known: &Known) -> bool {
    select.0.iter().all(|(name, wanted)| {
        let value = match name.as_str() {
            "device" => Some(id.as_str()),
            "platform" => known.facts.as_ref().map(|facts| facts.reading.platform.as_str()),
            label => labels.get(label),
        };
        value.is_some_and(|value| wanted.iter().any(|wanted| wanted == value))
    })
}

impl Findings {
    fn versions(&self) -> Sheet {
        let mut counts: BTreeMap<[String; 3], u64> = BTreeMap::new();
        for facts in self.devices.iter().filter_map(|device| device.known.facts.as_ref()) {
            let said = &facts.reading.facts;
            let model = clean(said.model.as_deref().unwrap_or(""));
            let key = [facts.reading.platform.to_string(), model, clean(said.version.as_str())];
            *counts.entry(key).or_default() += 1;
        }
        let known: u64 = counts.values().sum();
        let row = |(key, count): (&[String; 3], &u64)| {
            key.iter().cloned().chain([count.to_string()]).collect::<Vec<String>>()
        };
        Sheet {
            title: "Versions by platform",
            remark: format!("{known} of {} visited devices have answered.", self.devices.len()),
            names: &["platform", "model", "version", "devices"],
            rows: counts.iter().map(row).collect(),
        }
    }

    fn drift(&self, reader: &Reader, policies: &[Policy], platforms: &Platforms) -> anyhow::Result<Sheet> {
        let remembered: Vec<_> = reader.policies()?.into_iter().map(Arc::new).collect();
        let mut book = Book::new(policies, &remembered, self.now);
        let scheme = |key: &PlatformKey| platforms.get(key).map(|profile| profile.scheme);
        let (mut rows, mut covered, mut unsure) = (Vec::new(), 0_u64, 0_u64);
        for Subjected { id, labels, known } in &self.devices {
            let subject = Subject { id, platform: "auto", labels };
            let judged = book.judge(subject, known, self.now, &scheme);
            covered += u64::from(!judged.standings.is_empty());
            for standing in judged.standings {
                unsure += u64::from(standing.complies.is_none());
                if standing.complies != Some(false) {
                    continue;
                }
                let runs = known.facts.as_ref().map(|facts| clean(facts.reading.facts.version.as_str()));
                rows.push(vec![
                    id.to_string(),
                    standing.policy.name.clone(),
                    standing.verdict.result.as_str().to_owned(),
                    runs.unwrap_or_default(),
                    clean(&standing.verdict.why),
                ]);
            }
        }
        Ok(Sheet {
            title: "Drift from policies",
            remark: format!(
                "{} policies cover {covered} devices; of {unsure} results nobody can say (unknown or stale).",
                policies.len()
            ),
            names: &["device", "policy", "result", "version", "why"],
            rows,
        })
    }

    fn odd(&self) -> Sheet {
        let mut rows = Vec::new();
        for group in majorities(self.devices.iter().map(|device| (&device.id, &device.known))) {
            for (device, version) in &group.odd {
                rows.push(vec![
                    group.platform.to_owned(),
                    clean(group.model),
                    clean(group.version),
                    format!("{} of {}", group.devices - group.odd.len(), group.devices),
                    device.to_string(),
                    clean(version),
                ]);
            }
        }
        Sheet {
            title: "Odd ones out",
            remark: "Devices that don't run what more than half of their model run, without any policy."
                .to_owned(),
            names: &["platform", "model", "majority", "run by", "device", "runs"],
            rows,
        }
    }

    fn changes(&self) -> Sheet {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for row in &self.changes {
            *counts.entry(row.stored.change.kind.as_str()).or_default() += 1;
        }
        let counts: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let row = |row: &ChangeRow| {
            let change = &row.stored.change;
            let texts = [&change.subject, &change.before, &change.after, &change.why].map(|text| clean(text));
            [super::past::second(change.at), change.of.to_string(), change.kind.to_string()]
                .into_iter()
                .chain(texts)
                .collect::<Vec<String>>()
        };
        Sheet {
            title: "Changes",
            remark: format!("Since {}: {}.", super::past::second(self.since), listed(&counts)),
            names: &["at", "device", "kind", "subject", "before", "after", "why"],
            rows: self.changes.iter().map(row).collect(),
        }
    }
}

fn listed(counts: &[String]) -> String {
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}
