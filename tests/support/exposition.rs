//! Prometheus' text format (version 0.0.4), read more strictly than Prometheus does, and held to
//! the conventions that `promtool check metrics` knows.

use std::collections::BTreeMap;

/// A scrape: its families by name.
#[derive(Debug)]
pub(crate) struct Exposition(BTreeMap<String, Family>);

/// The samples of one name.
#[derive(Debug)]
pub(crate) struct Family {
    kind: Kind,
    samples: Vec<Sample>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Names and values, in the order of the names.
type Labels = BTreeMap<String, String>;

#[derive(Debug)]
struct Sample {
    /// What follows the family's name: empty, or a histogram's part.
    part: String,
    labels: Labels,
    value: f64,
}

/// Units that have a base unit, and abbreviations.
const UNITS: [&str; 10] = [
    "milliseconds",
    "microseconds",
    "nanoseconds",
    "minutes",
    "hours",
    "ms",
    "kilobytes",
    "megabytes",
    "mb",
    "percent",
];

impl Exposition {
    /// Reads a scrape, or says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut families = BTreeMap::new();
        let mut lines = text
            .strip_suffix('\n')
            .ok_or("the last line has no end")?
            .split('\n')
            .peekable();
        while let Some(line) = lines.next() {
            let help = line
                .strip_prefix("# HELP ")
                .ok_or_else(|| no(line, "HELP"))?;
            let (name, help) = help.split_once(' ').ok_or_else(|| no(line, "a text"))?;
            let line = lines.next().unwrap_or_default();
            let kind = line
                .strip_prefix("# TYPE ")
                .and_then(|line| line.strip_prefix(name)?.strip_prefix(' '))
                .and_then(Kind::of)
                .ok_or_else(|| no(line, "the TYPE of the same metric"))?;
            let mut family = Family { kind, samples: Vec::new() };
            while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
                family.samples.push(Sample::parse(line, name)?);
            }
            check_name(name, kind, help)?;
            family.check().map_err(|wrong| format!("{name}: {wrong}"))?;
            if families.insert(name.to_owned(), family).is_some() {
                return Err(format!("{name} comes twice"));
            }
        }
        Ok(Self(families))
    }

    /// The family that a query names: a histogram's by the name of a part, too.
    pub(crate) fn family(&self, name: &str) -> Option<&Family> {
        self.0.get(name).or_else(|| {
            let name = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|part| name.strip_suffix(part))?;
            self.0
                .get(name)
                .filter(|family| family.kind == Kind::Histogram)
        })
    }
}

fn no(line: &str, expected: &str) -> String {
    format!("{line:?} has not {expected}")
}

/// The rules for names, most of them conventions.
fn check_name(name: &str, kind: Kind, help: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let mut words = name.split('_');
    let wrong =
        if !name.chars().all(is_plain) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
            "is not of a-z, 0-9 and _"
        } else if name.ends_with("_total") != (kind == Kind::Counter) {
            "ends in _total if and only if it is a counter"
        } else if ["_bucket", "_count", "_sum"]
            .iter()
            .any(|part| name.ends_with(part))
        {
            "ends like the part of a histogram"
        } else if words.any(|word| UNITS.contains(&word) || Kind::of(word).is_some()) {
            "names its type, or a unit that is no base unit"
        } else if help.trim().is_empty() || help.trim() != help {
            "has no text, or one with blanks around it"
        } else {
            return Ok(());
        };
    Err(format!("{name} {wrong}"))
}

impl Family {
    /// Whether a sample has this label.
    pub(crate) fn has_label(&self, name: &str) -> bool {
        self.samples
            .iter()
            .any(|sample| sample.labels.contains_key(name))
    }

    fn check(&self) -> Result<(), String> {
        if self.samples.is_empty() {
            return Err("no samples".into());
        }
        for (nth, sample) in self.samples.iter().enumerate() {
            let same = |other: &Sample| other.part == sample.part && other.labels == sample.labels;
            if self.samples[..nth].iter().any(same) {
                return Err(format!("{:?} comes twice", sample.labels));
            }
            let is_part = matches!(sample.part.as_str(), "_bucket" | "_sum" | "_count");
            if is_part != (self.kind == Kind::Histogram) || !is_part && !sample.part.is_empty() {
                return Err(format!("a sample of {:?}", sample.part));
            }
            if sample.labels.contains_key("le") != (sample.part == "_bucket") {
                return Err("le belongs to buckets".into());
            }
            if self.kind != Kind::Gauge && !(sample.value >= 0.0 && sample.value.is_finite()) {
                return Err(format!("counts {}", sample.value));
            }
        }
        if self.kind == Kind::Histogram { self.check_histograms() } else { Ok(()) }
    }

    /// Buckets ascend and are cumulative, the last is `+Inf` and equals the count, and there is a
    /// sum.
    fn check_histograms(&self) -> Result<(), String> {
        let mut histograms: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
        for sample in self
            .samples
            .iter()
            .filter(|sample| sample.part == "_bucket")
        {
            let mut labels = sample.labels.clone();
            let le = labels.remove("le").unwrap_or_default();
            let le = number(&le).ok_or_else(|| format!("le is {le:?}"))?;
            histograms
                .entry(labels)
                .or_default()
                .push((le, sample.value));
        }
        let of = |part: &str, labels: &Labels| {
            let mut found = self.samples.iter().filter(|sample| sample.part == part);
            found
                .find(|sample| sample.labels == *labels)
                .map(|sample| sample.value)
        };
        for (labels, buckets) in &histograms {
            let ascends =
                |(one, other): (&(f64, f64), &(f64, f64))| one.0 < other.0 && one.1 <= other.1;
            if !buckets.iter().zip(&buckets[1..]).all(ascends) {
                return Err(format!("the buckets of {labels:?} do not ascend"));
            }
            let last = buckets.last().copied();
            if last != of("_count", labels).map(|count| (f64::INFINITY, count)) {
                return Err(format!("the last bucket of {labels:?} is not the count"));
            }
            if of("_sum", labels).is_none() {
                return Err(format!("{labels:?} has no sum"));
            }
        }
        // What has a count or a sum has buckets.
        if histograms.len() * 2 + self.buckets() != self.samples.len() {
            return Err("a count or a sum without buckets".into());
        }
        Ok(())
    }

    fn buckets(&self) -> usize {
        self.samples
            .iter()
            .filter(|sample| sample.part == "_bucket")
            .count()
    }
}

impl Kind {
    fn of(word: &str) -> Option<Self> {
        match word {
            "counter" => Some(Self::Counter),
            "gauge" => Some(Self::Gauge),
            "histogram" => Some(Self::Histogram),
            _ => None,
        }
    }
}

impl Sample {
    /// Reads `name_part{label="value",…} value`.
    fn parse(line: &str, name: &str) -> Result<Self, String> {
        let wrong = || format!("{line:?} is no sample of {name}");
        let rest = line.strip_prefix(name).ok_or_else(wrong)?;
        let (part, rest) = rest.split_at(rest.find(['{', ' ']).ok_or_else(wrong)?);
        let mut labels = Labels::new();
        let value = match rest.strip_prefix('{') {
            None => rest,
            Some(rest) => read_labels(rest, &mut labels).ok_or_else(wrong)?,
        };
        let value = value.strip_prefix(' ').and_then(number).ok_or_else(wrong)?;
        Ok(Self { part: part.into(), labels, value })
    }
}

/// Reads `label="value",…}` and gives what follows.
fn read_labels<'a>(mut rest: &'a str, labels: &mut Labels) -> Option<&'a str> {
    loop {
        let (name, after) = rest.split_once("=\"")?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_name =
            name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(is_plain);
        let (value, after) = read_value(after)?;
        if !is_name || labels.insert(name.into(), value).is_some() {
            return None;
        }
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return after.strip_prefix('}'),
        }
    }
}

/// Reads a value to its closing quotation mark, and gives what follows.
fn read_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(match chars.next()? {
                'n' => '\n',
                c @ ('\\' | '"') => c,
                _ => return None,
            }),
            c => value.push(c),
        }
    }
}

/// Rust also reads `inf`, `infinity` and `nan`, in any case and with signs.
fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        _ if text.contains(|c: char| c.is_ascii_alphabetic() && c != 'e') => None,
        _ => text.parse().ok(),
    }
}

#[test]
fn takes_what_is_in_order_and_nothing_else() {
    const HISTOGRAM: &str = "# HELP a_seconds A.\n# TYPE a_seconds histogram\n\
        a_seconds_bucket{le=\"0.5\"} 1\na_seconds_bucket{le=\"+Inf\"} 2\n\
        a_seconds_sum 1.5\na_seconds_count 2\n";
    let counter = |line: &str| format!("# HELP a_total A.\n# TYPE a_total counter\n{line}\n");
    for text in [
        counter("a_total 1"),
        counter("a_total{b=\"\\\\ \\\" \\n }\",c=\"\"} 1e3\na_total{b=\"\",c=\"\"} 0.5"),
        "# HELP a A.\n# TYPE a gauge\na -Inf\n# HELP b B.\n# TYPE b gauge\nb NaN\n".into(),
        HISTOGRAM.into(),
    ] {
        assert!(Exposition::parse(&text).is_ok(), "{text}: {:?}", Exposition::parse(&text));
    }
    for text in [
        String::new(),
        counter("a_total 1").trim_end().into(),
        counter("a_total 1\n"),
        counter(""),
        counter("a_total -1"),
        counter("a_total NaN"),
        counter("a_total 1 1700000000"),
        counter("a_total  1"),
        counter("a_total{} 1"),
        counter("a_total{b=\"c\"} 1\na_total{b=\"c\"} 2"),
        counter("a_total{b=\"c\",b=\"d\"} 1"),
        counter("a_total{b=\"c\",} 1"),
        counter("a_total{b=\"\\t\"} 1"),
        counter("a_total{b=\"c\"d\"} 1"),
        counter("a_total{0=\"c\"} 1"),
        counter("a_total{le=\"1\"} 1"),
        counter("a_totals 1"),
        counter("b_total 1"),
        counter("a_total 1") + &counter("a_total{b=\"c\"} 1"),
        counter("a_total 1").replace("# HELP a_total A.\n", ""),
        counter("a_total 1").replace("# TYPE a_total counter\n", ""),
        counter("a_total 1").replace("TYPE a_total", "TYPE b_total"),
        counter("a_total 1").replace("counter", "untyped"),
        counter("a_total 1").replace(" A.", ""),
        counter("a_total 1").replace(" A.", " "),
        counter("a_total 1").replace("a_total", "a"),
        counter("a_total 1").replace("a_total", "A_total"),
        counter("a_total 1").replace("a_total", "a_ms_total"),
        counter("a_total 1").replace("counter", "gauge"),
        HISTOGRAM.replace("a_seconds_sum 1.5\n", ""),
        HISTOGRAM.replace("a_seconds_count 2\n", ""),
        HISTOGRAM.replace("_count 2", "_count 3"),
        HISTOGRAM.replace("\"0.5\"} 1", "\"0.5\"} 3"),
        HISTOGRAM.replace("\"0.5\"", "\"half\""),
        HISTOGRAM.replace("+Inf", "1"),
        HISTOGRAM.replace("{le=\"0.5\"}", ""),
        HISTOGRAM.replace("_sum 1.5", "_sum{b=\"c\"} 1.5"),
        HISTOGRAM.replace("a_seconds", "a_milliseconds"),
        HISTOGRAM.replace("a_seconds_count 2\n", "a_seconds_count 2\na_seconds 2\n"),
    ] {
        assert!(Exposition::parse(&text).is_err(), "{text}");
    }
}
