//! One reading as it comes: values with names, or in an order.

use std::sync::Arc;

use super::number::Field;

/// Name of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Keys from the outside in, array elements by index: one for a flat object or a column.
    pub path: Vec<String>,
    /// Number of a CSV column, from 1.
    pub column: Option<usize>,
    /// The value is an object or array, whose own values have keys of their own.
    pub nested: bool,
}

impl Key {
    /// A column by its header.
    pub fn of_column(name: impl Into<String>, column: usize) -> Self {
        Key { path: vec![name.into()], column: Some(column), nested: false }
    }

    /// The path with dots: `ENERGY.Power`, `phases.0.volts`.
    pub fn plain(&self) -> String {
        self.path.join(".")
    }

    /// The path with dots, where those within a key are written `\.`, so that no two paths look alike.
    pub fn escaped(&self) -> String {
        let escape = |key: &String| key.replace('\\', "\\\\").replace('.', "\\.");
        self.path.iter().map(escape).collect::<Vec<_>>().join(".")
    }

    /// The innermost key.
    pub fn leaf(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// `"temp" (column 3)`, for messages.
    pub fn describe(&self) -> String {
        match self.column {
            Some(column) => format!("{:?} (column {column})", self.plain()),
            None => self.escaped(),
        }
    }
}

/// Origin of the names of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// Keys of a JSON object: each reading has its own.
    Object,
    /// A CSV header, which holds for all lines below it.
    Header,
    /// Column numbers, since there is no header; `in_order` when the configuration says so, and its channels stand for
    /// the columns in their order.
    Columns {
        /// The configured channels are the columns.
        in_order: bool,
    },
}

/// One reading.
#[derive(Clone, Debug, PartialEq)]
pub enum Values<'a> {
    /// Each value has a name.
    Named {
        /// One per value.
        keys: Arc<[Key]>,
        /// The values.
        fields: Vec<Field<'a>>,
        /// Origin of the names.
        naming: Naming,
    },
    /// The values stand in the order of the channels.
    Listed(Vec<Field<'a>>),
}
