//! Reader of entropy-coded bits: removes stuffed zeros and stops at markers (T.81, F.2.2.5).

/// Reads bits, most significant first, up to the next marker.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// The next byte that is not in `buffer`.
    at: usize,
    /// The next bit on top; zeros below the last of `count`.
    buffer: u64,
    /// Bits in `buffer`; negative when more were taken than available.
    count: i32,
    /// At a marker or at the end of the data.
    ended: bool,
}

/// The data between the last bit read and the next marker.
pub(super) struct Rest {
    /// Bytes up to the marker.
    pub bytes: usize,
    /// All bytes are zero.
    pub zeros: bool,
    /// The last partial byte is padded with equal bits, as every encoder does (T.81, F.1.2.3: with ones).
    pub padded: bool,
}

impl<'a> Bits<'a> {
    /// Bits of `data` from byte `at` on.
    pub fn new(data: &'a [u8], at: usize) -> Self {
        Bits { data, at, buffer: 0, count: 0, ended: false }
    }

    /// Makes 32 bits available, fewer only at the end.
    #[inline(always)]
    pub fn refill(&mut self) {
        if self.count < 32 {
            self.fill();
        }
    }

    #[inline(always)]
    fn fill(&mut self) {
        if !self.ended
            && let Some(&bytes) = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<4>())
        {
            let word = u32::from_be_bytes(bytes);
            // No byte of ones: none of its complement is zero (Warren, Hacker's Delight, 6-1).
            let inverted = !word;
            if inverted.wrapping_sub(0x0101_0101) & word & 0x8080_8080 == 0 {
                self.buffer |= u64::from(word) << (32 - self.count);
                self.count += 32;
                self.at += 4;
                return;
            }
        }
        self.fill_bytewise();
    }

    #[cold]
    fn fill_bytewise(&mut self) {
        while !self.ended && self.count <= 48 {
            let Some(&byte) = self.data.get(self.at) else {
                self.ended = true;
                return;
            };
            if byte == 0xFF {
                // Any number of fill bytes may precede a marker or a stuffed zero, as in libjpeg.
                let rest = self.data.get(self.at..).unwrap_or_default();
                let fill = rest.iter().take_while(|&&b| b == 0xFF).count();
                if rest.get(fill) != Some(&0) {
                    self.ended = true;
                    return;
                }
                self.at += fill + 1;
            } else {
                self.at += 1;
            }
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// The next `N` bits, 1 to 16; zeros beyond the end.
    #[inline(always)]
    pub fn peek<const N: u32>(&self) -> usize {
        (self.buffer >> (64 - N)) as usize
    }

    /// Skips `n` bits, 0 to 32.
    #[inline(always)]
    pub fn skip(&mut self, n: u32) {
        self.buffer <<= n;
        self.count -= n as i32;
    }

    /// Takes `n` bits, 0 to 16, made available by [`Bits::refill`].
    pub fn take(&mut self, n: u32) -> u32 {
        let value = if n == 0 { 0 } else { (self.buffer >> (64 - n)) as u32 };
        self.skip(n);
        value
    }

    /// Takes `size` bits, 0 to 16, as a signed value (T.81, F.2.2.1, EXTEND).
    pub fn take_extended(&mut self, size: u32) -> i32 {
        let bits = self.take(size);
        let value = bits as i32;
        if size > 0 && bits >> (size - 1) == 0 { value - (1 << size) + 1 } else { value }
    }

    /// `true` when more bits were taken than available.
    #[inline(always)]
    pub fn overdrawn(&self) -> bool {
        self.count < 0
    }

    /// `true` when fewer than `n` bits are left in total.
    pub fn fewer_than(&self, n: i32) -> bool {
        self.ended && self.count < n
    }

    /// Moves to the next marker. Returns the data before it.
    pub fn finish(&mut self) -> Rest {
        let count = self.count.max(0) as u32;
        let (partial, whole) = (count % 8, count / 8);
        let pad = if partial == 0 { 0 } else { self.buffer >> (64 - partial) };
        let padded = pad == 0 || pad == (1 << partial) - 1;
        let mut zeros = self.buffer.checked_shl(partial).unwrap_or(0) == 0;
        let rest = self.data.get(self.at..).unwrap_or_default();
        let bytes = until_marker(rest);
        zeros &= rest.iter().take(bytes).all(|&b| b == 0);
        (self.buffer, self.count, self.ended) = (0, 0, true);
        self.at += bytes;
        Rest { bytes: whole as usize + bytes, zeros, padded }
    }

    /// Skips a restart marker after [`Bits::finish`] and returns its number; stays at any other marker.
    pub fn restart(&mut self) -> Option<u8> {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let fill = rest.iter().take_while(|&&b| b == 0xFF).count();
        let number = rest.get(fill).copied().filter(|code| (0xD0..=0xD7).contains(code))? - 0xD0;
        self.at += fill + 1;
        self.ended = false;
        Some(number)
    }

    /// Position of the marker after [`Bits::finish`].
    pub fn position(&self) -> usize {
        self.at
    }
}

/// Number of bytes before the next marker, or before the fill bytes that precede it.
fn until_marker(data: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let Some(next) = data.get(at..).and_then(|rest| rest.iter().position(|&b| b == 0xFF)) else {
            return data.len();
        };
        at += next;
        let fill = data.get(at..).unwrap_or_default().iter().take_while(|&&b| b == 0xFF).count();
        match data.get(at + fill) {
            Some(0) => at += fill + 1,
            Some(_) => return at,
            None => return data.len(),
        }
    }
}
