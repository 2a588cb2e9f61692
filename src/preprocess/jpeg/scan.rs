//! The entropy-coded data of a scan (T.81, F.2 and G.2): checked for completeness without decoding, or decoded to coefficients.
//!
//! A decoder that paints missing parts grey (libjpeg warns of it, zune-jpeg 0.5 does not) makes a picture that no camera saw.
//! Each block is therefore counted here, each restart marker has to be the next one, and undecodable bits are an error.

use super::bits::Bits;
use super::coefficients::Coefficients;
use super::fault::BlockFault;
use super::huffman::Huffman;
use super::progressive;
use super::segments::{ScanHeader, Tables};
use super::units::{Scanned, Units};

/// Checks the blocks of a sequential scan that begins at byte `at`, without decoding them.
///
/// # Errors
/// A message with the row.
pub(super) fn check(data: &[u8], at: usize, tables: &Tables, header: &ScanHeader) -> Result<Scanned, String> {
    let frame = tables.frame.as_ref().ok_or("a scan before the frame header")?;
    let units = Units::new(frame, header, tables.restart_interval);
    let mut blocks: Vec<[&Huffman; 2]> = Vec::new();
    for component in &header.components {
        let sampling = frame.components.get(component.index).map_or([1, 1], |c| c.sampling);
        let count = if header.components.len() == 1 { 1 } else { sampling[0] * sampling[1] };
        blocks.extend(std::iter::repeat_n(tables.huffman_pair(component.tables)?, count));
    }
    let unit = |_: &mut (), bits: &mut Bits<'_>, _| {
        for [dc, ac] in &blocks {
            dc.skip_dc(bits)?;
            ac.skip_ac(bits)?;
        }
        Ok(())
    };
    units.each(&mut Bits::new(data, at), &mut (), unit, |()| (), |()| true)
}

/// Decodes a scan of any kind, which begins at byte `at`, into `out`.
///
/// # Errors
/// A message with the row.
pub(super) fn decode(
    data: &[u8],
    at: usize,
    tables: &Tables,
    header: &ScanHeader,
    out: &mut Coefficients,
) -> Result<Scanned, String> {
    let frame = tables.frame.as_ref().ok_or("a scan before the frame header")?;
    out.begin(frame, header, &tables.quantisation)?;
    let units = Units::new(frame, header, tables.restart_interval);
    let mut bits = Bits::new(data, at);
    if frame.progressive {
        return progressive::decode(&mut bits, &units, tables, header, out);
    }
    let mut parts = Vec::new();
    for component in &header.components {
        parts.push((component.index, tables.huffman_pair(component.tables)?));
    }
    let mut predictions = [0; 4];
    let unit = |predictions: &mut [i32; 4], bits: &mut Bits<'_>, place: [usize; 2]| {
        for (&(index, [dc, ac]), prediction) in parts.iter().zip(predictions) {
            out.each_block(index, parts.len() > 1, place, |block| {
                *prediction = prediction.wrapping_add(dc.difference(bits)?);
                let [first, rest @ ..] = block;
                *first = *prediction as i16;
                let mut rest = rest.iter_mut();
                while !rest.as_slice().is_empty() {
                    let symbol = ac.decode(bits)?;
                    let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
                    if size == 0 && run != 15 {
                        break;
                    }
                    *rest.nth(run).ok_or(BlockFault::Coefficients)? = bits.take_extended(size) as i16;
                }
                Ok(())
            })?;
        }
        Ok(())
    };
    units.each(&mut bits, &mut predictions, unit, |predictions| *predictions = [0; 4], |_| true)
}
