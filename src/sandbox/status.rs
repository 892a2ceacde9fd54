//! Processing statuses and the resource types that lead to them.

/// A processing status. Its words are documented, its descriptions are the sandbox's own.
pub(super) struct Status {
    pub(super) id: i8,
    pub(super) key: &'static str,
    pub(super) description: &'static str,
    pub(super) description_spanish: &'static str,
}

/// A resource type with the statuses of "something was found" and "nothing was".
pub(super) struct ResourceType {
    pub(super) id: u8,
    pub(super) statuses: [&'static Status; 2],
}

/// Not processed yet.
pub(super) const UNPROCESSED: &Status =
    &status(-1, "UnProcessed", "Not processed yet", "A\u{fa}n sin procesar");

/// All documented resource types; 11 is not among them.
pub(super) const RESOURCE_TYPES: [ResourceType; 14] = [
    ResourceType { id: 0, statuses: TENENCIAS },
    ResourceType { id: 1, statuses: TICKETS },
    ResourceType { id: 2, statuses: MISC },
    ResourceType { id: 3, statuses: MISC },
    ResourceType { id: 4, statuses: STOLEN },
    ResourceType { id: 5, statuses: INSURANCE },
    ResourceType { id: 6, statuses: MISC },
    ResourceType { id: 7, statuses: TICKETS },
    ResourceType { id: 8, statuses: TENENCIAS },
    ResourceType { id: 9, statuses: TICKETS },
    ResourceType { id: 10, statuses: TENENCIAS },
    ResourceType { id: 12, statuses: MISC },
    ResourceType { id: 13, statuses: TICKETS },
    ResourceType { id: 14, statuses: REGISTRATION },
];

const TICKETS: [&Status; 2] = [
    &status(0, "WithTicketsDebts", "Tickets are due", "Con adeudo de multas"),
    &status(1, "WithoutTicketsDebts", "No tickets are due", "Sin adeudo de multas"),
];
const TENENCIAS: [&Status; 2] = [
    &status(2, "WithTenenciasDebts", "Ownership tax is due", "Con adeudo de tenencia"),
    &status(3, "WithoutTenenciasDebts", "No ownership tax is due", "Sin adeudo de tenencia"),
];
const STOLEN: [&Status; 2] = [
    &status(4, "WithStolenReport", "Reported as stolen", "Con reporte de robo"),
    &status(5, "WithoutStolenReport", "Not reported as stolen", "Sin reporte de robo"),
];
const INSURANCE: [&Status; 2] = [
    &status(6, "WithActiveInsurancePolicy", "Insured", "Con p\u{f3}liza de seguro vigente"),
    &status(8, "WithoutActiveInsurancePolicy", "Not insured", "Sin p\u{f3}liza de seguro vigente"),
];
const MISC: [&Status; 2] = [
    &status(9, "WithMiscDebts", "Something else is due", "Con adeudos varios"),
    &status(7, "WithoutMiscDebts", "Nothing else is due", "Sin adeudos varios"),
];
const REGISTRATION: [&Status; 2] = [
    &status(12, "VehicleHasChangedPlate", "Has another plate now", "Cambi\u{f3} de placa"),
    &status(11, "VehicleIsNotRegistered", "Not registered", "Sin registro"),
];

const fn status(
    id: i8,
    key: &'static str,
    description: &'static str,
    description_spanish: &'static str,
) -> Status {
    Status { id, key, description, description_spanish }
}
