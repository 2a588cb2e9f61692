//! Decoders with packets that a seed damages.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::BytesMut;

type Decoder = fn(&[u8]) -> bool;

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Packets that a broker may send.
fn right(is_5: bool) -> Vec<&'static [u8]> {
    if is_5 {
        vec![
            &[0x20, 3, 0, 0, 0],
            &[0x20, 13, 1, 0, 10, 0x11, 0, 0, 0, 60, 0x21, 0, 20, 0x24, 1],
            &[0x20, 8, 0, 0x8a, 5, 0x1f, 0, 2, b'n', b'o'],
            &[0x40, 2, 0, 1],
            &[0x40, 3, 0, 1, 0x97],
            &[0x40, 9, 0, 1, 0x97, 5, 0x1f, 0, 2, b'n', b'o'],
            &[0x90, 4, 0, 1, 0, 1],
            &[0xb0, 4, 0, 1, 0, 0],
            &[0xe0, 0],
            &[0xe0, 1, 0x8e],
            &[0xe0, 2, 0x8e, 0],
            &[0xd0, 0],
            &[0x30, 6, 0, 1, b'a', 0, b'h', b'i'],
            &[0x32, 20, 0, 1, b'a', 0, 9, 12, 0x26, 0, 1, b'k', 0, 1, b'v', 2, 0, 0, 0, 9, b'h', b'i'],
            &[0x50, 2, 0, 1],
            &[0x62, 2, 0, 1],
            &[0xf0, 2, 0x18, 0],
        ]
    } else {
        vec![
            &[0x20, 2, 0, 0],
            &[0x40, 2, 0, 1],
            &[0x90, 3, 0, 1, 0],
            &[0x90, 4, 0, 1, 1, 0x80],
            &[0xb0, 2, 0, 1],
            &[0xd0, 0],
            &[0x30, 5, 0, 1, b'a', b'h', b'i'],
            &[0x32, 7, 0, 1, b'a', 0, 3, b'h', b'i'],
            &[0x50, 2, 0, 1],
            &[0x62, 2, 0, 1],
        ]
    }
}

/// Prints what each decoder refuses of what is right, and its panics at `count` damaged packets.
pub fn compare(count: usize) {
    std::panic::set_hook(Box::new(|_| {}));
    let decoders: [(&str, bool, Decoder); 4] = [
        ("rumqttc 0.25 v4", false, |b| old::mqttbytes::v4::Packet::read(&mut BytesMut::from(b), 1 << 20).is_ok()),
        ("v4-next 0.34", false, |b| next4::Packet::read(&mut BytesMut::from(b), 1 << 20).is_ok()),
        ("rumqttc 0.25 v5", true, |b| {
            old::v5::mqttbytes::v5::Packet::read(&mut BytesMut::from(b), Some(1 << 20)).is_ok()
        }),
        ("v5-next 0.34", true, |b| next5::mqttbytes::v5::Packet::read(&mut BytesMut::from(b), Some(1 << 20)).is_ok()),
    ];
    println!("\n| decoder | refuses of what is right | panics at {count} damaged packets |\n|---|---|---|");
    for (name, is_5, decode) in decoders {
        let right = right(is_5);
        let refused: Vec<_> =
            right.iter().filter(|packet| !decode(packet)).map(|packet| format!("{packet:02x?}")).collect();
        let (mut random, mut panics) = (Random(42), 0);
        for _ in 0..count {
            let mut packet = right[random.below(right.len())].to_vec();
            for _ in 0..random.below(4) {
                let at = random.below(packet.len());
                match random.below(4) {
                    0 => packet[at] = random.next() as u8,
                    1 => packet[at] ^= 1 << random.below(8),
                    2 => packet.truncate(at.max(2)),
                    _ => packet.insert(at, random.next() as u8),
                }
            }
            if random.below(2) == 0 {
                packet[1] = (packet.len() - 2) as u8;
            }
            panics += usize::from(catch_unwind(AssertUnwindSafe(|| decode(&packet))).is_err());
        }
        println!("| {name} | {} | {panics} |", refused.join(" "));
    }
}
