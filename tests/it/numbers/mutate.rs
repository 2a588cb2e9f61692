//! Tables and messages, and structure-aware faults in them. Every number of a file is there once, so that a value that stands under
//! another name shows.

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

/// One file with what its writer meant.
pub struct Case {
    pub bytes: Vec<u8>,
    pub csv: bool,
    pub delimiter: &'static str,
    pub comma: bool,
    pub names: Vec<&'static str>,
}

const NAMES: [&str; 6] = ["temp", "Feuchte", "T °C", "a.b", "power", "x y"];
const JUNK: [&str; 16] = [
    "", "---", "NaN", "n/a", "null", "ERROR", "21.5 °C", "0x1F", "1.234,56", "1e400", "inf", "12:00", "1 000", "--5",
    "\"", "+7e1",
];

pub fn csv(random: &mut Random) -> Case {
    let columns = 2 + random.below(4);
    let names: Vec<&'static str> = NAMES[..columns].to_vec();
    let (delimiter, mark) = [("comma", ','), ("semicolon", ';'), ("tab", '\t')][random.below(3)];
    let comma = mark != ',' && random.chance(50);
    let timed = random.chance(60);
    let mut table: Vec<Vec<String>> = Vec::new();
    let head = |names: &[&str]| {
        let time = timed.then(|| "time".to_owned());
        time.into_iter().chain(names.iter().map(|n| (*n).to_owned())).collect::<Vec<_>>()
    };
    table.push(head(&names));
    for row in 0..(3 + random.below(5)) {
        let time = timed.then(|| format!("12:{row:02}"));
        let cells = (0..columns).map(|c| {
            let text = format!("{}.{}", (c + 1) * 100 + row, 5 + random.below(4));
            if comma { text.replace('.', ",") } else { text }
        });
        table.push(time.into_iter().chain(cells).collect());
    }
    let faults = random.below(4);
    for _ in 0..faults {
        let (row, width) = (random.below(table.len()), table[0].len());
        let column = random.below(width);
        match random.below(14) {
            0 => _ = (column < table[row].len()).then(|| table[row].remove(column)),
            1 => {
                let place = column.min(table[row].len());
                table[row].insert(place, String::new());
            }
            2 | 3 if row > 0 && column < table[row].len() => table[row][column] = random.pick(&JUNK).to_owned(),
            4 => {
                let other = random.below(width);
                let name = table[0].get(other).cloned().unwrap_or_default();
                if let Some(cell) = table[0].get_mut(column) {
                    *cell = name;
                }
            }
            5 => _ = table[0].get_mut(column).map(String::clear),
            6 => table.insert(row, table[0].clone()),
            7 if row > 0 => {
                // A logger that began again with its columns in another order.
                let mut order: Vec<usize> = (0..width).collect();
                order.swap(column, width - 1);
                let pick =
                    |cells: &Vec<String>| order.iter().map(|&i| cells.get(i).cloned().unwrap_or_default()).collect();
                let header = pick(&table[0]);
                table[row..].iter_mut().for_each(|cells| *cells = pick(cells));
                table.insert(row, header);
            }
            8 => table[row].push(String::new()),
            9 => table[row].push("9999".into()),
            10 => _ = table[row].get_mut(column).map(|cell| *cell = format!(" {cell} ")),
            11 => table.insert(row.max(1), vec!["sensor restarted".into()]),
            12 => table.iter_mut().for_each(|cells| cells.push(String::new())),
            _ => table.insert(row.max(1), vec![String::new(); width]),
        }
    }
    let quoted = random.chance(20);
    let end = random.pick(&["\n", "\r\n"]);
    let mut text = String::from(random.pick(&["", "", "\u{feff}"]));
    for cells in &table {
        let cell = |cell: &String| {
            if quoted || cell.contains(mark) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.clone() }
        };
        text += &(cells.iter().map(cell).collect::<Vec<_>>().join(&mark.to_string()) + end);
    }
    let mut bytes = text.into_bytes();
    if random.chance(15) && !bytes.starts_with(b"\xef") {
        bytes = String::from_utf8(bytes).unwrap().chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
    }
    spoil(random, &mut bytes);
    Case { bytes, csv: true, delimiter, comma, names }
}

pub fn json(random: &mut Random) -> Case {
    let names = vec!["temp", "ENERGY.Power", "ENERGY.Voltage", "phases.0", "phases.1", "a.b"];
    let mut text = String::new();
    for row in 0..(2 + random.below(6)) {
        let value = |c: usize, random: &mut Random| {
            let number = format!("{}.{}", (c + 1) * 100 + row, 5 + random.below(4));
            match random.below(20) {
                0 => "null".into(),
                1 => random
                    .pick(&["true", "\"on\"", "\"unavailable\"", "\"21,5\"", "\"21.5 °C\"", "[]", "{}", "NaN", "1e400"])
                    .to_owned(),
                2 | 3 => format!("\"{number}\""),
                4 => format!("{number}e0"),
                5 => format!("[{number}]"),
                6 => format!("{{\"Power\":{number}}}"),
                _ => number,
            }
        };
        let [temp, power, voltage, first, second, both] = [0, 1, 2, 3, 4, 5].map(|c| value(c, random));
        let mut fields = vec![
            format!("\"temp\":{temp}"),
            format!("\"ENERGY\":{{\"Power\":{power},\"Voltage\":{voltage}}}"),
            format!("\"phases\":[{first},{second}]"),
            if random.chance(50) { format!("\"a.b\":{both}") } else { format!("\"a\":{{\"b\":{both}}}") },
            format!("\"Time\":\"2024-07-27T10:51:{row:02}\""),
        ];
        for _ in 0..random.below(3) {
            let place = random.below(fields.len());
            match random.below(7) {
                0 => _ = fields.remove(place),
                1 => fields.push(fields[place].clone()),
                2 => fields.push("\"a\":{\"b\":7777}".into()),
                3 => fields.push("\"ENERGY.Power\":8888".into()),
                4 => fields.swap(place, 0),
                5 => fields[place] = fields[place].replacen("temp", "\\u0074emp", 1),
                _ => fields[place] = fields[place].replacen('"', "\"x", 1),
            }
            if fields.is_empty() {
                fields.push("\"temp\":1".into());
            }
        }
        text += &match random.below(25) {
            0 => format!("[{{{}}}]\n", fields.join(",")),
            1 => format!("[1,2,3,{row}]\n"),
            _ => format!("{{{}}}\n", fields.join(", ")),
        };
    }
    let mut bytes = text.into_bytes();
    spoil(random, &mut bytes);
    Case { bytes, csv: false, delimiter: "comma", comma: false, names }
}

/// Now and then a byte is changed, or the file is cut off.
fn spoil(random: &mut Random, bytes: &mut Vec<u8>) {
    let place = random.below(bytes.len());
    match random.below(12) {
        0 => bytes.truncate(place),
        1 => bytes[place] = b"\0\"\n,;0{}[]:-"[random.below(12)],
        2 => _ = bytes.remove(place),
        _ => {}
    }
}
