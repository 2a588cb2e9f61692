//! Faults put into a signal.

/// Kinds of faults, by the word that an event has for them.
pub const FAULTS: [&str; 5] = ["spike", "drift", "level", "stuck", "dead"];

const HOUR: usize = 60;

/// Puts a fault into `values` from the reading `at` on; `size` is the signal's measure. Gives the reading behind it.
///
/// A spike is one reading of 15 sizes, a drift grows by 10 sizes a day for two days, a level is 10 sizes higher for a day, stuck lasts two
/// days, dead six hours.
pub fn put(fault: &str, values: &mut [f64], at: usize, size: f64) -> usize {
    let lasts = match fault {
        "spike" => 1,
        "drift" | "stuck" => 48 * HOUR,
        "level" => 24 * HOUR,
        _ => 6 * HOUR,
    };
    let end = (at + lasts).min(values.len());
    let first = values[at];
    for (i, value) in values[at..end].iter_mut().enumerate() {
        *value = match fault {
            "spike" => *value + 15.0 * size,
            "drift" => *value + 10.0 * size * i as f64 / (24 * HOUR) as f64,
            "level" => *value + 10.0 * size,
            "stuck" => first,
            _ => f64::NAN,
        };
    }
    end
}
