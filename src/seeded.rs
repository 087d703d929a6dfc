//! Errors seeded for tests/model, which has to find them. Only in builds with the feature `seeded-bugs`.

use std::sync::OnceLock;

/// Is this the error that KQUEUE_SEEDED_BUG asks for?
pub fn is(bug: &str) -> bool {
    static CHOSEN: OnceLock<Option<String>> = OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var("KQUEUE_SEEDED_BUG").ok()).as_deref() == Some(bug)
}
