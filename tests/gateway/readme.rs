//! What the README shows: clients, which run, and configurations, which are accepted.

use std::{env, fs, io::Write as _, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use crate::support::{Gateway, SECRET};

const README: &str = include_str!("../../README.md");

/// Those that are deployed.
const DEPLOYED: [&str; 2] = [
    include_str!("../../deploy/compose.toml"),
    include_str!("../../deploy/kubernetes/base/vingate.toml"),
];

/// What a recipe leaves out because it is not about that.
const UPSTREAM: &str = "[upstream]\nurl = \"https://sync.example\"\n";
const KEYS: &str =
    "[[auth.key]]\nid = \"house\"\nalgorithm = \"HS256\"\nsecret = { env = \"JWT_SECRET\" }\n";

/// Of each client: the language of its block, what runs it, and the program that has to be there.
const CLIENTS: [(&str, &[&str], &str); 4] = [
    ("sh", &["sh", "-c"], "curl"),
    ("js", &["node", "--input-type=module", "--eval"], "node"),
    ("python", &["python3", "-c"], "python3"),
    ("csharp", &["sh", "-c", COMPILE_AND_RUN], "mcs"),
];

/// What .NET would take a project for.
const COMPILE_AND_RUN: &str = r#"
    folder=$(mktemp -d)
    trap 'rm -r "$folder"' EXIT
    printf %s "$0" >"$folder/client.cs"
    mcs -r:System.Net.Http -out:"$folder/client.exe" "$folder/client.cs" && mono "$folder/client.exe"
"#;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn clients_of_the_readme_look_up_a_vehicle() {
    let gateway = Gateway::start("").await;
    let url = format!("http://{}", gateway.address);
    let (_, token) = gateway.own_token().split_once(' ').unwrap();
    let mut left_out = Vec::new();
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
    let (ran, calls) = (CLIENTS.len() - left_out.len(), gateway.sandbox.counters().batches);
    assert_eq!(calls, u64::from(ran > 0), "whoever comes second has a hit");
    assert_eq!(gateway.metric("vingate_batch_vehicles_count").await, ran as f64);
    if !left_out.is_empty() {
        // Past what the test harness keeps for itself.
        let line = format!("left out: clients of the README in {}\n", left_out.join(", "));
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

#[tokio::test]
async fn configurations_are_accepted() {
    let folder = env::temp_dir().join(format!("vingate-readme-{}", std::process::id()));
    let recipes: Vec<_> = blocks("toml").collect();
    assert!(recipes.len() > 5, "found the recipes");
    for shown in recipes.into_iter().chain(DEPLOYED) {
        let mut text = shown.replace("/run/secrets/vingate/", "secrets/");
        for (table, missing) in [("[upstream]", UPSTREAM), ("[auth", KEYS)] {
            if !text.contains(table) {
                text += missing;
            }
        }
        for named in text.split("file = \"").skip(1) {
            let file = folder.join(named.split('"').next().unwrap());
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, SECRET).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("vingate.toml");
        fs::write(&file, &text).unwrap();
        let names = text.split("env = \"").skip(1);
        let names = names.filter_map(|rest| rest.split('"').next());
        let check = Command::new(env!("CARGO_BIN_EXE_vingate"))
            .args(["check", "--config"])
            .arg(file)
            .envs(names.map(|name| (name, SECRET)))
            .output();
        let ended = timeout(PATIENCE, check).await.expect("it ends").unwrap();
        assert!(ended.status.success(), "{text}\n{ended:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}

/// The blocks of the README in this language.
fn blocks(language: &str) -> impl Iterator<Item = &'static str> {
    let parts: Vec<_> = README.split(&*format!("```{language}\n")).collect();
    let rest = parts.into_iter().skip(1);
    rest.map(|rest| rest.split_once("```\n").unwrap().0)
}

/// The last block of the README in this language.
fn snippet(language: &str) -> &'static str {
    let last = blocks(language).last();
    last.unwrap_or_else(|| panic!("the README has no block in {language}"))
}

pub(crate) fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
