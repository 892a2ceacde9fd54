//! An upstream that breaks, and quotes what it was asked for.

use std::time::Duration;

use vingate::sandbox::{Faults, Mutation, Only};

use crate::secrets::TYPED;

/// What may be wrong with the upstream's answers, and what a batch then gets.
pub(crate) fn faults() -> Vec<(Faults, u16)> {
    let [(vin, plate), ..] = TYPED;
    let body = |body: String| Faults { body: Some(body), ..Faults::default() };
    let twisted = |twist| Faults { mutations: vec![twist], ..Faults::default() };
    let element = format!(r#""vin":"{vin}","plate":"{plate}""#);
    let quoting = Faults { status: Some(400), ..body(format!("{{\"detail\":\"{vin}\"}}")) };
    let late = Faults { latency: Duration::from_secs(2), ..Faults::default() };
    let retry = [("retry-after", vin), ("location", vin), ("set-cookie", vin)];
    let fields = retry
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    vec![
        (body(format!(r#"{{"vehicleData":["{vin}"]}}"#)), 502),
        (body(format!(r#"{{"vehicleData":"{vin}"}}"#)), 502),
        (body(format!(r#"{{"vehicleData":[{{{element},"info":"{vin}"}}]}}"#)), 502),
        (body(format!(r#"{{"vehicleData":[{{{element},"vin":"{vin}"}}]}}"#)), 502),
        (body(vin.to_owned()), 502),
        (twisted(Mutation::Truncated), 502),
        (twisted(Mutation::InfoText), 502),
        (twisted(Mutation::Extra), 200),
        (twisted(Mutation::Twice), 200),
        (quoting, 400),
        (Faults { status: Some(500), ..Faults::default() }, 500),
        (Faults { status: Some(302), headers: fields, ..Faults::default() }, 502),
        (Faults { cut_after: Some(20), ..Faults::default() }, 502),
        (Faults { close: true, only: Only::All, ..Faults::default() }, 502),
        (late, 504),
        (Faults::default(), 200),
    ]
}
