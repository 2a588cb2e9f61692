//! User names at a broker as people type them.

/// A user name; `-` is none, as at the question of `setup`, and gives an empty one.
///
/// # Errors
/// An empty name: a variable of a script that is not set.
pub(super) fn username(text: &str) -> Result<String, String> {
    match text {
        "" => Err("it is empty; - is for no user name".into()),
        "-" => Ok(String::new()),
        name => Ok(name.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dash_is_no_name() {
        assert_eq!((username("ann"), username("-")), (Ok("ann".into()), Ok(String::new())));
        assert!(username("").is_err());
    }
}
