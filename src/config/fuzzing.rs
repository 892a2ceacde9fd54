//! Configuration files, whatever somebody wrote.

use std::{ffi::OsString, path::Path};

use super::Config;

/// What every secret is: long enough for a key, and found again wherever it should not be.
const SECRET: &str = "hunter2-hunter2-hunter2-hunter2-hunter2-hunter2-hunter2-hunter2-";

/// Reads a file.
///
/// An invalid one has problems, each of one line and within the file. The configuration of an
/// accepted one is within its bounds. Neither prints a secret.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.contains("hunter2") {
        return;
    }
    let env = |name: &str| (name.len() < 16).then(|| OsString::from(SECRET));
    match Config::parse(text, Path::new("/nowhere/vingate.toml"), &env) {
        Ok(config) => {
            assert!((1..=500).contains(&config.reloadable.batch.loader.chunk));
            assert!(
                config.reloadable.batch.max_vehicles > 0
                    && config.reloadable.batch.loader.max_parallel > 0
            );
            assert!(
                config.reloadable.limit.max_in_flight > 0
                    && config.restart_only.upstream.max_in_flight > 0
            );
            assert!((0.0..1.0).contains(&config.reloadable.lifetimes.ttl.jitter));
            assert!(
                !config.reloadable.auth.enabled
                    || !config.reloadable.auth.keys.is_empty()
                    || config.restart_only.jwks.is_some()
            );
            assert!(
                config.reloadable.admin.token.is_some()
                    || config.restart_only.admin.ip().to_canonical().is_loopback()
            );
            assert!(config.effective.shown().is_object());
            for printed in [config.effective.shown().to_string(), format!("{config:?}")] {
                assert!(!printed.contains("hunter2"), "it prints a secret");
            }
        }
        Err(problems) => {
            let lines = text.split('\n').count();
            assert!(!problems.list.is_empty(), "it is rejected, and nothing is wrong");
            for problem in &problems.list {
                assert!(!problem.text.is_empty());
                assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)));
            }
            let printed = problems.to_string();
            assert_eq!(printed.lines().count(), problems.list.len(), "a problem has two lines");
            assert!(
                !printed.contains(|c: char| c.is_control() && c != '\n'),
                "a control character"
            );
            assert!(!printed.contains("hunter2"), "it prints a secret");
        }
    }
}
