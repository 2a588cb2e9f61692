//! TensorFlow Lite files made by hand: a small writer of FlatBuffers, and models of one operator.

/// A part of a file.
#[derive(Clone)]
pub enum Part {
    Bytes(Vec<u8>),
    /// A field inside its table.
    Scalar(Vec<u8>),
    /// Elements of this many bytes.
    Vector(usize, Vec<u8>),
    Text(String),
    Tables(Vec<Vec<(usize, Part)>>),
    Table(Vec<(usize, Part)>),
}

/// The fields of a table: place in the schema and value.
pub type Fields = Vec<(usize, Part)>;

pub fn byte(value: u8) -> Part {
    Part::Scalar(vec![value])
}

pub fn int(value: i32) -> Part {
    Part::Scalar(value.to_le_bytes().to_vec())
}

pub fn real(value: f32) -> Part {
    Part::Scalar(value.to_le_bytes().to_vec())
}

pub fn ints(values: &[i32]) -> Part {
    Part::Vector(4, values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

/// A whole file.
pub fn file(root: &Fields) -> Vec<u8> {
    let mut out = vec![0, 0, 0, 0];
    out.extend_from_slice(b"TFL3");
    let at = table(&mut out, root);
    out[..4].copy_from_slice(&(at as u32).to_le_bytes());
    out
}

fn align(out: &mut Vec<u8>, size: usize) {
    while !out.len().is_multiple_of(size) {
        out.push(0);
    }
}

/// Puts a table at the end, what it points at behind it; where it lies.
fn table(out: &mut Vec<u8>, fields: &Fields) -> usize {
    let count = fields.iter().map(|(id, _)| id + 1).max().unwrap_or(0);
    let size = |part: &Part| if let Part::Scalar(bytes) = part { bytes.len() } else { 4 };
    // The vtable first: its size, the table's, and where each field lies.
    let mut offsets = vec![0u16; count];
    let mut end = 4usize;
    for (id, part) in fields {
        end = end.div_ceil(size(part)) * size(part);
        offsets[*id] = end as u16;
        end += size(part);
    }
    align(out, 8);
    let vtable = out.len();
    for word in [4 + 2 * count as u16, end as u16].into_iter().chain(offsets.iter().copied()) {
        out.extend_from_slice(&word.to_le_bytes());
    }
    align(out, 8);
    let at = out.len();
    out.extend_from_slice(&((at - vtable) as i32).to_le_bytes());
    out.resize(at + end, 0);
    for (id, part) in fields {
        let field = at + usize::from(offsets[*id]);
        let target = match part {
            Part::Scalar(bytes) => {
                out[field..field + bytes.len()].copy_from_slice(bytes);
                continue;
            }
            Part::Bytes(bytes) => vector(out, 1, bytes),
            Part::Vector(width, bytes) => vector(out, *width, bytes),
            Part::Text(text) => vector(out, 1, &[text.as_bytes(), &[0]].concat()),
            Part::Table(fields) => table(out, fields),
            Part::Tables(tables) => {
                align(out, 4);
                let start = out.len();
                out.extend_from_slice(&(tables.len() as u32).to_le_bytes());
                out.resize(start + 4 + 4 * tables.len(), 0);
                for (index, fields) in tables.iter().enumerate() {
                    let place = start + 4 + 4 * index;
                    let target = table(out, fields);
                    out[place..place + 4].copy_from_slice(&((target - place) as u32).to_le_bytes());
                }
                start
            }
        };
        out[field..field + 4].copy_from_slice(&((target - field) as u32).to_le_bytes());
        if let Part::Text(text) = part {
            // Its length leaves out the zero behind it.
            out[target..target + 4].copy_from_slice(&(text.len() as u32).to_le_bytes());
        }
    }
    at
}

fn vector(out: &mut Vec<u8>, width: usize, bytes: &[u8]) -> usize {
    align(out, 4);
    // Elements of eight bytes are aligned behind the count.
    while width == 8 && out.len() % 8 != 4 {
        out.push(0);
    }
    // Buffers are read in place by other runtimes, which want them aligned to 16.
    while width == 1 && bytes.len() > 1 && out.len() % 16 != 12 {
        out.push(0);
    }
    let at = out.len();
    out.extend_from_slice(&((bytes.len() / width) as u32).to_le_bytes());
    out.extend_from_slice(bytes);
    at
}

/// Element types by their numbers.
pub const F32: u8 = 0;
pub const I32: u8 = 2;
pub const U8: u8 = 3;
pub const I8: u8 = 9;

/// A tensor to be.
#[derive(Clone)]
pub struct Spec {
    pub name: String,
    pub kind: u8,
    pub shape: Vec<i32>,
    pub scales: Vec<f32>,
    pub zero_points: Vec<i64>,
    pub axis: i32,
    pub data: Vec<u8>,
    pub open: bool,
    /// How values that are zero are left out.
    pub sparsity: Fields,
}

/// A tensor without values.
pub fn spec(name: &str, kind: u8, shape: &[i32]) -> Spec {
    Spec {
        name: name.into(),
        kind,
        shape: shape.to_vec(),
        scales: vec![],
        zero_points: vec![],
        axis: 0,
        data: vec![],
        open: false,
        sparsity: vec![],
    }
}

impl Spec {
    pub fn quant(mut self, scale: f32, zero_point: i64) -> Spec {
        (self.scales, self.zero_points) = (vec![scale], vec![zero_point]);
        self
    }

    pub fn per_channel(mut self, axis: i32, scales: Vec<f32>) -> Spec {
        (self.zero_points, self.axis) = (vec![0; scales.len()], axis);
        self.scales = scales;
        self
    }

    pub fn data(mut self, data: Vec<u8>) -> Spec {
        self.data = data;
        self
    }

    pub fn ints(self, values: &[i32]) -> Spec {
        self.data(values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    pub fn floats(self, values: &[f32]) -> Spec {
        self.data(values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// Leaves the first dimension open.
    pub fn open(mut self) -> Spec {
        self.open = true;
        self
    }

    fn fields(&self, buffer: usize) -> Fields {
        let mut fields = vec![
            (0, ints(&self.shape)),
            (1, byte(self.kind)),
            (2, int(buffer as i32)),
            (3, Part::Text(self.name.clone())),
        ];
        if !self.scales.is_empty() {
            let scales = self.scales.iter().flat_map(|s| s.to_le_bytes()).collect();
            let zero_points = self.zero_points.iter().flat_map(|z| z.to_le_bytes()).collect();
            let quant = vec![(2, Part::Vector(4, scales)), (3, Part::Vector(8, zero_points)), (6, int(self.axis))];
            fields.push((4, Part::Table(quant)));
        }
        if !self.sparsity.is_empty() {
            fields.push((6, Part::Table(self.sparsity.clone())));
        }
        if self.open {
            let mut signature = self.shape.clone();
            signature[0] = -1;
            fields.push((7, ints(&signature)));
        }
        fields
    }
}

/// An operator to be: its number, the number of its kind of options, these, operands and results by their places.
#[derive(Clone)]
pub struct Call {
    pub code: i32,
    pub custom: Option<&'static str>,
    pub union: u8,
    pub options: Fields,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
}

/// A model.
pub fn model(tensors: &[Spec], calls: &[Call], inputs: &[i32], outputs: &[i32]) -> Vec<u8> {
    let mut buffers: Vec<Fields> = vec![vec![]];
    let mut listed = Vec::new();
    for tensor in tensors {
        if tensor.data.is_empty() {
            listed.push(tensor.fields(0));
        } else {
            listed.push(tensor.fields(buffers.len()));
            buffers.push(vec![(0, Part::Bytes(tensor.data.clone()))]);
        }
    }
    let code = |call: &Call| {
        let mut fields = vec![(0, byte(call.code.min(127) as u8)), (2, int(1)), (3, int(call.code))];
        fields.extend(call.custom.map(|name| (1, Part::Text(name.into()))));
        fields
    };
    let operator = |(index, call): (usize, &Call)| {
        let mut fields = vec![(0, int(index as i32)), (1, ints(&call.inputs)), (2, ints(&call.outputs))];
        match call.union {
            // Options of a custom operator are bytes, a field of the operator itself.
            0 => fields.extend(call.options.clone()),
            union => fields.extend([(3, byte(union)), (4, Part::Table(call.options.clone()))]),
        }
        fields
    };
    let graph = vec![
        (0, Part::Tables(listed)),
        (1, ints(inputs)),
        (2, ints(outputs)),
        (3, Part::Tables(calls.iter().enumerate().map(operator).collect())),
        (4, Part::Text("main".into())),
    ];
    file(&vec![
        (0, int(3)),
        (1, Part::Tables(calls.iter().map(code).collect())),
        (2, Part::Tables(vec![graph])),
        (3, Part::Text("by hand".into())),
        (4, Part::Tables(buffers)),
    ])
}
