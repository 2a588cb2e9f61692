//! EXIF orientation (CIPA DC-008, Exif 2.32, tag 0x0112 of the first directory).

/// Bytes of a directory entry: tag, type, count, value.
const ENTRY: usize = 12;
const ORIENTATION: u16 = 0x0112;
const SHORT: u16 = 3;

/// The orientation, 1 to 8, of a TIFF structure; `None` when it is absent or damaged.
pub(super) fn orientation(tiff: &[u8]) -> Option<u8> {
    let big = match tiff.first_chunk::<4>()? {
        b"II*\0" => false,
        b"MM\0*" => true,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let bytes = *tiff.get(at..)?.first_chunk()?;
        Some(if big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    };
    let offset = *tiff.get(4..)?.first_chunk()?;
    let directory = if big { u32::from_be_bytes(offset) } else { u32::from_le_bytes(offset) } as usize;
    let count = usize::from(u16_at(directory)?);
    let entries = directory.checked_add(2)?;
    let entry = (0..count).map(|i| entries + i * ENTRY).find(|&at| u16_at(at) == Some(ORIENTATION))?;
    if (u16_at(entry + 2)?, u16_at(entry + 4)?.max(u16_at(entry + 6)?)) != (SHORT, 1) {
        return None;
    }
    u8::try_from(u16_at(entry + 8)?).ok().filter(|value| (1..=8).contains(value))
}

#[cfg(test)]
mod tests {
    use super::orientation;

    /// A TIFF structure whose first directory has another entry and then the orientation.
    fn tiff(big: bool, value: u16, kind: u16) -> Vec<u8> {
        let short = |v: u16| if big { v.to_be_bytes() } else { v.to_le_bytes() };
        let long = |v: u32| if big { v.to_be_bytes() } else { v.to_le_bytes() };
        let mut out = if big { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
        out.extend(long(8));
        out.extend(short(2));
        out.extend([short(0x010f), short(2)].concat());
        out.extend([long(4), *b"cam\0"].concat());
        out.extend([short(0x0112), short(kind)].concat());
        out.extend(long(1));
        out.extend([short(value), short(0)].concat());
        out
    }

    #[test]
    fn both_byte_orders_are_read() {
        for value in 1..=8 {
            for big in [false, true] {
                assert_eq!(orientation(&tiff(big, value, 3)), Some(value as u8), "{value}, {big}");
            }
        }
    }

    #[test]
    fn damage_is_no_orientation() {
        let whole = tiff(false, 6, 3);
        // The value's upper half may be missing.
        for length in 0..whole.len() - 2 {
            assert_eq!(orientation(&whole[..length]), None, "{length} bytes");
        }
        for bad in [tiff(true, 0, 3), tiff(true, 9, 3), tiff(true, 0x0600, 3), tiff(true, 6, 4)] {
            assert_eq!(orientation(&bad), None);
        }
        let mut far = whole;
        far[4..8].fill(0xff);
        assert_eq!(orientation(&far), None);
    }
}
