//! Counts and parts of one, between bounds that are part of the type.

use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::{
    context::Context,
    value::{Form, Node, Value},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole<const MIN: u32, const MAX: u32>(pub(crate) u32);

/// A part of one: from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Part(pub(crate) f64);

impl<const MIN: u32, const MAX: u32> Whole<MIN, MAX> {
    pub(crate) fn to_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const MIN: u32, const MAX: u32> Value for Whole<MIN, MAX> {
    fn form() -> Form {
        let schema = json!({ "type": "integer", "minimum": MIN, "maximum": MAX });
        Form::new(format!("a whole number from {MIN} to {MAX}"), schema)
    }

    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Self> {
        let DeValue::Integer(number) = node.value else {
            return node.is_not(context);
        };
        let value = u32::from_str_radix(number.as_str(), number.radix()).ok();
        let value = value.filter(|value| (MIN..=MAX).contains(value)).map(Self);
        node.valid(value.ok_or_else(|| number.to_string()), context)
    }

    fn show(&self) -> Json {
        self.0.into()
    }
}

impl Value for Part {
    fn form() -> Form {
        let schema = json!({ "type": "number", "minimum": 0, "maximum": 1 });
        Form::new("a number from 0 to 1", schema)
    }

    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Self> {
        let text = match node.value {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => return node.is_not(context),
        };
        // Neither infinite nor "not a number" is in the range.
        let value = text
            .parse()
            .ok()
            .filter(|number| (0.0..=1.0).contains(number))
            .map(Self);
        node.valid(value.ok_or_else(|| text.to_owned()), context)
    }

    fn show(&self) -> Json {
        self.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::read;

    #[test]
    fn keeps_whole_numbers_within_their_bounds() {
        for (text, want) in [
            ("1", Ok(1)),
            ("500", Ok(500)),
            ("0x1f", Ok(31)),
            ("1_0", Ok(10)),
            ("0", Err("found 0, expected a whole number from 1 to 500")),
            ("501", Err("found 501, expected a whole number from 1 to 500")),
            ("-1", Err("found -1, expected a whole number from 1 to 500")),
            (
                "18446744073709551615",
                Err("found 18446744073709551615, expected a whole number from 1 to 500"),
            ),
            ("1.0", Err("found a float, expected a whole number from 1 to 500")),
            ("\"1\"", Err("found a string, expected a whole number from 1 to 500")),
        ] {
            let read = read::<Whole<1, 500>>(text).map(|whole| whole.0);
            assert_eq!(read, want.map_err(|problem| vec![problem.to_owned()]), "{text}");
        }
    }

    #[test]
    fn keeps_parts_between_nothing_and_all() {
        for (number, fine) in [
            ("0", true),
            ("1", true),
            ("0.1", true),
            ("1.0", true),
            ("2", false),
            ("-1", false),
            ("1.01", false),
            ("-0.1", false),
            ("nan", false),
            ("inf", false),
        ] {
            assert_eq!(read::<Part>(number).is_ok(), fine, "{number}");
        }
    }
}
