//! `leptond eval`: how right a model is on labelled files, beside another one, and how far two agree.

pub(super) mod args;
mod coco;
mod data;
mod dataset;
mod judge;
mod list;
mod matrix;
mod measured;
mod names;
mod subject;
mod tally;
mod told;

use std::path::Path;

use super::progress::Counter;
use super::{Failure, say, tell};
use crate::frame::{Label, Spec, TaskKind};
pub use args::Args;
use dataset::{Data, Truth};
pub(super) use judge::{Judge, Judged};
use measured::Measured;
use names::Names;
use subject::Subject;
use tally::Tally;
use told::Told;

/// Inputs that give no result before it is taken for certain that none does.
const HOPELESS: usize = 20;

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let picture = args.confusion.as_deref().map(|file| matrix::Kind::of(file).map(|kind| (file, kind))).transpose()?;
    let mut data = data::look(&args.data, args.images.as_deref())?;
    let mut first = opened(&mut data, &|classes| Subject::open(&args, &args.model, args.engine, classes))?;
    settle(&args.data, args.limit, args.against.is_some(), &mut data, &first)?;
    let mut second = match &args.against {
        Some(model) => {
            let engine = args.against_engine.unwrap_or(args.engine);
            Some(Subject::open(&args, model, engine, data.has_classes())?)
        }
        None => None,
    };
    let tally = |subject: &Subject| Tally::new(&subject.labels, subject.min_score, &data);
    let mut measured = Measured::new(tally(&first), second.as_ref().map(tally));
    if data.labels.is_some() {
        for (subject, tally) in [(Some(&first), Some(&measured.first)), (second.as_ref(), measured.second.as_ref())] {
            if let (Some(subject), Some(tally)) = (subject, tally) {
                check_names(&args.data, &data, subject, &tally.names)?;
            }
        }
    }
    let quant = args.quant.or(first.input_quant()).or(second.as_ref().and_then(Subject::input_quant));
    let mut progress = Counter::new("inputs");
    for (done, input) in data.inputs.iter().enumerate() {
        progress.set(done, data.inputs.len());
        if let Err(reason) = measured.add(input, &mut first, second.as_mut(), quant) {
            measured.unread.push((input.path.clone(), reason));
            // A kind of file that never fits is said at once.
            if measured.inputs == 0 && measured.unread.len() >= HOPELESS {
                break;
            }
        }
    }
    drop(progress);
    if measured.inputs == 0 {
        let (path, reason) =
            measured.unread.first().map_or((args.data.as_path(), "no inputs"), |(p, r)| (p, r.as_str()));
        return Err(anyhow::anyhow!("no input gave a result; {}: {reason}", path.display()).into());
    }
    if let Some((file, kind)) = picture {
        if measured.first.classes.inputs() == 0 {
            return Err(Failure::Usage("--confusion: these results have no classes with labels".into()));
        }
        matrix::write(file, kind, &measured.first.classes, &measured.first.names)?;
    }
    let told = Told {
        data: &args.data,
        labels: data.labels,
        categories: &data.categories,
        first: &first,
        second: second.as_ref(),
    };
    if args.json {
        return say(&told.json(&measured).to_string());
    }
    for line in told.doubts(&measured) {
        tell(&line);
    }
    say(&told.table(&measured))
}

/// Opens a model by `open`, which is told of classes in the data; they may be in names of files, which the model's labels tell.
fn opened(data: &mut Data, open: &dyn Fn(bool) -> Result<Subject, Failure>) -> Result<Subject, Failure> {
    let classes = data.has_classes();
    let subject = open(classes)?;
    data.name_by(&labels_of(&subject));
    if data.has_classes() && !classes { open(true) } else { Ok(subject) }
}

fn labels_of(subject: &Subject) -> Vec<Label> {
    if subject.kind == TaskKind::Anomaly { tally::USUAL.map(Label::from).to_vec() } else { subject.labels.clone() }
}

/// Takes what is asked for of the data, and refuses what cannot be measured.
fn settle(path: &Path, limit: Option<u32>, has_other: bool, data: &mut Data, first: &Subject) -> Result<(), Failure> {
    let shown = path.display();
    if data.inputs.is_empty() {
        return Err(Failure::Usage(format!("{shown}: it names no inputs")));
    }
    if data.labels.is_none() && !has_other {
        return Err(Failure::Usage(format!(
            "{shown}: no labels in it. Labels are folders named as the classes, a list (labels.csv with the columns file and label), COCO \
             annotations (instances.json), or files with the class in their names (cat_001.jpg, Stop_7.bin); without labels, --against \
             MODEL says how far two models agree"
        )));
    }
    let misfits = data.misfits(first.spec());
    if misfits == data.inputs.len() {
        let takes = match first.spec() {
            Spec::Image(_) => "pictures (.jpg, .png, .bmp)",
            Spec::Window(_) | Spec::Readings => "tables of readings (.csv, .jsonl)",
        };
        let found = data.inputs[0].path.display();
        return Err(Failure::Usage(format!(
            "{shown}: {} takes {takes} or bare values (.npy, .bin, .f32), and these are none, such as {found}",
            first.name
        )));
    }
    data.limit(limit);
    Ok(())
}

/// Refuses names that are no class of the model.
fn check_names(path: &Path, data: &Data, subject: &Subject, names: &Names) -> Result<(), Failure> {
    let given = data.inputs.iter().filter_map(|input| match &input.truth {
        Some(Truth::Name(name)) => Some(name.as_str()),
        _ => None,
    });
    let unknown = match subject.kind {
        // Whether it is one class or a reading of several places is told by the results; a reading is no class.
        TaskKind::Classify if !subject.is_reading() => names.unknown(given),
        TaskKind::Anomaly | TaskKind::Baseline | TaskKind::Threshold => {
            let mut unknown: Vec<&str> = given.filter(|name| tally::is_anomaly(name).is_none()).collect();
            unknown.sort_unstable();
            unknown.dedup();
            (!unknown.is_empty()).then(|| format!("{unknown:?}: an anomaly's labels are normal and anomaly"))
        }
        _ => None,
    };
    match unknown {
        Some(reason) => Err(Failure::Usage(format!("{}: {}: {reason}", path.display(), subject.name))),
        None => Ok(()),
    }
}
