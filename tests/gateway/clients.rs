//! The clients that the README shows, as programs.

use std::{env, io::Write as _, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use crate::support::Gateway;

const README: &str = include_str!("../../README.md");

/// Of each client: the language of its block, what runs it, and the program that has to be there.
const CLIENTS: [(&str, &[&str], &str); 3] = [
    ("sh", &["sh", "-c"], "curl"),
    ("js", &["node", "--input-type=module", "--eval"], "node"),
    ("python", &["python3", "-c"], "python3"),
];

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn clients_of_the_readme_look_up_a_vehicle() {
    let gateway = Gateway::start("").await;
    let url = format!("http://{}", gateway.address);
    let (_, token) = gateway.own_token().split_once(' ').unwrap();
    // It takes a project and the SDK of .NET, which Debian does not have.
    let mut left_out = vec!["csharp"];
    for (language, command, program) in CLIENTS {
        let code = snippet(language);
        if !is_there(program) {
            left_out.push(language);
            continue;
        }
        let ran = Command::new(command[0])
            .args(&command[1..])
            .arg(code)
            .envs([("VINGATE", &*url), ("TOKEN", token), ("NO_PROXY", "127.0.0.1")])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let ended = timeout(PATIENCE, ran).await.expect("it ends").unwrap();
        assert!(ended.status.success(), "{language}: {ended:?}");
        let said = String::from_utf8(ended.stdout).unwrap();
        assert!(said.contains("3VWFE21C04M000001"), "{language}: {said}");
    }
    let (ran, calls) = (4 - left_out.len(), gateway.sandbox.counters().batches);
    assert_eq!(calls, u64::from(ran > 0), "whoever comes second has a hit");
    assert_eq!(gateway.metric("vingate_batch_vehicles_count").await, ran as f64);
    snippet("csharp");
    // Past what the test harness keeps for itself.
    let line = format!("left out: clients of the README in {}\n", left_out.join(", "));
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The last block of the README in this language.
fn snippet(language: &str) -> &'static str {
    let (_, block) = README
        .rsplit_once(&format!("```{language}\n"))
        .unwrap_or_else(|| panic!("the README has no block in {language}"));
    let (code, _) = block.split_once("```\n").unwrap();
    code
}

fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
