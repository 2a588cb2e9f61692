//! The four kinds of progressive scan (T.81, G.1.2 and figures G.3 to G.7): DC or AC coefficients, first scan or refinement.

use super::bits::Bits;
use super::coefficients::{Block, Coefficients};
use super::fault::BlockFault;
use super::huffman::Huffman;
use super::segments::{ScanHeader, Tables};
use super::units::{Scanned, Units};

/// State carried from block to block.
#[derive(Default)]
struct State {
    predictions: [i32; 4],
    /// Remaining blocks of an end-of-band run, including the present one.
    run: u32,
}

/// Decodes one scan, whose header was checked, into `out`.
///
/// # Errors
/// A message with the row.
pub(super) fn decode(
    bits: &mut Bits<'_>,
    units: &Units<'_>,
    tables: &Tables,
    header: &ScanHeader,
    out: &mut Coefficients,
) -> Result<Scanned, String> {
    let ([first, last], [high, low]) = (header.band, header.bits);
    let restart = |state: &mut State| *state = State::default();
    let done = |state: &State| state.run == 0;
    let several = header.components.len() > 1;
    let mut state = State::default();
    if first > 0 {
        let Some(only) = header.components.first() else { return Err("a scan without components".into()) };
        let ac = tables.huffman(1, only.tables[1])?;
        let unit = |state: &mut State, bits: &mut Bits<'_>, place: [usize; 2]| {
            out.each_block(only.index, false, place, |block| {
                let band = block.get_mut(first..=last).unwrap_or_default();
                if high == 0 {
                    first_ac(ac, bits, &mut state.run, band, low)
                } else {
                    refine_ac(ac, bits, &mut state.run, band, low)
                }
            })
        };
        return units.each(bits, &mut state, unit, restart, done);
    }
    let mut dc: Vec<Option<&Huffman>> = Vec::new();
    for component in &header.components {
        dc.push(if high == 0 { Some(tables.huffman(0, component.tables[0])?) } else { None });
    }
    let unit = |state: &mut State, bits: &mut Bits<'_>, place: [usize; 2]| {
        for ((component, dc), prediction) in header.components.iter().zip(&dc).zip(&mut state.predictions) {
            out.each_block(component.index, several, place, |block: &mut Block| {
                let [value, ..] = block;
                match dc {
                    Some(table) => {
                        *prediction = prediction.wrapping_add(table.difference(bits)?);
                        *value = (*prediction << low) as i16;
                    }
                    None => {
                        bits.refill();
                        *value |= (bits.take(1) as i16) << low;
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    };
    units.each(bits, &mut state, unit, restart, done)
}

/// Length of an end-of-band run of magnitude `run`.
fn blocks(bits: &mut Bits<'_>, run: u32) -> u32 {
    bits.refill();
    (1 << run) + bits.take(run)
}

/// Decodes the upper bits of the coefficients of one block.
fn first_ac(
    table: &Huffman,
    bits: &mut Bits<'_>,
    ended: &mut u32,
    band: &mut [i16],
    low: u8,
) -> Result<(), BlockFault> {
    if *ended > 0 {
        *ended -= 1;
        return Ok(());
    }
    let mut band = band.iter_mut();
    while !band.as_slice().is_empty() {
        let symbol = table.decode(bits)?;
        let (run, size) = (symbol >> 4, u32::from(symbol & 15));
        if size == 0 && run != 15 {
            *ended = blocks(bits, run.into()) - 1;
            break;
        }
        *band.nth(run.into()).ok_or(BlockFault::Coefficients)? = (bits.take_extended(size) << low) as i16;
    }
    Ok(())
}

/// Decodes one more bit of the coefficients of one block: new ones of that magnitude, and corrections of existing ones.
fn refine_ac(
    table: &Huffman,
    bits: &mut Bits<'_>,
    ended: &mut u32,
    band: &mut [i16],
    low: u8,
) -> Result<(), BlockFault> {
    let bit = 1_i16 << low;
    let mut band = band.iter_mut();
    if *ended == 0 {
        while !band.as_slice().is_empty() {
            let symbol = table.decode(bits)?;
            let (mut run, size) = (symbol >> 4, symbol & 15);
            let mut new = 0;
            match size {
                0 if run != 15 => {
                    *ended = blocks(bits, run.into());
                    break;
                }
                0 => {}
                1 => {
                    bits.refill();
                    new = if bits.take(1) == 1 { bit } else { -bit };
                }
                _ => return Err(BlockFault::Value),
            }
            // Skips the zeros of the run and all existing coefficients, up to the position of the new one.
            let place = loop {
                match band.next() {
                    Some(value) if *value != 0 => correct(value, bits, bit),
                    Some(value) if run == 0 => break Some(value),
                    Some(_) => run -= 1,
                    None => break None,
                }
            };
            match place {
                Some(value) => *value = new,
                None => return Err(BlockFault::Coefficients),
            }
        }
    }
    if *ended > 0 {
        band.filter(|value| **value != 0).for_each(|value| correct(value, bits, bit));
        *ended -= 1;
    }
    Ok(())
}

/// Applies the correction bit of an existing coefficient: away from zero by one bit, or none.
fn correct(value: &mut i16, bits: &mut Bits<'_>, bit: i16) {
    bits.refill();
    if bits.take(1) == 1 && *value & bit == 0 {
        *value = value.wrapping_add(if *value < 0 { -bit } else { bit });
    }
}
