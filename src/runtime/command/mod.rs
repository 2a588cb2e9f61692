//! Requests over MQTT: one file a verb, each with its typed request; the registry is [`publish::requests`](crate::publish::requests).
//!
//! A message is [read](read()) by pure code, done by the one [driver](driver::Commands) between two turns of the control loop, and
//! answered on `response/<verb>`. What takes longer (a change of the configuration, a picture, a list of models) is answered when it is
//! done.

mod apply;
mod config_get;
mod config_set;
pub(in crate::runtime) mod desk;
mod detect_set;
pub(in crate::runtime) mod driver;
mod fields;
mod governor_set;
mod in_force;
mod limit;
pub(in crate::runtime) mod model_list;
mod pause;
mod pictures;
pub(in crate::runtime) mod plan;
mod read;
mod reading;
mod response;
mod snapshot;
mod stored;
mod switches;
mod trial;
pub(in crate::runtime) mod work;

pub use config_get::ConfigGet;
pub use config_set::ConfigSet;
pub use governor_set::GovernorSet;
pub use pause::Pause;
pub use read::{Asked, Request, read};
pub use reading::Reading;
pub use snapshot::Snapshot;
pub use stored::{Recovered, recover};
