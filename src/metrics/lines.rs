//! Lines of the text format 0.0.4, byte for byte as the crate `prometheus` writes them. That one builds a tree of its own
//! types for every sample first, which was most of what a large fleet's page cost.

/// Counts of thousandths below this have 15 digits at most. Among decimals of so many digits no two are one `f64`, so the
/// one that gives a value is the shortest that does, which is what `Display` writes.
const EXACT_THOUSANDTHS: u64 = 1_000_000_000_000_000;

/// The lines before a family's samples.
pub(super) fn header(name: &str, help: &str, kind: &str) -> Vec<u8> {
    let mut text = format!("# HELP {name} ").into_bytes();
    escape(&mut text, help, |byte| matches!(byte, b'\\' | b'\n'));
    text.extend_from_slice(format!("\n# TYPE {name} {kind}\n").as_bytes());
    text
}

/// A label as it stands in a line, for many lines.
pub(super) struct Label(Vec<u8>);

impl Label {
    pub(super) fn new(name: &str, value: &str) -> Self {
        let mut text = Vec::with_capacity(name.len() + value.len() + r#"="""#.len());
        label(&mut text, name, value);
        Self(text)
    }
}

/// The line of one sample: it begins with the name, takes labels, and ends with the value.
pub(super) struct Line<'a> {
    text: &'a mut Vec<u8>,
    labelled: bool,
}

impl<'a> Line<'a> {
    /// Begins a line; the suffix is that of a histogram's series.
    pub(super) fn begin(text: &'a mut Vec<u8>, name: &str, suffix: &str) -> Self {
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(suffix.as_bytes());
        Self { text, labelled: false }
    }

    pub(super) fn label(mut self, name: &str, value: &str) -> Self {
        self.separate();
        label(self.text, name, value);
        self
    }

    pub(super) fn known(mut self, label: &Label) -> Self {
        self.separate();
        self.text.extend_from_slice(&label.0);
        self
    }

    pub(super) fn value(self, value: f64) {
        self.text.extend_from_slice(if self.labelled { b"} " } else { b" " });
        number(self.text, value);
        self.text.push(b'\n');
    }

    fn separate(&mut self) {
        self.text.push(if std::mem::replace(&mut self.labelled, true) { b',' } else { b'{' });
    }
}

fn label(text: &mut Vec<u8>, name: &str, value: &str) {
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"=\"");
    escape(text, value, |byte| matches!(byte, b'\\' | b'\n' | b'"'));
    text.push(b'"');
}

fn escape(text: &mut Vec<u8>, raw: &str, special: impl Fn(u8) -> bool) {
    let mut rest = raw.as_bytes();
    while let Some(at) = rest.iter().position(|byte| special(*byte)) {
        text.extend_from_slice(&rest[..at]);
        text.extend_from_slice(&[b'\\', if rest[at] == b'\n' { b'n' } else { rest[at] }]);
        rest = &rest[at + 1..];
    }
    text.extend_from_slice(rest);
}

/// A value as its `Display` has it. Nearly all are counts or times to the millisecond, which need no search for the
/// shortest decimal.
fn number(text: &mut Vec<u8>, value: f64) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what it changes is not equal afterwards"
    )]
    let thousandths = (value * 1000.0 + 0.5) as u64;
    #[expect(clippy::cast_precision_loss, reason = "what it changes is not below the bound")]
    let same = (thousandths as f64 / 1000.0).to_bits() == value.to_bits();
    if !same || thousandths >= EXACT_THOUSANDTHS {
        text.extend_from_slice(value.to_string().as_bytes());
        return;
    }
    digits(text, thousandths / 1000);
    let mut rest = thousandths % 1000;
    if rest > 0 {
        text.push(b'.');
    }
    while rest > 0 {
        rest *= 10;
        digits(text, rest / 1000);
        rest %= 1000;
    }
}

fn digits(text: &mut Vec<u8>, whole: u64) {
    if whole >= 10 {
        digits(text, whole / 10);
    }
    text.push(b'0' + (whole % 10) as u8);
}
