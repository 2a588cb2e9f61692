//! Quantities that meters count, and the units that go with them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Units of a volume of water or gas, as a household's meter has them.
const VOLUMES: &[&str] = &["m³", "L", "ft³", "CCF"];
const WATER: &[&str] = &["m³", "L", "ft³", "CCF", "gal"];
const ENERGIES: &[&str] = &["kWh", "Wh", "MWh"];
const OIL: &[&str] = &["L", "m³", "gal"];
const HEAT: &[&str] = &["kWh", "MWh", "MJ", "GJ"];

/// Quantity that a meter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Quantity {
    /// A volume of water.
    Water,
    /// A volume of gas.
    Gas,
    /// Electric energy.
    Electricity,
    /// Energy of heating or cooling.
    Heat,
    /// A volume of heating oil.
    Oil,
}

impl Quantity {
    /// All of them.
    pub const ALL: [Quantity; 5] =
        [Quantity::Water, Quantity::Gas, Quantity::Electricity, Quantity::Heat, Quantity::Oil];

    /// Name in a configuration.
    pub fn word(self) -> &'static str {
        match self {
            Quantity::Water => "water",
            Quantity::Gas => "gas",
            Quantity::Electricity => "electricity",
            Quantity::Heat => "heat",
            Quantity::Oil => "oil",
        }
    }

    /// Its units, the usual one first.
    pub fn units(self) -> &'static [&'static str] {
        match self {
            Quantity::Water => WATER,
            Quantity::Gas => VOLUMES,
            Quantity::Electricity => ENERGIES,
            Quantity::Heat => HEAT,
            Quantity::Oil => OIL,
        }
    }

    /// The unit that `written` stands for; `None` where it is none of [`Quantity::units`].
    pub fn unit(self, written: &str) -> Option<&'static str> {
        let unit = spelt(written);
        self.units().iter().copied().find(|known| *known == unit)
    }
}

/// The unit that is `written`, else the usual one of `quantity`.
pub fn unit_or_usual(written: Option<&str>, quantity: Option<Quantity>) -> Option<&str> {
    written.map(spelt).or_else(|| quantity?.units().first().copied())
}

/// A unit with its superscript, which few keyboards have.
pub fn spelt(unit: &str) -> &str {
    match unit {
        "m3" => "m³",
        "ft3" => "ft³",
        "l" => "L",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_configuration() {
        for quantity in Quantity::ALL {
            assert_eq!(serde_json::to_value(quantity).ok(), Some(quantity.word().into()));
        }
    }

    #[test]
    fn units_are_those_of_the_quantity_however_they_are_typed() {
        assert_eq!(Quantity::Water.unit("m3"), Some("m³"));
        assert_eq!(Quantity::Gas.unit("ft3"), Some("ft³"));
        assert_eq!(Quantity::Water.unit("l"), Some("L"));
        assert_eq!(Quantity::Electricity.unit("kWh"), Some("kWh"));
        assert_eq!((Quantity::Electricity.unit("m3"), Quantity::Gas.unit("gal")), (None, None));
    }
}
