//! What is held of the inventory sources: put together at a start and at a reload.

use super::world::Before;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::document::Problems;
use crate::inventory::{self, Kept, Stock};
use crate::source::Source;
use crate::status::RefreshFailure;

/// What is held of each source once it has been looked at. A file that is wrong is a problem while somebody waits for the
/// answer: at a check, at a reload, and at a start without a last good list.
pub(super) fn stocks(
    config: &Config,
    before: &Before<'_>,
    at: Timestamp,
    warnings: &mut Vec<String>,
) -> (Vec<Stock>, Problems) {
    let mut problems = Problems::default();
    let mut stocks = Vec::new();
    for source in &config.inventory {
        let held = held(source, config, before, warnings);
        let references = config.references();
        let look = inventory::look(source, &config.platforms);
        let (stock, _) = held.take(look, at, &references);
        if let Some(trouble) = stock.trouble() {
            let starts_with_kept = matches!(before, Before::Kept) && held.is_known();
            if starts_with_kept || trouble.kind == RefreshFailure::Shrunk {
                warnings.push(format!("inventory {}: {trouble}; the last good list is used", source.name));
            } else {
                problems.extend(trouble.problems(source));
            }
        }
        stocks.push(stock);
    }
    (stocks, problems)
}

/// What is held of a source before it is looked at.
fn held(source: &Source, config: &Config, before: &Before<'_>, warnings: &mut Vec<String>) -> Stock {
    let nothing = || Stock::new(source.clone());
    match before {
        Before::Nothing => nothing(),
        Before::Running(world) => {
            let running = world.stocks.iter().find(|stock| stock.source.name == source.name);
            running.map_or_else(nothing, |stock| stock.retyped(source.clone(), &config.references()))
        }
        Before::Kept => match Kept::beside(&config.store).read(&source.name) {
            Ok(Some(entries)) => nothing().with_kept(entries, &config.references()),
            Ok(None) => nothing(),
            Err(problem) => {
                warnings
                    .push(format!("inventory {}: its last good list can't be read: {problem}", source.name));
                nothing()
            }
        },
    }
}
