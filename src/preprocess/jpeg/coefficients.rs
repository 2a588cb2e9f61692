//! Coefficients of a picture whose components or bits come in several scans.

use super::fault::BlockFault;
use super::segments::{Component, FrameHeader, ScanHeader};

/// Coefficients of one block in zigzag order.
pub(super) type Block = [i16; 64];

/// Coefficients of all components.
#[derive(Debug)]
pub(super) struct Coefficients {
    /// In the order of the frame header.
    pub components: Vec<Plane>,
    progressive: bool,
}

/// Coefficients of one component.
#[derive(Debug)]
pub(super) struct Plane {
    /// Row by row, including the blocks that complete the last MCUs.
    pub blocks: Vec<Block>,
    /// Blocks in a row.
    pub stride: usize,
    /// Blocks of an MCU, across and down.
    sampling: [usize; 2],
    /// Quantisation steps, as defined when the component's first scan began.
    pub steps: Option<[u16; 64]>,
    /// For each coefficient in zigzag order: the lowest bit sent; `None` = nothing yet.
    sent: [Option<u8>; 64],
}

impl Coefficients {
    /// Zeros for all blocks of a frame.
    pub fn new(frame: &FrameHeader) -> Self {
        let plane = |c: &Component| Plane {
            blocks: vec![[0; 64]; c.padded[0] * c.padded[1]],
            stride: c.padded[0],
            sampling: c.sampling,
            steps: None,
            sent: [None; 64],
        };
        Coefficients { components: frame.components.iter().map(plane).collect(), progressive: frame.progressive }
    }

    /// Begins a scan and records the bits that it sends.
    ///
    /// # Errors
    /// A message: the scan does not continue where others ended (T.81, G.1.1.1), or a quantisation table is missing.
    pub fn begin(
        &mut self,
        frame: &FrameHeader,
        header: &ScanHeader,
        quantisation: &[Option<[u16; 64]>; 4],
    ) -> Result<(), String> {
        let ([first, last], [high, low]) =
            if self.progressive { (header.band, header.bits) } else { ([0, 63], [0, 0]) };
        if self.progressive {
            let dc_alone = first > 0 || last == 0;
            if last > 63 || first > last || !dc_alone || first > 0 && header.components.len() > 1 {
                return Err(format!("a progressive scan of coefficients {first} to {last}"));
            }
            if low > 13 || high > 0 && high != low + 1 {
                return Err(format!("a progressive scan from bit {high} to {low}"));
            }
        }
        for component in &header.components {
            let plane = self.components.get_mut(component.index).ok_or("a component that is not there")?;
            if plane.steps.is_none() {
                let number = frame.components.get(component.index).map_or(0, |c| c.table);
                let steps = quantisation.get(number).copied().flatten();
                plane.steps = Some(steps.ok_or_else(|| format!("quantisation table {number} is missing"))?);
            }
            let before = if high == 0 { None } else { Some(high) };
            let dc = plane.sent.first().copied().flatten();
            let band = plane.sent.get_mut(first..=last).unwrap_or_default();
            if band.iter().any(|sent| *sent != before) || first > 0 && dc.is_none() {
                return Err(format!("the scans of component {} do not follow each other", component.index + 1));
            }
            band.fill(Some(low));
        }
        Ok(())
    }

    /// Checks that each coefficient was sent down to its last bit.
    ///
    /// # Errors
    /// A message naming the missing part.
    pub fn check_complete(&self) -> Result<(), String> {
        for (index, plane) in self.components.iter().enumerate() {
            if let Some(at) = plane.sent.iter().position(|sent| *sent != Some(0)) {
                return Err(format!(
                    "the picture ends early: no scan with all of coefficient {at} of component {}",
                    index + 1
                ));
            }
        }
        Ok(())
    }

    /// Calls `decode` for the blocks of a component in the unit at `[column, row]`: one, or those of an MCU when the scan is
    /// `interleaved`.
    pub fn each_block(
        &mut self,
        component: usize,
        interleaved: bool,
        [x, y]: [usize; 2],
        mut decode: impl FnMut(&mut Block) -> Result<(), BlockFault>,
    ) -> Result<(), BlockFault> {
        let Some(plane) = self.components.get_mut(component) else { return Ok(()) };
        let [across, down] = if interleaved { plane.sampling } else { [1, 1] };
        for row in y * down..(y + 1) * down {
            for at in row * plane.stride + x * across..row * plane.stride + (x + 1) * across {
                if let Some(block) = plane.blocks.get_mut(at) {
                    decode(block)?;
                }
            }
        }
        Ok(())
    }
}
