//! Processing statuses and the resource types that lead to them.

/// A processing status: its id, key, description and description in Spanish. The first two are
/// documented, the descriptions are the sandbox's own.
pub(super) struct Status(
    pub(super) i8,
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) &'static str,
);

/// A resource type: its id, and the statuses of "something was found" and "nothing was".
pub(super) type ResourceType = (u8, [Status; 2]);

pub(super) const UNPROCESSED: Status =
    Status(-1, "UnProcessed", "Not processed yet", "A\u{fa}n sin procesar");

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
