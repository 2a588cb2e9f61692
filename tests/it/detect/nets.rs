//! Detectors without weights: their output is `base + gain × mean of the picture`, so that a test decides what is found.

use prost::Message as _;
use tract_onnx::pb;
use tract_onnx::pb::tensor_proto::DataType;

use crate::model::build::{file, floats, graph, node, port};

/// A network that takes a picture of 64 × 64 and has one output.
#[derive(Clone)]
pub struct Net {
    pub shape: Vec<i64>,
    /// The shape that the file claims for it.
    pub declared: Vec<i64>,
    pub base: Vec<f32>,
    pub gain: Vec<f32>,
    pub metadata: Vec<(String, String)>,
}

/// Cells of the feature maps for a picture of this size: strides of 8, 16 and 32.
pub fn rows(size: usize) -> usize {
    [8, 16, 32].iter().map(|stride| (size / stride).pow(2)).sum()
}

impl Net {
    /// Whatever the picture, the output is `values`.
    pub fn constant(shape: &[i64], values: &[f32], metadata: &[(&str, &str)]) -> Net {
        Net {
            shape: shape.to_vec(),
            declared: shape.to_vec(),
            base: values.to_vec(),
            gain: vec![0.0; values.len()],
            metadata: metadata.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
        }
    }

    /// `[1, count, 6]` with these rows and otherwise zeros.
    pub fn end2end(found: &[[f32; 6]], count: usize, metadata: &[(&str, &str)]) -> Net {
        let mut values = found.concat();
        values.resize(count * 6, 0.0);
        Net::constant(&[1, count as i64, 6], &values, metadata)
    }

    /// A box for each cell, as rows of centre, size and `scores`: low ones, but for the box `[24, 24, 40, 40]` of class 1.
    fn cells(each: usize, scores: &dyn Fn(usize, bool) -> Vec<f32>) -> Vec<Vec<f32>> {
        let mut cells = Vec::new();
        for stride in [8, 16, 32] {
            for cell in 0..(64_usize / stride).pow(2) {
                let (x, y) = (cell % (64 / stride), cell / (64 / stride));
                let centre = [x, y].map(|c| (c * stride + stride / 2) as f32);
                for anchor in 0..each {
                    cells.push([&centre[..], &[stride as f32; 2], &scores(cells.len(), false)].concat());
                    let _ = anchor;
                }
            }
        }
        cells[40] = [&[32.0, 32.0, 16.0, 16.0][..], &scores(0, true)].concat();
        cells
    }

    fn scores(classes: usize) -> impl Fn(usize, bool) -> Vec<f32> {
        move |row, sure| {
            let mut scores = vec![0.01 + row as f32 * 1e-4; classes];
            if sure {
                scores[1] = 0.9;
            }
            scores
        }
    }

    /// YOLOv8's `[1, 4 + classes, 84]`.
    pub fn planes(classes: usize, metadata: &[(&str, &str)]) -> Net {
        let cells = Self::cells(1, &Self::scores(classes));
        let values: Vec<f32> = (0..4 + classes).flat_map(|column| cells.iter().map(move |cell| cell[column])).collect();
        Net::constant(&[1, 4 + classes as i64, 84], &values, metadata)
    }

    /// The same with a box a row, `[1, 84, 4 + classes]`.
    pub fn turned(classes: usize) -> Net {
        Net::constant(&[1, 84, 4 + classes as i64], &Self::cells(1, &Self::scores(classes)).concat(), &[])
    }

    /// YOLOv5's `[1, 252, 5 + classes]`.
    pub fn with_objectness(classes: usize) -> Net {
        let scores = Self::scores(classes);
        let with = move |row: usize, sure: bool| [vec![if sure { 1.0 } else { 0.1 }], scores(row, sure)].concat();
        Net::constant(&[1, 252, 5 + classes as i64], &Self::cells(3, &with).concat(), &[])
    }

    /// The file.
    pub fn file(&self) -> Vec<u8> {
        let mut mean = node("ReduceMean", &["images"], &["mean"]);
        mean.attribute = vec![pb::AttributeProto {
            name: "keepdims".into(),
            r#type: pb::attribute_proto::AttributeType::Int as i32,
            i: 0,
            ..Default::default()
        }];
        let initialisers = vec![floats("gain", &self.shape, &self.gain), floats("base", &self.shape, &self.base)];
        let nodes = vec![mean, node("Mul", &["mean", "gain"], &["m"]), node("Add", &["m", "base"], &["output0"])];
        let images = port("images", DataType::Float, &[1, 3, 64, 64]);
        let graph = graph(vec![images], initialisers, nodes, vec![port("output0", DataType::Float, &self.declared)]);
        let mut model = pb::ModelProto::decode(file(graph).as_slice()).unwrap();
        let entry =
            |(key, value): &(String, String)| pb::StringStringEntryProto { key: key.clone(), value: value.clone() };
        model.metadata_props = self.metadata.iter().map(entry).collect();
        model.encode_to_vec()
    }
}

/// A JPEG of one grey.
pub fn picture(width: u16, height: u16, grey: u8) -> Vec<u8> {
    let pixels = vec![grey; usize::from(width) * usize::from(height)];
    let mut jpeg = Vec::new();
    jpeg_encoder::Encoder::new(&mut jpeg, 95).encode(&pixels, width, height, jpeg_encoder::ColorType::Luma).unwrap();
    jpeg
}
