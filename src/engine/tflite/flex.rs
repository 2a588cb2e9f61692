//! Options of custom operators: FlexBuffers, of which a map of numbers and flags at the top is read.
//!
//! Format: <https://flatbuffers.dev/flexbuffers/>. Offsets count backwards, and each value's width stands beside its type.

/// Types of values that are numbers, by their place in the format: stored in the map itself.
const INT: u8 = 1;
const UINT: u8 = 2;
const FLOAT: u8 = 3;
const BOOL: u8 = 26;
const MAP: u8 = 9;
/// Most entries of a map.
const MAX_ENTRIES: usize = 1024;

/// A map of numbers.
#[derive(Debug)]
pub struct Map(Vec<(String, f64)>);

impl Map {
    /// Reads a map; `None` if the bytes hold none. Entries that are no numbers are left out.
    pub fn read(bytes: &[u8]) -> Option<Map> {
        let [.., packed, width] = bytes else { return None };
        let (kind, child) = (packed >> 2, 1usize << (packed & 3));
        let root = bytes.len().checked_sub(2 + usize::from(*width))?;
        if kind != MAP {
            return None;
        }
        let values = root.checked_sub(unsigned(bytes, root, usize::from(*width))?)?;
        let count = unsigned(bytes, values.checked_sub(child)?, child)?;
        let keys_at = values.checked_sub(3 * child)?;
        let keys = keys_at.checked_sub(unsigned(bytes, keys_at, child)?)?;
        let key_width = unsigned(bytes, values.checked_sub(2 * child)?, child)?;
        if count > MAX_ENTRIES || !matches!(key_width, 1 | 2 | 4 | 8) {
            return None;
        }
        let types = values.checked_add(count * child)?;
        let mut entries = Vec::new();
        for index in 0..count {
            let at = keys.checked_add(index * key_width)?;
            let key = bytes.get(at.checked_sub(unsigned(bytes, at, key_width)?)?..)?;
            let key = key.split(|&byte| byte == 0).next()?;
            let value = number(bytes, values + index * child, child, *bytes.get(types + index)? >> 2);
            entries.extend(value.map(|value| (String::from_utf8_lossy(key).into_owned(), value)));
        }
        Some(Map(entries))
    }

    /// The number of an entry.
    pub fn get(&self, key: &str) -> Option<f64> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| *value)
    }
}

fn unsigned(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let raw = bytes.get(at..at.checked_add(width)?)?;
    let value = raw.iter().rev().try_fold(0u64, |all, &byte| Some(all.checked_mul(256)? + u64::from(byte)))?;
    usize::try_from(value).ok()
}

fn number(bytes: &[u8], at: usize, width: usize, kind: u8) -> Option<f64> {
    let raw = bytes.get(at..at.checked_add(width)?)?;
    Some(match (kind, width) {
        (FLOAT, 4) => f64::from(f32::from_le_bytes(raw.try_into().ok()?)),
        (FLOAT, 8) => f64::from_le_bytes(raw.try_into().ok()?),
        (INT, 1) => f64::from(raw[0] as i8),
        (INT, 2) => f64::from(i16::from_le_bytes(raw.try_into().ok()?)),
        (INT, 4) => f64::from(i32::from_le_bytes(raw.try_into().ok()?)),
        (INT, 8) => i64::from_le_bytes(raw.try_into().ok()?) as f64,
        (UINT | BOOL, _) => unsigned(bytes, at, width)? as f64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"a": 3, "b": 0.5}`, as the library writes it: keys, their offsets, then the values with their types.
    fn sample() -> Vec<u8> {
        let mut bytes = b"a\0b\0".to_vec();
        bytes.extend([2, 5, 3]); // two keys, at 4 − … before each entry
        bytes[5] = 5; // entry 0 lies at 5 and points at 0
        bytes[6] = 4; // entry 1 lies at 6 and points at 2
        bytes.push(0);
        // In front of the values: offset of the keys, their width, and how many there are.
        for word in [(8u32 - 5), 1, 2] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(3i32.to_le_bytes());
        bytes.extend(0.5f32.to_le_bytes());
        bytes.extend([INT << 2 | 2, FLOAT << 2 | 2]);
        let back = (bytes.len() - 20) as u8;
        bytes.extend([back, MAP << 2 | 2, 1]);
        bytes
    }

    #[test]
    fn a_map_gives_its_numbers() {
        let map = Map::read(&sample()).unwrap();
        assert_eq!((map.get("a"), map.get("b"), map.get("c")), (Some(3.0), Some(0.5), None));
    }

    #[test]
    fn damaged_maps_are_none_or_others() {
        let whole = sample();
        for end in 0..whole.len() {
            let _ = Map::read(&whole[..end]);
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                let _ = Map::read(&bytes);
            }
        }
    }
}
