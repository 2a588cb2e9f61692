//! Loss of a smaller model: how often it decides otherwise than its float form, over the same inputs.

use std::time::{Duration, SystemTime};

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::Tensor;

use super::form::{ends_in_softmax, form};
use crate::evaluate::{Agreements, agreement};
use crate::frame::{Outcome, TaskKind};
use crate::model::{Bundle, Engine};
use crate::pipeline::{Planner, Stages};
use leptond_engine::compress::{CompressError, Samples};
use leptond_governor::Setpoint;
use prost::Message;

/// A model's stages.
struct Subject {
    planner: Planner,
    stages: Stages,
}

/// Outcomes of the float model over samples, to compare others with.
pub(in crate::cli) struct Loss<'a> {
    bundle: &'a Bundle,
    samples: &'a dyn Samples,
    /// A bare model whose scores are shares of classes.
    classes: bool,
    reference: Vec<Outcome>,
}

impl<'a> Loss<'a> {
    /// Runs the float model, whose graph is `model`, over all samples.
    ///
    /// # Errors
    /// Those of loading and running it.
    pub(in crate::cli) fn of(
        bundle: &'a Bundle,
        model: &ModelProto,
        samples: &'a dyn Samples,
    ) -> Result<Loss<'a>, CompressError> {
        let classes = bundle.is_bare() && ends_in_softmax(model);
        let mut loss = Loss { bundle, samples, classes, reference: Vec::new() };
        loss.reference = loss.subject(model, Engine::F32)?.outcomes(samples)?;
        Ok(loss)
    }

    /// `model` as a form of the bundle's, with its stages.
    fn subject(&self, model: &ModelProto, engine: Engine) -> Result<Subject, CompressError> {
        let task = self.classes.then_some(TaskKind::Classify);
        let form = form(self.bundle, model.encode_to_vec(), task, &[])
            .map_err(|error| CompressError::Run(error.to_string()))?;
        Subject::of(form, engine).map_err(CompressError::Run)
    }

    /// Agreement of `model`, a form of the bundle's, with the float model.
    ///
    /// # Errors
    /// Those of loading and running it.
    pub(in crate::cli) fn agreements(&self, model: &ModelProto) -> Result<Agreements, CompressError> {
        let mut subject = self.subject(model, Engine::Auto)?;
        let mut sum = Agreements::default();
        for (reference, other) in self.reference.iter().zip(subject.outcomes(self.samples)?) {
            sum.add(&agreement(reference, &other));
        }
        Ok(sum)
    }

    /// Share of decisions that are lost.
    ///
    /// # Errors
    /// As [`Loss::agreements`]; where outcomes cannot be compared.
    pub(in crate::cli) fn lost(&self, model: &ModelProto) -> Result<f64, CompressError> {
        let measure = self.agreements(model)?.measure();
        let incomparable = || CompressError::Run("its results cannot be compared with those of its float form".into());
        Ok(1.0 - measure.ok_or_else(incomparable)?.share)
    }
}

impl Subject {
    fn of(bundle: Bundle, engine: Engine) -> Result<Subject, String> {
        let planner = Planner::of_bundle(bundle, engine, 1).map_err(|error| error.to_string())?;
        let stages = planner.stages(&Setpoint::full()).map_err(|error| error.to_string())?;
        Ok(Subject { planner, stages })
    }

    fn outcomes(&mut self, samples: &dyn Samples) -> Result<Vec<Outcome>, CompressError> {
        (0..samples.len()).map(|index| self.outcome(&samples.get(index)?[0])).collect()
    }

    fn outcome(&mut self, input: &Tensor) -> Result<Outcome, CompressError> {
        let failed = |error: &dyn std::fmt::Display| CompressError::Run(error.to_string());
        // What a task remembers belongs to one input.
        self.planner.forget(&mut self.stages).map_err(|e| failed(&e))?;
        self.stages.reset_state();
        let values = input.cast_to::<f64>().map_err(|e| failed(&format!("{e:#}")))?;
        let values = values.try_as_plain_ram().and_then(|ram| Ok(ram.as_slice::<f64>()?.to_vec()));
        self.stages.set_input(&values.map_err(|e| failed(&format!("{e:#}")))?).map_err(|e| failed(&e))?;
        self.stages.infer().map_err(|e| failed(&e))?;
        let output = self.stages.interpret(0, Duration::ZERO, SystemTime::UNIX_EPOCH).map_err(|e| failed(&e))?;
        Ok(output.outcome)
    }
}
