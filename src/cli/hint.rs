//! Flags that settle what a model's file leaves open.

/// The error, with the flags to give where a dimension is open.
pub(super) fn hint(error: String) -> String {
    let open = error.contains("is open in the file");
    if open { format!("{error}: say --size HEIGHTxWIDTH, or --rows and --channels for readings") } else { error }
}
