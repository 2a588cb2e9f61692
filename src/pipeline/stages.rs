//! Preprocess → model → task → events for one pipeline: what a worker runs per frame, and `infer` and `check` per file.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::error::StageError;
use super::key::StagesKey;
use super::pool::PlanHandle;
use super::tiling::Tiling;
use crate::event::Events;
use crate::frame::{
    Colour, Detection, Event, Frame, Geometry, Outcome, Payload, PositionRead, SharedFrame, Spec, TaskSpec, TensorView,
    Tile, Unreadable, Window,
};
use crate::join;
use crate::preprocess::Preprocessor;
use crate::task::{Memory, Number, Task, TaskError, TaskInput, TaskOutput};

/// One pipeline's stages, compiled for one variant, resolution, batch and number of threads.
pub struct Stages {
    pub(super) key: StagesKey,
    pub(super) spec: Spec,
    pub(super) preprocessor: Preprocessor,
    pub(super) plan: PlanHandle,
    pub(super) task: Box<dyn Task>,
    /// The join of a meter, whose first model these stages run.
    pub(super) meter: Option<MeterStage>,
    pub(super) task_spec: TaskSpec,
    pub(super) events: Events,
    pub(super) items: usize,
    pub(super) frames: usize,
    /// Of a task that looks at the readings themselves: those of each frame.
    pub(super) windows: Vec<Window>,
    pub(super) geometry: Vec<Vec<Geometry>>,
    pub(super) unreadable: Vec<Vec<Option<Unreadable>>>,
    pub(super) weights_bytes: usize,
    /// Tiles that frames are looked at in.
    pub(super) tiling: Option<Tiling>,
    /// From capture to result, where a run waits for other pipelines.
    pub(super) deadline: Option<Duration>,
}

impl Stages {
    /// Setpoint that it was compiled for.
    pub fn key(&self) -> StagesKey {
        self.key
    }

    /// Values of one item of the model's first input.
    pub fn item_len(&self) -> usize {
        let shape = self.plan.model().inputs().first().map_or(&[][..], |spec| &spec.shape);
        shape.iter().skip(1).product()
    }

    /// Bytes of the model's weights: about what the plan keeps in memory.
    pub fn weights_bytes(&self) -> usize {
        self.weights_bytes + self.second().map_or(0, Stages::weights_bytes)
    }

    /// Stages of a second model over the same frames.
    fn second(&self) -> Option<&Stages> {
        self.meter.as_ref()?.dials.as_deref()
    }

    /// Frames that one inference takes.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Meaning of the model's outputs.
    pub fn task_spec(&self) -> &TaskSpec {
        &self.task_spec
    }

    /// Specification of the model's first input.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// True if the model needs more of a picture than its luminance.
    pub fn needs_colour(&self) -> bool {
        matches!(&self.spec, Spec::Image(spec) if spec.colour != Colour::Grey)
            || self.second().is_some_and(Stages::needs_colour)
    }

    /// The arithmetic that runs.
    pub fn engine(&self) -> &'static str {
        self.plan.engine()
    }

    /// Takes over the plan of `other` and keeps what task and events remember: labels, scores and boxes mean the same in every variant and
    /// size of a bundle. (Where they do not, as an error whose threshold is learnt, no ladder has another variant or size.) Gives
    /// the old plan, whose task remembers nothing.
    pub fn replace_with(&mut self, mut other: Stages) -> Stages {
        std::mem::swap(&mut self.task, &mut other.task);
        std::mem::swap(&mut self.events, &mut other.events);
        std::mem::swap(&mut self.meter, &mut other.meter);
        std::mem::replace(self, other)
    }

    /// The task's memory, for a restart.
    pub fn memory(&self) -> Option<Memory> {
        self.meter.as_ref().map_or_else(|| self.task.memory(), MeterStage::memory)
    }

    /// Gives the task what it kept; to be called before the first frame.
    pub fn restore(&mut self, memory: Memory) {
        match &mut self.meter {
            Some(meter) => meter.restore(memory),
            None => self.task.restore(memory),
        }
    }

    /// Writes a frame into the model's input as frame `index` of the batch.
    ///
    /// # Errors
    /// [`StageError::Preprocess`]; the other frames of the batch stay as they are.
    pub fn prepare(&mut self, frame: &Frame, index: usize) -> Result<(), StageError> {
        if self.prepare_tiles(frame, None)? {
            return Ok(());
        }
        self.preprocessor.run(frame, self.plan.input_mut(0), index * self.items)?;
        self.note(frame, index);
        self.prepare_second(frame, None)
    }

    /// [`Stages::prepare`] for a frame with several readers, which is decoded at most once for all of them.
    ///
    /// # Errors
    /// The same.
    pub fn prepare_shared(&mut self, frame: &Arc<SharedFrame>, index: usize) -> Result<(), StageError> {
        if self.prepare_tiles(frame, Some(frame))? {
            return Ok(());
        }
        self.preprocessor.run_shared(frame, self.plan.input_mut(0), index * self.items)?;
        self.note(frame, index);
        self.prepare_second(frame, Some(frame))
    }

    /// Writes a frame into a second model's input, its regions displaced as those of the first.
    fn prepare_second(&mut self, frame: &Frame, shared: Option<&Arc<SharedFrame>>) -> Result<(), StageError> {
        let Some(meter) = &mut self.meter else { return Ok(()) };
        meter.lost = self.preprocessor.is_lost();
        let Some(dials) = meter.dials.as_mut().filter(|_| !meter.lost) else { return Ok(()) };
        dials.preprocessor.set_displacement(self.preprocessor.displacement());
        match shared {
            Some(shared) => dials.prepare_shared(shared, 0),
            None => dials.prepare(frame, 0),
        }
    }

    /// Keeps how the items of frame `index` were cut, and its readings where the task wants them.
    fn note(&mut self, frame: &Frame, index: usize) {
        if let (Some(kept), Payload::Window(window)) = (self.windows.get_mut(index), &frame.payload) {
            kept.clone_from(window);
        }
        if let Some(kept) = self.geometry.get_mut(index) {
            kept.clear();
            kept.extend_from_slice(self.preprocessor.geometry());
        }
        if let Some(kept) = self.unreadable.get_mut(index) {
            kept.clear();
            kept.extend_from_slice(self.preprocessor.unreadable());
        }
    }

    /// Runs the model over the batch; of a frame in tiles over each of them.
    ///
    /// # Errors
    /// [`StageError`].
    pub fn infer(&mut self) -> Result<(), StageError> {
        if self.infer_tiles()? {
            return Ok(());
        }
        self.plan.run_by(None)?;
        self.meter.as_mut().map_or(Ok(()), MeterStage::infer)
    }

    /// Runs the model over the batch, whose oldest frame was captured at `captured`, with other pipelines that share the plan. Gives
    /// the time that it took, of a common run this pipeline's part.
    ///
    /// # Errors
    /// As [`Stages::infer`].
    pub(crate) fn infer_captured(&mut self, captured: Instant) -> Result<Duration, StageError> {
        let before = Instant::now();
        if self.infer_tiles()? {
            return Ok(before.elapsed());
        }
        let first = self.plan.run_by(self.deadline.map(|deadline| captured + deadline))?;
        let before = Instant::now();
        self.meter.as_mut().map_or(Ok(()), MeterStage::infer)?;
        Ok(first + before.elapsed())
    }

    /// Output of the last run for frame `index` of the batch; `now` is monotonic, `time` the frame's own.
    ///
    /// # Errors
    /// [`StageError::Task`].
    pub fn interpret(&mut self, index: usize, now: Duration, time: SystemTime) -> Result<TaskOutput, StageError> {
        let output = self.look(index, now, time)?;
        Ok(self.follow(output, now, time))
    }

    /// The first half of [`Stages::interpret`]: all that frame `index` shows by itself.
    ///
    /// # Errors
    /// [`StageError::Task`].
    pub fn look(&mut self, index: usize, now: Duration, time: SystemTime) -> Result<TaskOutput, StageError> {
        let output = match self.join_tiles() {
            Some(joined) => joined,
            None => self.look_for(index, self.events.least_score(), now, time)?,
        };
        match &mut self.meter {
            Some(meter) => meter.join(output, now, time),
            None => Ok(output),
        }
    }

    /// [`Stages::look`] with objects down to `least_score` among the faint ones, for whoever follows them elsewhere.
    ///
    /// # Errors
    /// [`StageError::Task`].
    pub fn look_for(
        &mut self,
        index: usize,
        least_score: Option<f32>,
        now: Duration,
        time: SystemTime,
    ) -> Result<TaskOutput, StageError> {
        self.with_input(index, least_score, now, time, |task, input| task.run(input))
    }

    /// The second half: the output of a frame put behind those before it, with the events that come of it. Frames come in the order of
    /// their capture.
    pub fn follow(&mut self, mut output: TaskOutput, now: Duration, time: SystemTime) -> TaskOutput {
        let events = self.events.frame(&mut output.outcome, &output.faint, now, time);
        output.events.extend(events);
        output
    }

    /// Least score of an object that is only followed, where objects are; `None` where the task's own is the least.
    pub fn least_score(&self) -> Option<f32> {
        self.events.least_score()
    }

    /// Doubts that the last run means what the task takes it for, one sentence each.
    ///
    /// # Errors
    /// [`StageError::Task`] when it cannot mean it.
    pub fn doubts(&mut self) -> Result<Vec<String>, StageError> {
        let least_score = self.events.least_score();
        self.with_input(0, least_score, Duration::ZERO, SystemTime::now(), |task, input| task.doubts(input))
    }

    /// True where the model keeps something between two runs.
    pub fn keeps_state(&self) -> bool {
        self.plan.model().state_bytes() > 0
    }

    /// Forgets what the model keeps between runs: the next frame is the first one of a new stream.
    pub fn reset_state(&mut self) {
        self.plan.reset_state();
    }

    /// The outputs of the last run as reals.
    pub fn outputs(&self) -> Vec<Vec<f32>> {
        let model = self.plan.model();
        let values = |index| {
            let mut values = Vec::new();
            model.output(index).dequantize_into(&mut values);
            values
        };
        (0..model.outputs().len()).map(values).collect()
    }

    /// True while the next frame decides something about an event.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.events.is_unsettled()
    }

    /// Result of a task that nothing has come for up to `now`, where that says something.
    pub(crate) fn silence(&mut self, now: Duration, time: SystemTime) -> Option<TaskOutput> {
        self.task.silence(now, time)
    }

    /// Memory of the task, to be kept over a restart.
    pub(crate) fn learnt(&self) -> Option<String> {
        self.task.learnt()
    }

    /// Gives the task what an earlier run has learnt; to be called before the first frame.
    pub(crate) fn recall(&mut self, learnt: &str) {
        self.task.recall(learnt);
    }

    /// Events that end because no frame has told of them for long.
    pub(crate) fn idle(&mut self, now: Duration) -> Vec<Event> {
        self.events.idle(now)
    }

    /// Events that end because no frame will follow.
    pub(crate) fn end(&mut self, now: Duration) -> Vec<Event> {
        let mut ended = self.events.end(now);
        ended.extend(self.task.end(SystemTime::now()));
        ended
    }

    /// Nothing in the picture has moved since the last frame, so that none is looked at: what it showed is still there.
    pub fn unchanged(&mut self, now: Duration, time: SystemTime) {
        self.events.unchanged(now, time);
    }

    /// Something is known about a followed object that its event is to tell.
    pub(crate) fn touch(&mut self, track_id: u64) {
        self.events.touch(track_id);
    }

    fn with_input<T>(
        &mut self,
        index: usize,
        faint_score: Option<f32>,
        now: Duration,
        time: SystemTime,
        look: impl FnOnce(&mut dyn Task, &TaskInput<'_>) -> Result<T, TaskError>,
    ) -> Result<T, StageError> {
        let model = self.plan.model();
        let inputs: Vec<TensorView<'_>> = (0..model.inputs().len()).map(|i| model.input(i)).collect();
        let outputs: Vec<TensorView<'_>> = (0..model.outputs().len()).map(|i| model.output(i)).collect();
        let input = TaskInput {
            inputs: &inputs,
            outputs: &outputs,
            first_item: index * self.items,
            geometry: self.geometry.get(index).map_or(&[], Vec::as_slice),
            unreadable: self.unreadable.get(index).map_or(&[], Vec::as_slice),
            window: self.windows.get(index),
            faint_score,
            now,
            time,
        };
        Ok(look(self.task.as_mut(), &input)?)
    }
}

impl Stages {
    /// Inferences for one frame at most: more than one where it is looked at in tiles.
    pub fn most_runs(&self) -> u32 {
        self.tiling.as_ref().map_or(1, Tiling::most_runs)
    }

    /// Parts of the frame that was prepared, the whole of it first; none where frames are not looked at in tiles.
    pub fn tiles(&self) -> &[Tile] {
        self.tiling.as_ref().map_or(&[], Tiling::parts)
    }

    /// Takes a frame as the one whose tiles are looked at; one with several readers (`shared`) is decoded at most once for all of them. False
    /// where frames are not looked at in tiles.
    ///
    /// # Errors
    /// [`StageError::Preprocess`]; there is no present frame then.
    fn prepare_tiles(&mut self, frame: &Frame, shared: Option<&Arc<SharedFrame>>) -> Result<bool, StageError> {
        let Some(tiling) = &mut self.tiling else { return Ok(false) };
        tiling.clear();
        let picture = self.preprocessor.hold(frame, shared)?;
        if let Spec::Image(spec) = &self.spec {
            tiling.begin(picture, [spec.height, spec.width]);
        }
        Ok(true)
    }

    /// Objects in one tile of the frame that was prepared, in pixels of the tile, with those that are too uncertain to be told.
    ///
    /// # Errors
    /// [`StageError`].
    pub fn find_in(&mut self, tile: Tile) -> Result<Vec<Detection>, StageError> {
        let geometry = self.preprocessor.write_tile(tile, self.plan.input_mut(0))?;
        if let Some(kept) = self.geometry.first_mut() {
            kept.clear();
            kept.push(geometry);
        }
        self.plan.run_by(None)?;
        let output = self.look_for(0, self.events.least_score(), Duration::ZERO, SystemTime::UNIX_EPOCH)?;
        let mut found = match output.outcome {
            Outcome::Detect { detections, .. } => detections,
            _ => Vec::new(),
        };
        found.extend(output.faint);
        Ok(found)
    }

    /// Takes what was found in a tile of the frame that was prepared, in pixels of the tile.
    pub fn add_found(&mut self, tile: Tile, found: Vec<Detection>) {
        if let Some(tiling) = &mut self.tiling {
            tiling.add(tile, found);
        }
    }

    /// Runs the model over every tile of the frame that was prepared. False where there is none.
    ///
    /// # Errors
    /// [`StageError`].
    fn infer_tiles(&mut self) -> Result<bool, StageError> {
        let Some(tiling) = &mut self.tiling else { return Ok(false) };
        tiling.find_anew();
        let parts = tiling.parts().to_vec();
        for tile in &parts {
            let found = self.find_in(*tile)?;
            self.add_found(*tile, found);
        }
        Ok(!parts.is_empty())
    }

    /// The objects of the frame out of what was found in its tiles; the frame is let go. `None` where there are no tiles.
    fn join_tiles(&mut self) -> Option<TaskOutput> {
        let tiling = self.tiling.as_mut().filter(|tiling| !tiling.parts().is_empty())?;
        self.preprocessor.let_go();
        Some(tiling.joined())
    }
}

/// A meter's second model, and how both are joined.
pub(super) struct MeterStage {
    /// Stages of the dials, where another model reads the digits.
    pub(super) dials: Option<Box<Stages>>,
    /// The meter over time.
    pub(super) meter: join::Meter,
    /// The marks of the last frame were not found.
    pub(super) lost: bool,
}

impl MeterStage {
    /// Runs the second model.
    pub(super) fn infer(&mut self) -> Result<(), StageError> {
        self.dials.as_mut().map_or(Ok(()), |dials| dials.infer())
    }

    /// Joins what the first model read, `first`, with what the second one did.
    pub(super) fn join(
        &mut self,
        first: TaskOutput,
        now: Duration,
        time: SystemTime,
    ) -> Result<TaskOutput, StageError> {
        if self.lost {
            return Ok(Outcome::Meter(self.meter.not_aligned(now, time)).into());
        }
        let mut positions = read(first);
        if let Some(dials) = &mut self.dials {
            positions.extend(read(dials.interpret(0, now, time)?));
        }
        Ok(Outcome::Meter(self.meter.read(&positions, now, time)).into())
    }

    /// State that is kept over a restart.
    pub(super) fn memory(&self) -> Option<Memory> {
        let join::Remembered { counts, time, score } = self.meter.memory()?;
        let reading = Number::parse(&format!("{counts:0width$}", width = self.meter.places()))?;
        Some(Memory { reading, score, time, fastest_per_hour: 0.0 })
    }

    /// Takes over what was kept.
    pub(super) fn restore(&mut self, memory: Memory) {
        let Memory { reading, score, time, .. } = memory;
        if reading.digits() == self.meter.places() {
            self.meter.restore(join::Remembered { counts: reading.value(), time, score });
        }
    }
}

/// The positions of an outcome; every task of a meter gives them.
fn read(output: TaskOutput) -> Vec<PositionRead> {
    match output.outcome {
        Outcome::Position { positions } => positions,
        _ => Vec::new(),
    }
}
