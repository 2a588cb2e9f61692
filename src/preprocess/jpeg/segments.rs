//! The segments of a file and their definitions (T.81, annex B): tables, frame header, scan headers.
//!
//! Stray bytes between segments are skipped up to the next marker, as in libjpeg.

use super::huffman::{Code, Huffman};
use crate::preprocess::exif;

/// One marker with its segment.
#[derive(Debug)]
pub(super) struct Segment<'a> {
    /// The second byte of the marker.
    pub code: u8,
    /// The bytes behind the length; empty for a marker without one.
    pub body: &'a [u8],
    /// Position of the marker's code (behind its last byte of ones).
    pub at: usize,
}

/// Iterates over the markers.
#[derive(Debug)]
pub(super) struct Segments<'a> {
    data: &'a [u8],
    /// Position of the search for the next marker.
    pub at: usize,
    /// Stray bytes so far.
    pub strays: usize,
}

impl<'a> Segments<'a> {
    /// The segments of a file.
    ///
    /// # Errors
    /// A message when it is no JPEG.
    pub fn new(data: &'a [u8]) -> Result<Self, String> {
        if !data.starts_with(&[0xFF, 0xD8]) {
            return Err("it does not begin with a JPEG start-of-image marker".into());
        }
        Ok(Segments { data, at: 2, strays: 0 })
    }

    /// The next segment. Skips standalone markers other than the end of the image.
    ///
    /// # Errors
    /// A message: no further marker, an incomplete segment, an invalid marker.
    pub fn next(&mut self) -> Result<Segment<'a>, String> {
        loop {
            let code = self.marker().ok_or_else(|| {
                format!("the picture ends early: no end-of-image marker in {} bytes", self.data.len())
            })?;
            let at = self.at - 1;
            match code {
                0x01 | 0xD0..=0xD7 => continue,
                0xD8 => return Err("another picture starts inside it".into()),
                0xD9 => return Ok(Segment { code, body: &[], at }),
                0x02..=0xBF | 0xC8 | 0xDE | 0xDF | 0xF0..=0xFD => {
                    return Err(format!("marker FF{code:02X} at byte {at} does not exist in a picture"));
                }
                _ => {}
            }
            let body = self.body().ok_or_else(|| {
                format!("the picture ends early or is damaged: segment FF{code:02X} at byte {at} does not fit")
            })?;
            self.at += 2 + body.len();
            return Ok(Segment { code, body, at });
        }
    }

    fn marker(&mut self) -> Option<u8> {
        loop {
            let rest = self.data.get(self.at..)?;
            let strays = rest.iter().position(|&b| b == 0xFF)?;
            let fill = rest.get(strays..)?.iter().take_while(|&&b| b == 0xFF).count();
            let code = *rest.get(strays + fill)?;
            self.at += strays + fill + 1;
            self.strays += strays;
            if code != 0 {
                return Some(code);
            }
            self.strays += 2;
        }
    }

    fn body(&self) -> Option<&'a [u8]> {
        let rest = self.data.get(self.at..)?;
        let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
        rest.get(2..length)
    }
}

/// One component of the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Component {
    /// Identifier in scan headers.
    pub id: u8,
    /// Horizontal and vertical sampling, 1 to 4 each.
    pub sampling: [usize; 2],
    /// Number of its quantisation table.
    pub table: usize,
    /// Blocks that hold samples of the picture, across and down.
    pub blocks: [usize; 2],
    /// Blocks including those that complete the last MCUs.
    pub padded: [usize; 2],
}

/// The frame header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Progressive, else sequential.
    pub progressive: bool,
    /// One to four.
    pub components: Vec<Component>,
    /// The largest sampling of all components.
    pub most: [usize; 2],
    /// MCUs of an interleaved scan, across and down.
    pub mcus: [usize; 2],
    /// Grey, 4:4:4, 4:2:2, 4:4:0, 4:2:0 or 4:1:1, supported by zune-jpeg 0.5, which leaves parts of others black.
    pub plain_sampling: bool,
}

impl FrameHeader {
    fn read(code: u8, body: &[u8]) -> Result<Self, String> {
        let &[precision, h1, h0, w1, w0, count, ref rest @ ..] = body else {
            return Err("the frame header is cut short".into());
        };
        let size = |high, low| usize::from(u16::from_be_bytes([high, low]));
        let (width, height) = (size(w1, w0), size(h1, h0));
        if precision != 8 {
            return Err(format!("{precision} bits a sample; only 8 are supported"));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(format!("{count} components; 1, 3 or 4 are supported"));
        }
        if height == 0 && width > 0 {
            return Err("the height is left to a DNL segment, which is not supported".into());
        }
        if rest.len() != usize::from(count) * 3 {
            return Err("the frame header has another length than its components need".into());
        }
        let mut components: Vec<Component> = Vec::with_capacity(usize::from(count));
        let mut most = [1, 1];
        for part in rest.chunks_exact(3) {
            let &[id, sampling, table] = part else { continue };
            let sampling = [usize::from(sampling >> 4), usize::from(sampling & 15)];
            if sampling.iter().any(|s| !(1..=4).contains(s)) {
                return Err(format!("sampling of {}x{}; 1 to 4 is possible", sampling[0], sampling[1]));
            }
            if components.iter().any(|c| c.id == id) {
                return Err(format!("two components of number {id}"));
            }
            most = [most[0].max(sampling[0]), most[1].max(sampling[1])];
            components.push(Component { id, sampling, table: table.into(), blocks: [0; 2], padded: [0; 2] });
        }
        let plain_sampling = match components.as_slice() {
            [only] => only.sampling == [1, 1],
            [luma, chroma @ ..] => {
                matches!(luma.sampling, [1 | 2, 1 | 2] | [4, 1]) && chroma.iter().all(|c| c.sampling == [1, 1])
            }
            [] => false,
        };
        if let [only] = components.as_mut_slice() {
            // With one component the sampling has no meaning (T.81, A.2.2).
            (only.sampling, most) = ([1, 1], [1, 1]);
        }
        let mcus = [width.div_ceil(8 * most[0]), height.div_ceil(8 * most[1])];
        for component in &mut components {
            for axis in 0..2 {
                let size = [width, height][axis];
                if most[axis] % component.sampling[axis] != 0 {
                    return Err(format!(
                        "sampling of {} beside {} is not supported",
                        component.sampling[axis], most[axis]
                    ));
                }
                component.blocks[axis] = (size * component.sampling[axis]).div_ceil(8 * most[axis]);
                component.padded[axis] = mcus[axis] * component.sampling[axis];
            }
        }
        Ok(FrameHeader { width, height, progressive: code == 0xC2, components, most, mcus, plain_sampling })
    }
}

/// One component of a scan.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScanComponent {
    /// Index in the frame header.
    pub index: usize,
    /// Its tables of DC and AC coefficients.
    pub tables: [usize; 2],
}

/// A scan header.
#[derive(Clone, Debug)]
pub(super) struct ScanHeader {
    /// One to four.
    pub components: Vec<ScanComponent>,
    /// First and last coefficient, in zigzag order; of progressive pictures only.
    pub band: [usize; 2],
    /// Successive approximation: lowest bit of earlier scans (0 = none), lowest bit of this one; of progressive pictures only.
    pub bits: [u8; 2],
}

impl ScanHeader {
    fn read(body: &[u8], frame: &FrameHeader) -> Result<Self, String> {
        let bad = || String::from("a scan header with another length than its components need");
        let (&count, rest) = body.split_first().ok_or_else(bad)?;
        let (parts, rest) = rest.split_at_checked(usize::from(count) * 2).ok_or_else(bad)?;
        let &[first, last, bits] = rest else { return Err(bad()) };
        let mut components: Vec<ScanComponent> = Vec::new();
        for part in parts.chunks_exact(2) {
            let &[id, tables] = part else { continue };
            let index = frame.components.iter().position(|c| c.id == id);
            let index = index.ok_or_else(|| format!("a scan of component {id}, which the frame does not have"))?;
            if components.last().is_some_and(|c| c.index >= index) {
                return Err("a scan with its components out of order".into());
            }
            components.push(ScanComponent { index, tables: [usize::from(tables >> 4), usize::from(tables & 15)] });
        }
        if components.is_empty() {
            return Err("a scan without components".into());
        }
        let blocks = |c: &ScanComponent| frame.components.get(c.index).map_or(0, |c| c.sampling[0] * c.sampling[1]);
        if components.len() > 1 && components.iter().map(blocks).sum::<usize>() > 10 {
            return Err("a scan of more than 10 blocks a unit".into());
        }
        Ok(ScanHeader { components, band: [first.into(), last.into()], bits: [bits >> 4, bits & 15] })
    }
}

/// Colour model of the components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    /// Luminance alone.
    Grey,
    /// Y'CbCr.
    YCbCr,
    /// Red, green, blue.
    Rgb,
    /// Cyan, magenta, yellow, black, inverted as Adobe writes them: 255 is no ink.
    Cmyk,
    /// Y'CbCr of inverted CMY, and black.
    Ycck,
}

/// Definitions of the segments so far. Huffman tables are kept from picture to picture, since a camera's are the same in each.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// By class (DC, AC) and number, with a flag for those that this picture has defined.
    huffman: [[Option<(Huffman, bool)>; 4]; 2],
    /// Steps of the coefficients in zigzag order.
    pub quantisation: [Option<[u16; 64]>; 4],
    /// MCUs between two restart markers; 0 = no restart markers.
    pub restart_interval: usize,
    /// The frame header.
    pub frame: Option<FrameHeader>,
    /// The file has a Huffman table.
    pub has_huffman: bool,
    /// EXIF orientation, 1 to 8.
    pub orientation: Option<u8>,
    jfif: bool,
    adobe: Option<u8>,
}

impl Tables {
    /// Resets everything except the Huffman tables, which scans cannot use before they are defined again.
    pub fn begin(&mut self) {
        let mut huffman = std::mem::take(&mut self.huffman);
        huffman.iter_mut().flatten().flatten().for_each(|(_, defined)| *defined = false);
        *self = Tables { huffman, ..Tables::default() };
    }

    /// Processes a segment that is neither a scan nor the end.
    ///
    /// # Errors
    /// A message when it is damaged or unsupported.
    pub fn take(&mut self, segment: &Segment<'_>) -> Result<(), String> {
        let Segment { code, body, .. } = *segment;
        match code {
            0xC0..=0xC2 if self.frame.is_some() => return Err("two frame headers".into()),
            0xC0..=0xC2 => self.frame = Some(FrameHeader::read(code, body)?),
            0xC4 => self.define_huffman(body)?,
            0xC3 | 0xC5..=0xC7 => {
                return Err(format!("coding process SOF{} (lossless or hierarchical) is not supported", code - 0xC0));
            }
            0xC9..=0xCB | 0xCD..=0xCF => {
                return Err(format!("coding process SOF{} (arithmetic coding) is not supported", code - 0xC0));
            }
            0xDB => self.quantisation(body)?,
            0xDC => {
                let lines = body.first_chunk().map(|b| usize::from(u16::from_be_bytes(*b)));
                if lines != self.frame.as_ref().map(|frame| frame.height) {
                    return Err("a DNL segment gives another height than the frame header".into());
                }
            }
            0xDD => {
                let &[high, low] = body else { return Err("a restart interval of another length than 2 bytes".into()) };
                self.restart_interval = usize::from(u16::from_be_bytes([high, low]));
            }
            0xE0 => self.jfif |= body.starts_with(b"JFIF\0"),
            0xE1 if self.orientation.is_none() => {
                self.orientation = body.strip_prefix(b"Exif\0").and_then(|b| exif::orientation(b.get(1..)?));
            }
            0xEE if body.starts_with(b"Adobe") => self.adobe = body.get(11).copied().or(self.adobe),
            _ => {}
        }
        Ok(())
    }

    /// Reads a scan's header and ensures that its Huffman tables are defined.
    ///
    /// # Errors
    /// A message when it does not fit the frame, or a table is missing.
    pub fn scan(&mut self, body: &[u8]) -> Result<ScanHeader, String> {
        let frame = self.frame.as_ref().ok_or("a scan before the frame header")?;
        let header = ScanHeader::read(body, frame)?;
        let progressive = frame.progressive;
        for component in &header.components {
            for class in 0..2 {
                let used = match (progressive, class) {
                    (false, _) => true,
                    // Used by the first scan of DC coefficients, and by every scan of AC coefficients.
                    (true, 0) => header.band[0] == 0 && header.bits[0] == 0,
                    (true, _) => header.band[0] > 0,
                };
                let number = component.tables[class];
                if !used || self.defined_huffman(class, number).is_some() {
                    continue;
                }
                if progressive || number > 1 {
                    return Err(format!("{} Huffman table {number} is missing", ["DC", "AC"][class]));
                }
                self.define(class, number, Code::standard(class == 1, number == 1))?;
            }
        }
        Ok(header)
    }

    /// The Huffman table `number` of this picture, of DC (class 0) or AC (class 1) coefficients.
    ///
    /// # Errors
    /// A message for people when the picture has not defined it.
    pub fn huffman(&self, class: usize, number: usize) -> Result<&Huffman, String> {
        self.defined_huffman(class, number).ok_or_else(|| format!("Huffman table {number} is missing"))
    }

    /// The tables of DC and AC coefficients with these numbers.
    ///
    /// # Errors
    /// As [`Tables::huffman`].
    pub fn huffman_pair(&self, [dc, ac]: [usize; 2]) -> Result<[&Huffman; 2], String> {
        Ok([self.huffman(0, dc)?, self.huffman(1, ac)?])
    }

    fn defined_huffman(&self, class: usize, number: usize) -> Option<&Huffman> {
        self.huffman.get(class)?.get(number)?.as_ref().filter(|(_, defined)| *defined).map(|(table, _)| table)
    }

    /// Colour model by libjpeg's rules: JFIF is Y'CbCr, then Adobe's transform flag counts, then the identifiers.
    pub fn colours(&self) -> Colours {
        let ids: Vec<u8> = self.frame.iter().flat_map(|f| &f.components).map(|c| c.id).collect();
        match (ids.as_slice(), self.adobe) {
            ([_], _) => Colours::Grey,
            ([_, _, _, _], Some(2)) => Colours::Ycck,
            ([_, _, _, _], _) => Colours::Cmyk,
            (_, _) if self.jfif => Colours::YCbCr,
            (_, Some(0)) => Colours::Rgb,
            (b"RGB", None) => Colours::Rgb,
            _ => Colours::YCbCr,
        }
    }

    /// `true` when every decoder agrees on the colour model.
    pub fn plain_colours(&self) -> bool {
        let ids = self.frame.iter().flat_map(|f| &f.components).map(|c| c.id);
        matches!(self.adobe, None | Some(1)) && !ids.eq(b"RGB".iter().copied())
    }

    fn define_huffman(&mut self, mut body: &[u8]) -> Result<(), String> {
        self.has_huffman = true;
        while let Some((&head, rest)) = body.split_first() {
            let (code, rest) = Code::read(rest)?;
            self.define(usize::from(head >> 4), usize::from(head & 15), code)?;
            body = rest;
        }
        Ok(())
    }

    fn define(&mut self, class: usize, number: usize, code: Code) -> Result<(), String> {
        let slot = self.huffman.get_mut(class).and_then(|tables| tables.get_mut(number));
        let slot = slot.ok_or_else(|| format!("invalid Huffman table {number} of class {class}"))?;
        match slot {
            Some((table, defined)) if table.is_of(&code) => *defined = true,
            _ => {
                let table = Huffman::new(code)?;
                if class == 0 && !table.is_sizes() {
                    return Err("a DC Huffman table with sizes of more than 15 bits".into());
                }
                *slot = Some((table, true));
            }
        }
        Ok(())
    }

    fn quantisation(&mut self, mut body: &[u8]) -> Result<(), String> {
        let short = || String::from("a quantisation table is cut short");
        while let Some((&head, rest)) = body.split_first() {
            let table = self.quantisation.get_mut(usize::from(head & 15));
            let table = table.ok_or_else(|| format!("invalid number of a quantisation table: {}", head & 15))?;
            let mut steps = [0; 64];
            match head >> 4 {
                0 => {
                    let (bytes, rest) = rest.split_at_checked(64).ok_or_else(short)?;
                    steps.iter_mut().zip(bytes).for_each(|(step, &byte)| *step = byte.into());
                    body = rest;
                }
                1 => {
                    let (bytes, rest) = rest.split_at_checked(128).ok_or_else(short)?;
                    let pairs = bytes.as_chunks::<2>().0;
                    steps.iter_mut().zip(pairs).for_each(|(step, &pair)| *step = u16::from_be_bytes(pair));
                    body = rest;
                }
                precision => return Err(format!("quantisation steps of precision {precision}")),
            }
            *table = Some(steps);
        }
        Ok(())
    }
}
