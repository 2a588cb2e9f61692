//! What a loaded model tells preprocess and task: [`Spec`] and [`TaskSpec`] from manifest and graph together.

use serde_json::{Map, Value};

use super::exporter;
use super::graph::{Port, dtype_of};
use super::manifest::InputKind;
use super::npy::type_name;
use super::{LoadedModel, ModelError, PlanKey};
use crate::frame::{Colour, DType, InputSpec, Label, Layout, Quant, Spec, TaskKind, TaskSpec, WindowSpec};

impl LoadedModel {
    /// What the first input wants.
    ///
    /// Where nothing but the graph is known, a float picture input takes 0..1 and an integer one takes the pixel as it is
    /// (0 becomes the type's lowest value), which is how exporters quantise pictures.
    ///
    /// # Errors
    /// [`ModelError::Shape`] when manifest, key and graph do not fit together.
    pub fn spec(&self, key: PlanKey) -> Result<Spec, ModelError> {
        if self.is_readings() {
            return Ok(Spec::Readings);
        }
        let Some(port) = self.info.inputs.first() else {
            return Err(self.shape_error("", "the graph has no input".into()));
        };
        let shape = self.shapes(key)?.swap_remove(0);
        let dtype =
            dtype_of(port.dtype).filter(|d| matches!(d, DType::F32 | DType::I8 | DType::U8)).ok_or_else(|| {
                self.shape_error(
                    &port.name,
                    format!("pictures and windows fill f32, i8 and u8, this is {}", type_name(port.dtype)),
                )
            })?;
        let batch = key.batch.or(shape.first().copied()).unwrap_or(1);
        match self.kind(port) {
            InputKind::Image => self.image(port, &shape, batch, dtype).map(Spec::Image),
            InputKind::Window => self.window(port, &shape, batch, dtype).map(Spec::Window),
        }
    }

    /// What the task needs to know, for a plan of this key whose frames have `items` regions each (1 without regions).
    ///
    /// # Errors
    /// [`ModelError::Shape`] as for [`LoadedModel::spec`].
    pub fn task_spec(&self, key: PlanKey, items: usize) -> Result<TaskSpec, ModelError> {
        let (input_size, channels) = match self.spec(key)? {
            Spec::Image(spec) => ([spec.height, spec.width], Vec::new()),
            Spec::Window(spec) => ([0, 0], self.channels(&spec, key)?),
            Spec::Readings => ([0, 0], Vec::new()),
        };
        Ok(TaskSpec {
            labels: self.labels.clone(),
            head: self.manifest.output.head,
            boxes: self.manifest.output.boxes,
            keypoints: self.manifest.output.keypoints.or_else(|| exporter::said(&self.info.metadata).keypoints),
            anchors: self.anchors.clone(),
            input_size,
            items,
            none: self.none_class(),
            channels,
            position: self.manifest.output.position.clone(),
        })
    }

    /// The channels of a window by their names; where the manifest has none, by their numbers if the shape tells how many there are.
    fn channels(&self, spec: &WindowSpec, key: PlanKey) -> Result<Vec<Label>, ModelError> {
        if !spec.channels.is_empty() {
            return Ok(spec.channels.iter().map(|name| Label::from(name.as_str())).collect());
        }
        let shape = self.shapes(key)?.swap_remove(0);
        let count = if let [_, _, channels] = shape[..] { channels } else { 0 };
        Ok((0..count).map(|index| Label::from(index.to_string())).collect())
    }

    /// Index of the label that the manifest says means "nothing to read here".
    fn none_class(&self) -> Option<usize> {
        let none = self.manifest.output.none.as_deref()?;
        self.labels.iter().position(|label| &**label == none)
    }

    /// The task that the manifest names.
    pub fn task(&self) -> TaskKind {
        self.manifest.task
    }

    /// Defaults of `[pipeline.task]` from the manifest.
    pub fn defaults(&self) -> &Map<String, Value> {
        &self.manifest.defaults
    }

    /// Resolutions `[height, width]` that plans can be compiled for, the default first; one where the graph fixes it.
    pub fn sizes(&self) -> Vec<[usize; 2]> {
        let mut sizes = Vec::new();
        let input = &self.manifest.input;
        for size in self.variant.size.iter().chain(input.size.iter()).chain(&input.sizes) {
            let fits = self.shapes(PlanKey { batch: None, size: Some(*size) }).is_ok();
            if fits && !sizes.contains(size) {
                sizes.push(*size);
            }
        }
        if sizes.is_empty()
            && let Ok(Spec::Image(spec)) = self.spec(PlanKey::default())
        {
            sizes.push([spec.height, spec.width]);
        }
        sizes
    }

    fn image(&self, port: &Port, shape: &[usize], batch: usize, dtype: DType) -> Result<InputSpec, ModelError> {
        let input = &self.manifest.input;
        let layout = self.layout(port);
        let (Some(layout), &[_, a, b, c]) = (layout, shape) else {
            let reason = format!("a picture input has 4 dimensions, 1 or 3 of them channels; this has {shape:?}");
            return Err(self.shape_error(&port.name, reason));
        };
        let (channels, height, width) = if layout == Layout::Nhwc { (c, a, b) } else { (a, b, c) };
        let colour = match (input.colour, channels) {
            (None, 1) => Colour::Grey,
            (None, 3) => Colour::Rgb,
            (Some(Colour::Grey), 1) => Colour::Grey,
            (Some(colour @ (Colour::Rgb | Colour::Bgr)), 3) => colour,
            (colour, _) => {
                let want = colour.map_or("1 or 3".into(), |c| format!("{c:?}").to_lowercase());
                let layout = format!("{layout:?}").to_lowercase();
                let reason = format!("it has {channels} channels in layout {layout}, expected {want}");
                return Err(self.shape_error(&port.name, reason));
            }
        };
        let lowest = if dtype == DType::I8 { -128 } else { 0 };
        let pixel = Quant { scale: 1.0 / 255.0, zero_point: lowest };
        let quant = (dtype != DType::F32).then(|| port.quant.unwrap_or(pixel));
        let (mut mean, mut std) = ([0.0; 3], [1.0; 3]);
        if input.mean.is_empty()
            && input.std.is_empty()
            && let Some(quant) = quant
        {
            // r = scale × (p + lowest − zero_point), written as (p/255 − mean)/std.
            std = [1.0 / (255.0 * quant.scale); 3];
            mean = [(quant.zero_point - lowest) as f32 / 255.0; 3];
        }
        spread(&mut mean, &input.mean);
        spread(&mut std, &input.std);
        Ok(InputSpec { batch, height, width, layout, colour, fit: input.fit, mean, std, dtype, quant })
    }

    fn window(&self, port: &Port, shape: &[usize], batch: usize, dtype: DType) -> Result<WindowSpec, ModelError> {
        let input = &self.manifest.input;
        let per_item: usize = shape.iter().skip(1).product();
        let rows = match (input.rows, shape) {
            (Some(rows), _) => rows,
            (None, [_, rows, _]) => *rows,
            (None, _) => per_item,
        };
        if let Some(rows) = input.rows
            && rows * input.channels.len() != per_item
        {
            let channels = input.channels.len();
            let reason = format!("it takes {per_item} values, the manifest says {rows} rows of {channels} channels");
            return Err(self.shape_error(&port.name, reason));
        }
        let quant = if dtype == DType::F32 { None } else { port.quant };
        if dtype != DType::F32 && quant.is_none() {
            let reason = "integers whose scale the graph does not say cannot be filled from readings".into();
            return Err(self.shape_error(&port.name, reason));
        }
        let wide = |values: &[f32]| match values {
            [one] => vec![*one; input.channels.len().max(1)],
            many => many.to_vec(),
        };
        Ok(WindowSpec {
            batch,
            rows,
            channels: input.channels.clone(),
            mean: wide(&input.mean),
            std: wide(&input.std),
            dtype,
            quant,
        })
    }
}

fn spread(to: &mut [f32; 3], values: &[f32]) {
    match values {
        [] => {}
        [one] => *to = [*one; 3],
        many => to.iter_mut().zip(many).for_each(|(t, v)| *t = *v),
    }
}
