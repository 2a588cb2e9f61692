//! The units of a scan (MCUs) in the order of the file, with the restart markers between them.

use super::bits::Bits;
use super::fault::BlockFault;
use super::segments::{FrameHeader, ScanHeader};

/// Most stray bytes between the last block and the next marker. Cameras leave a few; a misaligned picture leaves more.
const MOST_STRAYS: usize = 1024;

/// Result of reading a scan.
#[derive(Debug)]
pub(super) struct Scanned {
    /// Position of the next marker.
    pub end: usize,
    /// Stray bytes precede a restart marker.
    pub strays: bool,
}

/// The units (MCUs) of a scan in the order of the file, with the restart markers between them.
pub(super) struct Units<'a> {
    frame: &'a FrameHeader,
    interval: usize,
    /// Units across and down.
    size: [usize; 2],
    /// Height of a unit in pixels.
    rows: usize,
}

impl<'a> Units<'a> {
    /// The units of a scan: MCUs for several components, else the component's own blocks (T.81, A.2).
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

    /// Calls `unit` for each unit with its column and row, and `restart` before each interval except the first. Checks the data
    /// between intervals and behind the last one.
    ///
    /// # Errors
    /// A message with the row of pixels.
    #[inline(always)]
    pub fn each<S>(
        &self,
        bits: &mut Bits<'_>,
        state: &mut S,
        mut unit: impl FnMut(&mut S, &mut Bits<'_>, [usize; 2]) -> Result<(), BlockFault>,
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
                    return Err(self.words(BlockFault::Early, y));
                }
            }
        }
        behind(bits, done(state)).map_err(|fault| self.words(fault, down))?;
        Ok(Scanned { end: bits.position(), strays })
    }

    /// Skips restart marker `wanted`. Returns the number of stray bytes before it.
    fn restart(&self, bits: &mut Bits<'_>, wanted: u8, done: bool) -> Result<usize, BlockFault> {
        let strays = behind(bits, done)?;
        match bits.restart() {
            Some(found) if found == wanted => Ok(strays),
            Some(found) => Err(BlockFault::Restart { found, wanted }),
            None => Err(BlockFault::Early),
        }
    }

    fn words(&self, fault: BlockFault, row: usize) -> String {
        let (row, height) = ((row * self.rows).min(self.frame.height), self.frame.height);
        match fault {
            BlockFault::Early => format!("the picture ends early: row {row} of {height}"),
            BlockFault::Code => format!("damaged at row {row} of {height}: bits that are no code"),
            BlockFault::Coefficients => {
                format!("damaged at row {row} of {height}: a block of more than 64 coefficients")
            }
            BlockFault::Restart { found, wanted } => {
                format!("damaged at row {row} of {height}: restart marker {found} where {wanted} belongs")
            }
            BlockFault::Strays(bytes) => {
                format!("damaged before row {row} of {height}: {bytes} bytes more than its blocks need")
            }
            BlockFault::Value => format!("damaged at row {row} of {height}: a value that cannot be there"),
        }
    }
}

/// Moves to the marker behind an interval. Returns the number of stray bytes before it.
fn behind(bits: &mut Bits<'_>, done: bool) -> Result<usize, BlockFault> {
    let rest = bits.finish();
    // In misaligned data, the last byte is rarely padded with equal bits.
    if !done {
        return Err(BlockFault::Value);
    }
    if rest.bytes > 0 && !rest.zeros && (rest.bytes > MOST_STRAYS || !rest.padded) {
        return Err(BlockFault::Strays(rest.bytes));
    }
    Ok(rest.bytes)
}
