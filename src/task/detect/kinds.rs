//! The tasks that find objects, with the keys of [`DetectConfig`]: `type = "detect"`, `"pose"`, `"segment"` and `"obb"`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::Detect;
use super::config::DetectConfig;
use crate::frame::diagnostic::{Diagnostic, unique};
use crate::frame::status::Subject;
use crate::frame::{Label, TaskKind, TaskSpec};
use crate::task::contract::{SetupError, Task, TaskConfig};
use crate::task::labels;

/// Implements [`TaskConfig`] for the configurations of tasks that find objects; each but the first holds the first.
macro_rules! objects {
    ($($config:ident($kind:ident, $($part:tt)?);)*) => {
        $(impl TaskConfig for $config {
            fn task(&self, spec: &TaskSpec) -> Result<Box<dyn Task>, SetupError> {
                Ok(Box::new(Detect::new(&self$(.$part)?, TaskKind::$kind, spec)?))
            }

            fn subject(&self, spec: &TaskSpec) -> Subject {
                self$(.$part)?.objects(spec)
            }

            fn least_score(&self) -> Option<f32> {
                Some(self$(.$part)?.min_score())
            }

            fn over(self, below: Self) -> Self {
                self$(.$part)?.merged(below$(.$part)?).into()
            }

            fn check(&self, _regions: usize) -> Vec<Diagnostic> {
                unique(&self$(.$part)?.labels, "labels")
            }

            fn check_labels(&self, known: &[Label]) -> Vec<Diagnostic> {
                labels::check(&self$(.$part)?.labels, known)
            }
        })*
    };
}

/// Declares a configuration that has the keys of [`DetectConfig`].
macro_rules! same_keys {
    ($($(#[$about:meta])* $config:ident;)*) => {
        $($(#[$about])*
        #[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $config(pub DetectConfig);

        impl JsonSchema for $config {
            fn schema_name() -> Cow<'static, str> {
                stringify!($config).into()
            }

            /// The keys themselves, not a reference to them.
            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                DetectConfig::json_schema(generator)
            }
        }

        impl From<DetectConfig> for $config {
            fn from(keys: DetectConfig) -> $config {
                $config(keys)
            }
        })*
    };
}

same_keys! {
    /// Objects with boxes and key points.
    PoseConfig;
    /// Objects with boxes and outlines.
    SegmentConfig;
    /// Objects with boxes that are turned.
    ObbConfig;
}

objects! {
    DetectConfig(Detect,);
    PoseConfig(Pose, 0);
    SegmentConfig(Segment, 0);
    ObbConfig(Obb, 0);
}
