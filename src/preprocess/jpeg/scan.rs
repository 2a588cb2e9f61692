//! The entropy-coded data of a scan (T.81, F.2 and G.2): gone over without decoding, to see that every block is there, or
//! decoded to coefficients.
//!
//! A decoder that paints what is missing grey (libjpeg warns of it, zune-jpeg 0.5 does not) makes a picture that no camera
//! saw. So each block is counted here, each restart marker has to be the next one, and what does not decode is an error.

use super::bits::Bits;
use super::coefficients::Coefficients;
use super::huffman::Huffman;
use super::progressive;
use super::segments::{FrameHeader, ScanHeader, Tables};

/// Most bytes that may lie between the last block and the next marker. Cameras leave a few there; a picture that
/// is out of step leaves more.
const MOST_STRAYS: usize = 1024;

/// Why a block is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A marker or the end of the file where its bits belong.
    Early,
    /// Bits that are no code of the table.
    Code,
    /// More than 64 coefficients.
    Coefficients,
    /// Another restart marker than the one whose turn it is.
    Restart {
        /// Its number, 0 to 7.
        found: u8,
        /// The number of the one that belongs there.
        wanted: u8,
    },
    /// So many bytes more than the blocks need.
    Strays(usize),
    /// A value that no encoder writes there.
    Value,
}

/// What a scan came to.
#[derive(Debug)]
pub(super) struct Scanned {
    /// Where the marker behind it begins.
    pub end: usize,
    /// Whether bytes that belong to nothing stand before a restart marker.
    pub strays: bool,
}

/// The blocks of a scan in the order of the file: units (MCUs), and the restart markers between them.
pub(super) struct Units<'a> {
    frame: &'a FrameHeader,
    interval: usize,
    /// Units across and down.
    size: [usize; 2],
    /// Height of a unit in pixels.
    rows: usize,
}

impl<'a> Units<'a> {
    /// The units of a scan: MCUs where it has several components, else the component's own blocks (T.81, A.2).
    pub fn new(frame: &'a FrameHeader, header: &ScanHeader, interval: usize) -> Self {
        let alone = match header.components.as_slice() {
            [only] => frame.components.get(only.index),
            _ => None,
        };
        match alone {
            Some(component) => {
                let rows = 8 * frame.most[1] / component.sampling[1];
                Units { frame, interval, size: component.blocks, rows }
            }
            None => Units { frame, interval, size: frame.mcus, rows: 8 * frame.most[1] },
        }
    }

    /// Calls `unit` for each, with its column and row, and `restart` before each but the first interval; checks what lies
    /// between intervals and behind the last one.
    ///
    /// # Errors
    /// In words, with the row of pixels that it came to.
    #[inline(always)]
    pub fn each<S>(
        &self,
        bits: &mut Bits<'_>,
        state: &mut S,
        mut unit: impl FnMut(&mut S, &mut Bits<'_>, [usize; 2]) -> Result<(), Fault>,
        mut restart: impl FnMut(&mut S),
        done: impl Fn(&S) -> bool,
    ) -> Result<Scanned, String> {
        let [across, down] = self.size;
        let (mut left, mut number, mut strays) = (self.interval, 0, false);
        for y in 0..down {
            for x in 0..across {
                if self.interval > 0 && left == 0 {
                    let between = self.restart(bits, number, done(state)).map_err(|fault| self.words(fault, y))?;
                    (left, number, strays) = (self.interval, (number + 1) % 8, strays || between > 0);
                    restart(state);
                }
                left = left.wrapping_sub(1);
                unit(state, bits, [x, y]).map_err(|fault| self.words(fault, y))?;
                if bits.overdrawn() {
                    return Err(self.words(Fault::Early, y));
                }
            }
        }
        behind(bits, done(state)).map_err(|fault| self.words(fault, down))?;
        Ok(Scanned { end: bits.position(), strays })
    }

    /// Goes over restart marker `number`; says how many bytes before it belong to nothing.
    fn restart(&self, bits: &mut Bits<'_>, wanted: u8, done: bool) -> Result<usize, Fault> {
        let strays = behind(bits, done)?;
        match bits.restart() {
            Some(found) if found == wanted => Ok(strays),
            Some(found) => Err(Fault::Restart { found, wanted }),
            None => Err(Fault::Early),
        }
    }

    fn words(&self, fault: Fault, row: usize) -> String {
        let (row, height) = ((row * self.rows).min(self.frame.height), self.frame.height);
        match fault {
            Fault::Early => format!("the picture ends early: row {row} of {height}"),
            Fault::Code => format!("damaged at row {row} of {height}: bits that are no code"),
            Fault::Coefficients => format!("damaged at row {row} of {height}: a block of more than 64 coefficients"),
            Fault::Restart { found, wanted } => {
                format!("damaged at row {row} of {height}: restart marker {found} where {wanted} belongs")
            }
            Fault::Strays(bytes) => {
                format!("damaged before row {row} of {height}: {bytes} bytes more than its blocks need")
            }
            Fault::Value => format!("damaged at row {row} of {height}: a value that cannot be there"),
        }
    }
}

/// Goes to the marker behind an interval; says how many bytes before it belong to nothing.
fn behind(bits: &mut Bits<'_>, done: bool) -> Result<usize, Fault> {
    let rest = bits.finish();
    // Of data that is out of step, the last byte is seldom filled up with equal bits.
    if !done {
        return Err(Fault::Value);
    }
    if rest.bytes > 0 && !rest.zeros && (rest.bytes > MOST_STRAYS || !rest.padded) {
        return Err(Fault::Strays(rest.bytes));
    }
    Ok(rest.bytes)
}

/// Goes over the blocks of a sequential scan, which begins at byte `at`.
///
/// # Errors
/// In words, with the row.
pub(super) fn check(data: &[u8], at: usize, tables: &Tables, header: &ScanHeader) -> Result<Scanned, String> {
    let frame = tables.frame.as_ref().ok_or("a scan before the frame header")?;
    let units = Units::new(frame, header, tables.restart_interval);
    let mut blocks: Vec<[&Huffman; 2]> = Vec::new();
    for component in &header.components {
        let sampling = frame.components.get(component.index).map_or([1, 1], |c| c.sampling);
        let count = if header.components.len() == 1 { 1 } else { sampling[0] * sampling[1] };
        blocks.extend(std::iter::repeat_n(huffman(tables, component.tables)?, count));
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

/// The tables of DC and AC coefficients with these numbers.
pub(super) fn huffman(tables: &Tables, numbers: [usize; 2]) -> Result<[&Huffman; 2], String> {
    let table = |class: usize| {
        let number = numbers.get(class).copied().unwrap_or(0);
        tables.huffman_table(class, number).ok_or_else(|| format!("Huffman table {number} is missing"))
    };
    Ok([table(0)?, table(1)?])
}

/// Decodes a scan of any kind, which begins at byte `at`, into `out`.
///
/// # Errors
/// In words, with the row.
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
        parts.push((component.index, huffman(tables, component.tables)?));
    }
    let mut predictions = [0; 4];
    let unit = |predictions: &mut [i32; 4], bits: &mut Bits<'_>, place: [usize; 2]| {
        for (&(index, [dc, ac]), prediction) in parts.iter().zip(predictions) {
            out.each_block(index, parts.len() > 1, place, |block| {
                *prediction = prediction.wrapping_add(difference(dc, bits)?);
                let [first, rest @ ..] = block;
                *first = *prediction as i16;
                let mut rest = rest.iter_mut();
                while !rest.as_slice().is_empty() {
                    let symbol = ac.decode(bits)?;
                    let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
                    if size == 0 && run != 15 {
                        break;
                    }
                    *rest.nth(run).ok_or(Fault::Coefficients)? = extend(bits.take(size), size) as i16;
                }
                Ok(())
            })?;
        }
        Ok(())
    };
    units.each(&mut bits, &mut predictions, unit, |predictions| *predictions = [0; 4], |_| true)
}

/// The difference of a DC coefficient to the one before.
pub(super) fn difference(table: &Huffman, bits: &mut Bits<'_>) -> Result<i32, Fault> {
    let size = u32::from(table.decode(bits)?);
    Ok(extend(bits.take(size), size))
}

/// The value of `size` bits (T.81, F.2.2.1, EXTEND).
pub(super) fn extend(bits: u32, size: u32) -> i32 {
    let value = bits as i32;
    if size > 0 && bits >> (size - 1) == 0 { value - (1 << size) + 1 } else { value }
}
