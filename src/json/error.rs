//! Why a text is not JSON, for logs and for its sender.

use std::fmt;

/// Why a text is not the JSON that it should be.
///
/// serde quotes what it found, which may be a vehicle. So `Display` and `Debug` tell the line and
/// the column alone.
pub struct NotJson(serde_json::Error);

impl NotJson {
    /// In words that quote the text: for whoever sent it.
    pub fn in_full(&self) -> impl fmt::Display {
        &self.0
    }
}

impl From<serde_json::Error> for NotJson {
    fn from(error: serde_json::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "see line {} column {}", self.0.line(), self.0.column())
    }
}

impl fmt::Debug for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NotJson({self})")
    }
}

impl std::error::Error for NotJson {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_where_and_quotes_only_when_asked_to() {
        let error = serde_json::from_str::<u8>("\n \"3VWFE21C04M000001\"").unwrap_err();
        let error = NotJson::from(error);
        for printed in [error.to_string(), format!("{error:?}")] {
            assert!(printed.contains("see line 2 column 20"), "{printed}");
            assert!(!printed.contains("3VW"), "{printed}");
        }
        assert!(error.in_full().to_string().contains("3VWFE21C04M000001"));
        assert!(std::error::Error::source(&error).is_none());
    }
}
