//! One element of a batch response, about 1 KB of JSON.
//!
//! It is written as text, not serialised: numbers, escapes, blanks and the order of members
//! come in forms that a parser and a serialiser would not give back as they were.

use super::{
    account_tag::AccountTag,
    fleet::{Class, Dice},
};
use crate::vehicle::Vehicle;

/// Numbers that a detour over `f64` or `i64` changes, in value or in spelling.
const NUMBERS: [&str; 7] =
    ["1.0", "1e2", "9007199254740993", "-0.0", "1.50E-7", "100", "123456789012345678901234567890"];

/// The same for strings.
const CONCEPTS: [&str; 4] = [
    r"Exceso de velocidad: 12 km\/h",
    r#"Verificaci\u00f3n vencida \"2024\""#,
    "Tenencia — año 2025 ñ",
    r"Grúa \ud83d\ude97 🚗 \t \u0000 </script>",
];

/// A processing status: its id, key, description and description in Spanish. The first two are
/// documented, the descriptions are the sandbox's own.
pub(super) struct Status(i8, &'static str, &'static str, &'static str);

/// A resource type: its id, and the statuses of "something was found" and "nothing was".
pub(super) type ResourceType = (u8, [Status; 2]);

const UNPROCESSED: Status = Status(-1, "UnProcessed", "Not processed yet", "A\u{fa}n sin procesar");

/// All documented resource types; 11 is not among them.
pub(super) const RESOURCE_TYPES: [ResourceType; 14] = [
    (0, TENENCIAS),
    (1, TICKETS),
    (2, MISC),
    (3, MISC),
    (4, STOLEN),
    (5, INSURANCE),
    (6, MISC),
    (7, TICKETS),
    (8, TENENCIAS),
    (9, TICKETS),
    (10, TENENCIAS),
    (12, MISC),
    (13, TICKETS),
    (14, REGISTRATION),
];

const TICKETS: [Status; 2] = [
    Status(0, "WithTicketsDebts", "Tickets are due", "Con adeudo de multas"),
    Status(1, "WithoutTicketsDebts", "No tickets are due", "Sin adeudo de multas"),
];
const TENENCIAS: [Status; 2] = [
    Status(2, "WithTenenciasDebts", "Ownership tax is due", "Con adeudo de tenencia"),
    Status(3, "WithoutTenenciasDebts", "No ownership tax is due", "Sin adeudo de tenencia"),
];
const STOLEN: [Status; 2] = [
    Status(4, "WithStolenReport", "Reported as stolen", "Con reporte de robo"),
    Status(5, "WithoutStolenReport", "Not reported as stolen", "Sin reporte de robo"),
];
const INSURANCE: [Status; 2] = [
    Status(6, "WithActiveInsurancePolicy", "Insured", "Con p\u{f3}liza de seguro vigente"),
    Status(8, "WithoutActiveInsurancePolicy", "Not insured", "Sin p\u{f3}liza de seguro vigente"),
];
const MISC: [Status; 2] = [
    Status(9, "WithMiscDebts", "Something else is due", "Con adeudos varios"),
    Status(7, "WithoutMiscDebts", "Nothing else is due", "Sin adeudos varios"),
];
const REGISTRATION: [Status; 2] = [
    Status(12, "VehicleHasChangedPlate", "Has another plate now", "Cambi\u{f3} de placa"),
    Status(11, "VehicleIsNotRegistered", "Not registered", "Sin registro"),
];

/// A vehicle as an account sees it.
pub(super) struct View {
    pub(super) vehicle: Vehicle,
    pub(super) dice: Dice,
    pub(super) account: AccountTag,
    /// Grows with every write of the vehicle.
    pub(super) version: u64,
}

pub(super) fn with_info(vehicle: &Vehicle, info: &str) -> String {
    let (vin, plate) = (vehicle.vin.as_str(), vehicle.plate.as_str());
    format!(r#"{{"vin":"{vin}","plate":"{plate}","info":{info}}}"#)
}

pub(super) fn without_info(vehicle: &Vehicle) -> String {
    let (vin, plate) = (vehicle.vin.as_str(), vehicle.plate.as_str());
    format!(r#"{{"vin":"{vin}","plate":"{plate}"}}"#)
}

impl View {
    pub(super) fn element(&self) -> Option<String> {
        let class = self.dice.class();
        let last = match class {
            Class::Absent => return None,
            Class::Empty => return Some(with_info(&self.vehicle, "[]")),
            Class::Failed | Class::Finished | Class::Pending => self.dice.throw(1, 4),
        };
        // Any step that shares no factor with 14 meets four different types.
        let (start, step) = (self.dice.throw(2, 14), [1, 3, 5][self.dice.throw(3, 3)]);
        let items: Vec<_> = (0..=last)
            .map(|nth| {
                let resource_type = &RESOURCE_TYPES[(start + nth * step) % RESOURCE_TYPES.len()];
                let class = if nth == last { class } else { Class::Finished };
                self.item(nth, resource_type, class)
            })
            .collect();
        let info = format!("[{}]", items.join(", "));
        if self.dice.throw(4, 8) > 0 {
            return Some(with_info(&self.vehicle, &info));
        }
        let (vin, plate) = (self.vehicle.vin.as_str(), self.vehicle.plate.as_str());
        Some(format!("{{ \"info\" : {info},\n  \"plate\" : \"{plate}\", \"vin\" : \"{vin}\" }}"))
    }

    fn item(&self, nth: usize, resource_type: &ResourceType, class: Class) -> String {
        // The ids of resources are not documented; these are the sandbox's own.
        let (id, statuses) = resource_type;
        let resource = 100 + u32::from(*id);
        let (vin, plate) = (self.vehicle.vin.as_str(), self.vehicle.plate.as_str());
        let coin = self.dice.throw(8 + nth, 2);
        let status = match class {
            Class::Failed if coin == 0 => r#""status":null,"#.to_owned(),
            Class::Failed => String::new(),
            Class::Pending => status(&UNPROCESSED),
            _ => status(&statuses[coin]),
        };
        let finished = match class {
            Class::Pending if coin == 0 => r#","finishedDateTime":null"#.to_owned(),
            Class::Pending => String::new(),
            _ => format!(r#","finishedDateTime":"{}""#, self.date(12 + nth, 30)),
        };
        let (result, created) = (self.result(nth), self.date(12 + nth, 0));
        format!(r#"{{"_id":"{resource}-{vin}-{plate}","plate":"{plate}","vin":"{vin}","#)
            + &format!(r#""resourceId":{resource},{status}"result":[{result}],"#)
            + &format!(r#""creationDateTime":"{created}"{finished}}}"#)
    }

    /// What was found. The documentation shows no result; these members are the sandbox's own.
    fn result(&self, nth: usize) -> String {
        let Self { dice, account, version, .. } = self;
        let number = |at| NUMBERS[(dice.throw(16 + nth, 7) + at) % NUMBERS.len()];
        let (folio, amount, total) = (number(0), number(1), number(2));
        let concept = CONCEPTS[dice.throw(20 + nth, 4)];
        let paid = dice.throw(24 + nth, 2) == 0;
        format!(r#"{{"account":"{account}","version":{version},"folio":{folio},"#)
            + &format!(r#""amount":{amount},"total":{total}, "concept": "{concept}","#)
            + &format!(r#" "paid": {paid}}}"#)
    }

    /// An instant of 2026, `seconds` (at most 30) after the one that the dice say.
    fn date(&self, nth: usize, seconds: usize) -> String {
        let throw = |after, sides| self.dice.throw(nth + after, sides);
        let (month, day) = (1 + throw(0, 9), 1 + throw(4, 28));
        let (hour, minute, second) = (throw(8, 24), throw(12, 60), throw(16, 30) + seconds);
        let millisecond = throw(19, 250);
        format!("2026-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
    }
}

fn status(status: &Status) -> String {
    let Status(id, key, description, description_spanish) = status;
    // What a priority means is not documented.
    let priority = i16::from(*id) + 2;
    format!(r#""status":{{"statusId":{id},"key":"{key}","description":"{description}","#)
        + &format!(r#""descriptionSpanish":"{description_spanish}","priority":{priority}}},"#)
}
