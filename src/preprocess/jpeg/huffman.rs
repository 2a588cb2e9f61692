//! Huffman tables (T.81, annex C and F.2.2.3), with a second table for skipping blocks without decoding.

use super::bits::Bits;
use super::fault::BlockFault;

/// Bits per look-up when a symbol is decoded.
const DECODE_BITS: u32 = 9;
/// Bits per look-up when a block is skipped. With 11, the tables of two components fit half a first-level cache of 32 kB.
const SKIP_BITS: u32 = 11;

/// A Huffman table as in a DHT segment.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Code {
    /// Number of codes of 1 to 16 bits.
    counts: [u8; 16],
    /// Their symbols, shortest code first.
    symbols: Vec<u8>,
}

/// A Huffman table prepared for decoding.
#[derive(Debug)]
pub(super) struct Huffman {
    code: Code,
    /// Indexed by the next [`DECODE_BITS`] bits: length of the code << 8 | symbol; 0 for longer codes.
    decode: [u16; 1 << DECODE_BITS],
    /// For each length: the first longer code, left-aligned in 16 bits.
    limit: [u32; 17],
    /// For each length: difference between the number of a symbol and its code.
    offset: [i32; 17],
    /// Indexed by the next [`SKIP_BITS`] bits; 0 for longer codes. See [`Skip`].
    skip: Box<[Skip; 1 << SKIP_BITS]>,
}

/// Two packed [`Step`]s: over as many symbols as the look-up bits determine (high half), and over the first one (low half). The
/// bits of the last value may extend beyond the look-up bits. Each half: bits << 8 | coefficients << 1 | end of block, which
/// counts as one coefficient.
#[derive(Clone, Copy, Debug, Default)]
struct Skip(u32);

/// A step over one or more symbols of AC coefficients.
#[derive(Clone, Copy)]
struct Step {
    /// Bits of codes and values.
    bits: u32,
    coefficients: u32,
    /// The last symbol is an end of block.
    ends: bool,
}

impl Step {
    fn of_symbol(length: u32, symbol: u8) -> Self {
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        let ends = size == 0 && run != 15;
        Step { bits: length + size, coefficients: if ends { 0 } else { run + 1 }, ends }
    }

    fn pack(self) -> u32 {
        let ends = u32::from(self.ends);
        self.bits << 8 | (self.coefficients + ends) << 1 | ends
    }
}

impl Code {
    /// Reads the next table of a DHT segment, behind its class and number. Returns the table and the remaining bytes.
    ///
    /// # Errors
    /// A message when it is malformed.
    pub fn read(body: &[u8]) -> Result<(Code, &[u8]), String> {
        let (counts, rest) = body.split_first_chunk::<16>().ok_or("a Huffman table is cut short")?;
        let sum: usize = counts.iter().map(|&n| usize::from(n)).sum();
        if sum > 256 {
            return Err(format!("a Huffman table of {sum} symbols"));
        }
        let (symbols, rest) = rest.split_at_checked(sum).ok_or("a Huffman table is cut short")?;
        Ok((Code { counts: *counts, symbols: symbols.to_vec() }, rest))
    }

    /// A standard table (T.81, annex K.3), which motion JPEG omits: DC or AC coefficients, luminance or chrominance.
    pub fn standard(ac: bool, chroma: bool) -> Code {
        use jpeg_tables::*;
        let (counts, symbols): (_, &[u8]) = match (ac, chroma) {
            (false, false) => (LUMA_DC_COUNTS, &DC_SYMBOLS),
            (false, true) => (CHROMA_DC_COUNTS, &DC_SYMBOLS),
            (true, false) => (LUMA_AC_COUNTS, &LUMA_AC_SYMBOLS),
            (true, true) => (CHROMA_AC_COUNTS, &CHROMA_AC_SYMBOLS),
        };
        Code { counts, symbols: symbols.to_vec() }
    }
}

impl Huffman {
    /// Prepares the table of `code`.
    ///
    /// # Errors
    /// A message when there are more codes of a length than possible. The code of all ones is reserved (T.81, annex C).
    pub fn new(code: Code) -> Result<Self, String> {
        let mut table = Huffman {
            decode: [0; 1 << DECODE_BITS],
            limit: [0; 17],
            offset: [0; 17],
            skip: Box::new([Skip(0); 1 << SKIP_BITS]),
            code,
        };
        let (mut next, mut number) = (0_u32, 0_usize);
        for length in 1..=16_u32 {
            let count = u32::from(table.code.counts.get(length as usize - 1).copied().unwrap_or(0));
            if let Some(offset) = table.offset.get_mut(length as usize) {
                *offset = number as i32 - next as i32;
            }
            for symbol in table.code.symbols.iter().skip(number).take(count as usize) {
                if length <= DECODE_BITS {
                    let first = (next << (DECODE_BITS - length)) as usize;
                    let entries = table.decode.iter_mut().skip(first).take(1 << (DECODE_BITS - length));
                    entries.for_each(|entry| *entry = (length as u16) << 8 | u16::from(*symbol));
                }
                next += 1;
            }
            number += count as usize;
            if count > 0 && next >= 1 << length {
                return Err("a Huffman table with too many codes".into());
            }
            if let Some(limit) = table.limit.get_mut(length as usize) {
                *limit = next << (16 - length);
            }
            next <<= 1;
        }
        table.fill_skip();
        Ok(table)
    }

    /// `true` for the table of `code`.
    pub fn is_of(&self, code: &Code) -> bool {
        self.code == *code
    }

    /// `true` when each symbol is a number of bits, as for DC coefficients.
    pub fn is_sizes(&self) -> bool {
        self.code.symbols.iter().all(|&s| s <= 15)
    }

    fn fill_skip(&mut self) {
        for index in 0..1_u32 << SKIP_BITS {
            let (mut bits, mut coefficients, mut first) = (0, 0, 0);
            let mut all = 0;
            while bits < SKIP_BITS {
                let Some((length, symbol)) = self.symbol((index << (16 - SKIP_BITS) << bits) & 0xFFFF) else { break };
                if length + bits > SKIP_BITS {
                    break;
                }
                let step = Step::of_symbol(length, symbol);
                bits += step.bits;
                coefficients += step.coefficients;
                if coefficients > 64 {
                    break;
                }
                all = Step { bits, coefficients, ..step }.pack();
                if first == 0 {
                    first = all;
                }
                if step.ends {
                    break;
                }
            }
            if let Some(entry) = self.skip.get_mut(index as usize) {
                *entry = Skip(all << 16 | first);
            }
        }
    }

    /// Length and symbol of the code at the top of 16 bits.
    fn symbol(&self, top: u32) -> Option<(u32, u8)> {
        let entry = self.decode.get((top >> (16 - DECODE_BITS)) as usize).copied().unwrap_or(0);
        if entry != 0 {
            return Some((u32::from(entry >> 8), entry as u8));
        }
        let length = (1..=16_usize).find(|&n| self.limit.get(n).is_some_and(|&limit| top < limit))?;
        let number = (top >> (16 - length)) as i32 + self.offset.get(length)?;
        Some((length as u32, *self.code.symbols.get(usize::try_from(number).ok()?)?))
    }

    /// Decodes a symbol; 16 bits remain available for its value.
    pub fn decode(&self, bits: &mut Bits<'_>) -> Result<u8, BlockFault> {
        bits.refill();
        let (length, symbol) = self.look_up(bits)?;
        bits.skip(length);
        if bits.overdrawn() { Err(BlockFault::Early) } else { Ok(symbol) }
    }

    /// Decodes a DC coefficient as the difference to its predecessor (T.81, F.2.2.1).
    pub fn difference(&self, bits: &mut Bits<'_>) -> Result<i32, BlockFault> {
        let size = u32::from(self.decode(bits)?);
        Ok(bits.take_extended(size))
    }

    /// Length and symbol of the next code, without consuming it.
    fn look_up(&self, bits: &Bits<'_>) -> Result<(u32, u8), BlockFault> {
        match self.symbol(bits.peek::<16>() as u32) {
            Some(found) => Ok(found),
            None if bits.fewer_than(16) => Err(BlockFault::Early),
            None => Err(BlockFault::Code),
        }
    }

    /// Skips a DC coefficient, whose symbol is the number of following bits.
    #[inline(always)]
    pub fn skip_dc(&self, bits: &mut Bits<'_>) -> Result<(), BlockFault> {
        bits.refill();
        let entry = self.decode[bits.peek::<DECODE_BITS>()];
        if entry == 0 {
            let size = self.decode(bits)?;
            bits.skip(u32::from(size));
        } else {
            bits.skip(u32::from(entry >> 8) + u32::from(entry & 0xFF));
        }
        Ok(())
    }

    /// Skips the AC coefficients of a block.
    #[inline(always)]
    pub fn skip_ac(&self, bits: &mut Bits<'_>) -> Result<(), BlockFault> {
        let mut left = 63;
        while left > 0 {
            bits.refill();
            let entry = self.skip[bits.peek::<SKIP_BITS>()].0;
            let mut step = entry >> 16;
            if step >> 1 & 0x7F > left {
                // The look-up bits reach into the next block.
                step = entry & 0xFFFF;
            }
            if step == 0 {
                step = self.long(bits)?;
            }
            let coefficients = step >> 1 & 0x7F;
            if coefficients > left {
                return Err(if bits.overdrawn() { BlockFault::Early } else { BlockFault::Coefficients });
            }
            bits.skip(step >> 8);
            if step & 1 != 0 {
                return Ok(());
            }
            left -= coefficients;
        }
        Ok(())
    }

    /// A step over a symbol with a code longer than [`SKIP_BITS`].
    #[cold]
    fn long(&self, bits: &mut Bits<'_>) -> Result<u32, BlockFault> {
        let (length, symbol) = self.look_up(bits)?;
        Ok(Step::of_symbol(length, symbol).pack())
    }
}

/// T.81, tables K.3 to K.6.
mod jpeg_tables {
    pub const LUMA_DC_COUNTS: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
    pub const CHROMA_DC_COUNTS: [u8; 16] = [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0];
    pub const DC_SYMBOLS: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
    pub const LUMA_AC_COUNTS: [u8; 16] = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125];
    pub const CHROMA_AC_COUNTS: [u8; 16] = [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119];
    #[rustfmt::skip]
    pub const LUMA_AC_SYMBOLS: [u8; 162] = [
        0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71, 0x14, 0x32,
        0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1, 0x15, 0x52, 0xD1, 0xF0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0A, 0x16,
        0x17, 0x18, 0x19, 0x1A, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45,
        0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
        0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94,
        0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6,
        0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8,
        0xD9, 0xDA, 0xE1, 0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8,
        0xF9, 0xFA,
    ];
    #[rustfmt::skip]
    pub const CHROMA_AC_SYMBOLS: [u8; 162] = [
        0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22, 0x32, 0x81,
        0x08, 0x14, 0x42, 0x91, 0xA1, 0xB1, 0xC1, 0x09, 0x23, 0x33, 0x52, 0xF0, 0x15, 0x62, 0x72, 0xD1, 0x0A, 0x16, 0x24, 0x34,
        0xE1, 0x25, 0xF1, 0x17, 0x18, 0x19, 0x1A, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x43, 0x44,
        0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
        0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92,
        0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4,
        0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6,
        0xD7, 0xD8, 0xD9, 0xDA, 0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8,
        0xF9, 0xFA,
    ];
}
