//! Subcommands as processes: what they print, and how they end.

use std::{
    fs::{self, File},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    time::timeout,
};

use crate::support::{SECRET, configuration};

/// Every subcommand that prints, with its arguments.
const PRINTING: [&[&str]; 12] = [
    &["check", "--config", "FILE"],
    &["check", "--config", "FILE", "--explain", "cache.capacity"],
    &["token", "--config", "FILE", "--subject", "a"],
    &["schema"],
    &["completions", "bash"],
    &["man"],
    &["openapi"],
    &["--help"],
    &["--version"],
    &["help", "serve"],
    &["demo", "--listen", "127.0.0.1:0"],
    &["sandbox", "--listen", "127.0.0.1:0"],
];

const DOCUMENT: &str = include_str!("../../deploy/commands.md");

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_output_that_cannot_be_written_ends_with_a_sentence_and_status_1() {
    let file = std::env::temp_dir().join(format!("vingate-output-{}", std::process::id()));
    fs::write(&file, configuration("", "http://127.0.0.1:1")).unwrap();
    for arguments in PRINTING {
        for output in [closed(), full()] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_vingate"));
            for argument in arguments {
                match *argument {
                    "FILE" => command.arg(&file),
                    argument => command.arg(argument),
                };
            }
            let child = command
                .envs([("SYNC_ALL", "Bearer a"), ("JWT_SECRET", SECRET)])
                .stdin(Stdio::null())
                .stdout(output)
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            let ended = timeout(PATIENCE, child.wait_with_output()).await;
            let ended = ended.expect("it ends").unwrap();
            let errors = String::from_utf8(ended.stderr).unwrap();
            assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {errors}");
            let sentence = "vingate: cannot write to standard output: ";
            assert!(errors.starts_with(sentence), "{arguments:?}: {errors}");
            assert_eq!(errors.lines().count(), 1, "{arguments:?}: {errors}");
        }
    }
    fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn a_check_finds_that_nobody_is_trusted() {
    let folder = std::env::temp_dir().join(format!("vingate-roots-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (file, empty) = (folder.join("a.toml"), folder.join("empty.pem"));
    fs::write(&empty, "").unwrap();
    for (url, status) in [("https://127.0.0.1:1", 2), ("http://127.0.0.1:1", 0)] {
        fs::write(&file, configuration("", url)).unwrap();
        let check = Command::new(env!("CARGO_BIN_EXE_vingate"))
            .args(["check", "--config"])
            .arg(&file)
            .envs([("SYNC_ALL", "Bearer a"), ("JWT_SECRET", SECRET)])
            .env("SSL_CERT_FILE", &empty)
            .env_remove("SSL_CERT_DIR")
            .output();
        let checked = check.await.unwrap();
        let errors = String::from_utf8(checked.stderr).unwrap();
        assert_eq!(checked.status.code(), Some(status), "{url}: {errors}");
        let names = |word| errors.contains(word);
        let is_named = names("upstream.ca") && names("SSL_CERT_FILE");
        assert_eq!(is_named, status != 0, "{url}: {errors}");
    }
    fs::remove_dir_all(folder).unwrap();
}

/// Of two, at least one has no admin listener where commands look for it.
#[tokio::test]
async fn commands_that_a_demo_prints_can_be_pasted() {
    let mut demos = Vec::new();
    for _ in 0..2 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vingate"));
        let demo = command.args(["demo", "--listen", "127.0.0.1:0"]);
        let mut demo = demo
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
        let (mut pasted, mut admin) = (Vec::new(), None);
        while pasted.len() < 2 {
            let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
            let line = line.expect("the demo prints commands");
            if let Some(address) = line.strip_prefix("  admin    ") {
                admin = Some(address.to_owned());
            }
            let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            if words.first().is_some_and(|word| word == "vingate") && line.starts_with("  ") {
                pasted.push(words);
            }
        }
        demos.push((demo, pasted, admin.unwrap()));
    }
    assert_ne!(demos[0].2, demos[1].2);
    for (_, pasted, admin) in &demos {
        assert!(pasted.iter().any(|words| words[1] == "status"), "{pasted:?}");
        assert!(pasted.iter().any(|words| words[1] == "explain"), "{pasted:?}");
        for words in pasted {
            let has_option = words.contains(admin) && words.iter().any(|word| word == "--admin");
            assert_eq!(has_option, admin != "http://127.0.0.1:9090", "{words:?}");
            // Which would not end.
            let words = words[1..].iter().filter(|word| *word != "--watch");
            let ran = Command::new(env!("CARGO_BIN_EXE_vingate"))
                .args(words)
                .output();
            let ran = timeout(PATIENCE, ran).await.expect("it ends").unwrap();
            assert!(ran.status.success() && !ran.stdout.is_empty(), "{ran:?}");
        }
    }
}

#[tokio::test]
async fn a_key_is_explained_with_its_value_in_every_table_of_a_list() {
    let file = std::env::temp_dir().join(format!("vingate-explained-{}", std::process::id()));
    let account = |name: &str| {
        let value = "value = { env = \"SYNC_ALL\" }";
        format!("[[account]]\nname = \"{name}\"\n{value}\nsubjects = [\"{name}\"]\n")
    };
    let accounts = account("rental") + &account("fleet");
    fs::write(&file, configuration(&accounts, "http://127.0.0.1:1")).unwrap();
    for (key, values) in [
        ("account.name", "\"rental\", \"fleet\""),
        ("account.value", "\"***\", \"***\""),
        ("auth.key.algorithm", "\"HS256\""),
        ("upstream.url", "\"http://127.0.0.1:1\""),
    ] {
        let explain = Command::new(env!("CARGO_BIN_EXE_vingate"))
            .args(["check", "--explain", key, "--config"])
            .arg(&file)
            .envs([("SYNC_ALL", "Bearer a"), ("JWT_SECRET", SECRET)])
            .output();
        let explained = String::from_utf8(explain.await.unwrap().stdout).unwrap();
        let line = format!("\n  in {}: {values}\n", file.display());
        assert!(explained.ends_with(&line), "{key}: {explained}");
    }
    fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn a_token_that_no_account_takes_comes_with_a_warning() {
    let file = std::env::temp_dir().join(format!("vingate-subjects-{}", std::process::id()));
    let account = |subject: &str| {
        let value = "value = { env = \"SYNC_ALL\" }";
        format!("[[account]]\nname = \"fleet\"\n{value}\nsubjects = [\"{subject}\"]\n")
    };
    let warning = "vingate: no account is configured for this subject: its requests get a 403\n";
    for (accounts, said) in [
        (account("billing"), ""),
        (account("Billing"), warning),
        (account("*"), ""),
        ("# no accounts\n".to_owned(), ""),
    ] {
        fs::write(&file, configuration(&accounts, "http://127.0.0.1:1")).unwrap();
        let token = Command::new(env!("CARGO_BIN_EXE_vingate"))
            .args(["token", "--subject", "billing", "--config"])
            .arg(&file)
            .envs([("SYNC_ALL", "Bearer a"), ("JWT_SECRET", SECRET)])
            .output();
        let token = token.await.unwrap();
        assert_eq!(String::from_utf8(token.stderr).unwrap(), said, "{accounts}");
        assert!(token.status.success());
        assert_eq!(token.stdout.iter().filter(|byte| **byte == b'.').count(), 2);
    }
    fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn the_documents_have_every_command() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vingate"));
    let help = command.arg("--help").output().await.unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let names = commands.filter_map(|line| line.split_whitespace().next());
    let names: Vec<_> = names.filter(|name| *name != "help").collect();
    assert!(names.contains(&"serve") && names.len() > 5, "{help}");
    for name in names {
        let row = format!("\n| `vingate {name}");
        assert!(DOCUMENT.contains(&row), "{name}");
    }
}

#[tokio::test]
async fn what_cannot_be_understood_ends_with_status_2() {
    for arguments in [
        &["man", "fly"][..],
        &["check", "--explain", "cache.capacty"],
        &["fly"],
        &["serve", "--fast"],
        &["completions", "x"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vingate"));
        let ended = command.args(arguments).output().await.unwrap();
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
        assert!(ended.stdout.is_empty() && !ended.stderr.is_empty(), "{arguments:?}");
    }
}

/// A pipe whose reader is gone.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// A disk without room.
fn full() -> Stdio {
    File::options()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}
