//! Models that compute: all that a worker needs of the program around it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::digest::ModelDigest;

/// Format of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A JPEG file.
    Jpeg,
    /// A PNG file.
    Png,
    /// A BMP file.
    Bmp,
}

impl Content {
    /// All of them.
    pub(super) const ALL: [Content; 3] = [Content::Jpeg, Content::Png, Content::Bmp];

    /// Media type.
    pub(super) fn word(self) -> &'static str {
        match self {
            Content::Jpeg => "image/jpeg",
            Content::Png => "image/png",
            Content::Bmp => "image/bmp",
        }
    }
}

/// One picture to compute with.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Format of `bytes`.
    pub content: Content,
    /// A whole picture file.
    pub bytes: Bytes,
    /// `[width, height]` of the picture before it was made smaller for the way: what boxes are in pixels of. `None` = it was not.
    pub full: Option<[u32; 2]>,
    /// Settings of the task in JSON, of no more than [`SETTINGS_BYTES`]; `None` = as the model's bundle says.
    pub settings: Option<Arc<str>>,
}

/// Longest settings of a task that go with a picture, in bytes.
pub const SETTINGS_BYTES: usize = 1024;

/// Result of one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Computed {
    /// The outcome, a JSON object in one line with `task`.
    pub outcome: String,
    /// Time in the model; of a batch this picture's part.
    pub infer: Duration,
    /// The rung that was computed on, 0 = full work.
    pub rung: u32,
}

/// A model that computes for others, on the thread that opened it.
pub trait Compute {
    /// Digest of the model.
    fn digest(&self) -> &ModelDigest;

    /// Name of the model, for people.
    fn name(&self) -> &str;

    /// Pictures that one inference takes.
    fn batch(&self) -> usize;

    /// Results of one to [`Compute::batch`] pictures, in their order.
    ///
    /// # Errors
    /// For each picture by itself the reason for which it has none.
    fn run(&mut self, pictures: &[Picture]) -> Vec<Result<Computed, Refusal>>;
}

/// Opens a model, which may take seconds; called once, on the thread that computes.
pub type Opener = Box<dyn FnOnce() -> Result<Box<dyn Compute>, String> + Send>;

/// Kind of reason for which a picture has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalKind {
    /// The message is not as it should be.
    Malformed,
    /// It is of another version of the messages.
    Schema,
    /// It is for another model than the one whose queue it is in.
    WrongModel,
    /// It is larger than what this node takes.
    TooLarge,
    /// Its time is over.
    Expired,
    /// It was delivered as often as may be, and no node finished it.
    GivenUp,
    /// It is no whole picture.
    Picture,
    /// It does not fit the model.
    Shape,
    /// The model failed on it.
    Failed,
}

impl RefusalKind {
    /// All of them.
    pub(super) const ALL: [RefusalKind; 9] = [
        RefusalKind::Malformed,
        RefusalKind::Schema,
        RefusalKind::WrongModel,
        RefusalKind::TooLarge,
        RefusalKind::Expired,
        RefusalKind::GivenUp,
        RefusalKind::Picture,
        RefusalKind::Shape,
        RefusalKind::Failed,
    ];

    /// Word for it in messages and counters.
    pub fn word(self) -> &'static str {
        match self {
            RefusalKind::Malformed => "malformed",
            RefusalKind::Schema => "schema",
            RefusalKind::WrongModel => "wrong_model",
            RefusalKind::TooLarge => "too_large",
            RefusalKind::Expired => "expired",
            RefusalKind::GivenUp => "given_up",
            RefusalKind::Picture => "picture",
            RefusalKind::Shape => "shape",
            RefusalKind::Failed => "failed",
        }
    }

    /// True where another node may do what this one refused.
    pub(super) fn may_pass(self) -> bool {
        matches!(self, RefusalKind::Malformed | RefusalKind::Schema | RefusalKind::WrongModel | RefusalKind::Failed)
    }
}

/// Reason for which a picture has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its kind.
    pub kind: RefusalKind,
    /// It in words.
    pub reason: String,
}

impl Refusal {
    /// A refusal with its words.
    pub fn new(kind: RefusalKind, reason: impl Into<String>) -> Refusal {
        Refusal { kind, reason: reason.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.word(), self.reason)
    }
}
