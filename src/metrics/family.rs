//! One metric family, built sample by sample and written at once.

use std::io::{self, Write};

use prometheus::Encoder as _;
use prometheus::TextEncoder;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use crate::clock::Timestamp;
use crate::metrics::RenderError;
use crate::status;

/// A family under construction.
pub(super) struct Family {
    inner: MetricFamily,
    samples: Vec<Metric>,
}

/// A family of gauges.
pub(super) fn gauge(name: &str, help: &str) -> Family {
    Family::new(name, help, MetricType::GAUGE)
}

/// A family of counters.
pub(super) fn counter(name: &str, help: &str) -> Family {
    Family::new(name, help, MetricType::COUNTER)
}

/// A family of histograms.
pub(super) fn histogram(name: &str, help: &str) -> Family {
    Family::new(name, help, MetricType::HISTOGRAM)
}

impl Family {
    fn new(name: &str, help: &str, kind: MetricType) -> Self {
        let mut inner = MetricFamily::default();
        inner.set_name(name.to_owned());
        inner.set_help(help.to_owned());
        inner.set_field_type(kind);
        Self { inner, samples: Vec::new() }
    }

    /// Adds a sample with these labels.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        let mut metric = Metric::from_label(labels.iter().map(|(name, value)| label(name, value)).collect());
        match self.inner.get_field_type() {
            MetricType::COUNTER => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            _ => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        self.samples.push(metric);
    }

    /// Adds a histogram with these labels.
    pub(super) fn distribution(&mut self, labels: &[(&str, &str)], of: &status::Histogram) {
        let mut metric = Metric::from_label(labels.iter().map(|(name, value)| label(name, value)).collect());
        let mut histogram = Histogram::default();
        let mut below = 0;
        let buckets = status::STAGE_BUCKETS.iter().zip(of.buckets).map(|(bound, count)| {
            below += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(below);
            bucket
        });
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(of.count());
        histogram.set_sample_sum(of.sum);
        metric.set_histogram(histogram);
        self.samples.push(metric);
    }

    /// Writes the family; one without samples leaves nothing behind.
    pub(super) fn write(mut self, out: &mut impl Write) -> Result<(), RenderError> {
        self.inner.set_metric(self.samples);
        write(&self.inner, out)
    }
}

/// A family that comes in several pieces: the first one that has samples tells name and type for all.
pub(super) struct InPieces<W> {
    out: W,
    begun: bool,
}

impl<W: Write> InPieces<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, begun: false }
    }

    /// Writes the next piece.
    pub(super) fn write(&mut self, piece: Family) -> Result<(), RenderError> {
        if piece.samples.is_empty() {
            return Ok(());
        }
        if std::mem::replace(&mut self.begun, true) {
            piece.write(&mut WithoutLines { out: &mut self.out, left: HEADER_LINES })
        } else {
            piece.write(&mut self.out)
        }
    }

    pub(super) fn into_inner(self) -> W {
        self.out
    }
}

/// What the encoder writes before the samples of a family that has a help text: `# HELP` and `# TYPE`.
const HEADER_LINES: usize = 2;

/// Passes on all but the first lines.
struct WithoutLines<W> {
    out: W,
    left: usize,
}

impl<W: Write> Write for WithoutLines<W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if self.left == 0 {
            return self.out.write(text);
        }
        match text.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                self.left -= 1;
                Ok(end + 1)
            }
            None => Ok(text.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes a family that something else collected.
pub(super) fn write(family: &MetricFamily, out: &mut impl Write) -> Result<(), RenderError> {
    if family.get_metric().is_empty() {
        return Ok(());
    }
    Ok(TextEncoder::new().encode(std::slice::from_ref(family), out)?)
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

/// Seconds since the epoch, to the millisecond.
pub(super) fn seconds(at: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds stay below 2^52 for 140,000 years")]
    let millis = at.timestamp_millis() as f64;
    millis / 1000.0
}

/// The same, with 0 for never.
pub(super) fn seconds_or_zero(at: Option<Timestamp>) -> f64 {
    at.map_or(0.0, seconds)
}

/// 0 or 1.
pub(super) fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

/// A count as Prometheus has it.
#[expect(
    clippy::cast_precision_loss,
    reason = "a count above 2^52 is out of reach; Prometheus has no other type"
)]
pub(super) fn number(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or(u64::MAX) as f64
}
