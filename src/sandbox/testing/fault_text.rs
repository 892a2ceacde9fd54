//! Durations and VINs as texts of JSON.

/// A duration with units, `"150ms"`.
pub(super) mod duration {
    use std::{borrow::Cow, time::Duration};

    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(in crate::sandbox::testing) fn serialize<S>(
        duration: &Duration,
        to: S,
    ) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        to.collect_str(&humantime::format_duration(*duration))
    }

    pub(in crate::sandbox::testing) fn deserialize<'de, D>(from: D) -> Result<Duration, D::Error>
    where
        D: Deserializer<'de>,
    {
        humantime::parse_duration(&Cow::<'de, str>::deserialize(from)?).map_err(de::Error::custom)
    }
}

/// A VIN in any spelling, or null.
pub(super) mod vin {
    use std::borrow::Cow;

    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::vehicle::Vin;

    pub(in crate::sandbox::testing) fn serialize<S>(
        vin: &Option<Vin>,
        to: S,
    ) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        match vin {
            Some(vin) => to.serialize_str(vin.as_str()),
            None => to.serialize_none(),
        }
    }

    pub(in crate::sandbox::testing) fn deserialize<'de, D>(from: D) -> Result<Option<Vin>, D::Error>
    where
        D: Deserializer<'de>,
    {
        let text = Option::<Cow<'de, str>>::deserialize(from)?;
        text.map(|text| Vin::parse(&text))
            .transpose()
            .map_err(de::Error::custom)
    }
}
