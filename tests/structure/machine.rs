//! What starts the gateway on one machine, systemd or Compose, agrees with its configuration.

use std::{path::Path, time::Duration};

use serde_json::Value;

use crate::{
    deploy::shipped,
    yaml::{at, configuration, documents, list, parse, text},
};

/// The values of a key of a unit.
fn values<'u>(unit: &'u str, key: &str) -> Vec<&'u str> {
    let value = |line: &'u str| line.strip_prefix(key)?.strip_prefix('=');
    unit.lines().filter_map(value).collect()
}

fn seconds(text: &str) -> Duration {
    let count = text.strip_suffix('s').expect("it is in seconds");
    Duration::from_secs(count.parse().expect("it is a number"))
}

/// How long the gateway takes to end, by its defaults.
fn end() -> Duration {
    let config = configuration("[upstream]\nurl = \"https://a\"\n[auth]\nenabled = false\n");
    let server = config.restart_only.server;
    server.drain_delay + server.drain_timeout + Duration::from_secs(12)
}

#[test]
fn units_are_for_the_program_and_its_listener() {
    let (service, socket) = (shipped("vingate.service"), shipped("vingate.socket"));
    let config = configuration("[upstream]\nurl = \"https://a\"\n[auth]\nenabled = false\n");
    let listen = config.restart_only.server.listen.to_string();
    // That of the admin listener would start a gateway that was stopped, at the next scrape.
    assert_eq!(values(&socket, "ListenStream"), [listen]);
    assert!(seconds(values(&service, "TimeoutStopSec")[0]) >= end());
    let [started] = values(&service, "ExecStart")[..] else { panic!("one program is started") };
    let [program, "serve", "--config", file] = started.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{started}");
    };
    for installed in [program, file] {
        let line = |line: &str| line.contains("install -m") && line.ends_with(installed);
        assert!(service.lines().any(line), "{installed} is not installed");
    }
    // The status of anything before it would not count.
    assert_eq!(values(&service, "RestartPreventExitStatus"), ["2"]);
    assert!(values(&service, "ExecStartPre").is_empty());
}

#[test]
fn services_of_compose_find_one_another() {
    let compose = documents("compose.yaml").remove(0);
    let toml = shipped("compose.toml");
    let config = configuration(&toml);
    let ports = [config.restart_only.server.listen.port(), config.restart_only.admin.port()];
    let services = at(&compose, "/services");
    for name in ["gateway", "replica"] {
        let service = &services[name];
        let inside = |port: &Value| text(port, "").rsplit_once(':').unwrap().1.parse().unwrap();
        let inside: Vec<u16> = list(service, "/ports").iter().map(inside).collect();
        assert_eq!(inside, ports, "{name}");
        assert!(seconds(text(service, "/stop_grace_period")) >= end());
        let given = at(service, "/environment").as_object().unwrap();
        for named in toml.split("{ env = \"").skip(1) {
            let named = named.split('"').next().unwrap();
            assert!(given.contains_key(named), "{name} has no {named}");
        }
    }
    for (name, service) in services.as_object().unwrap() {
        let lists = ["depends_on", "configs", "volumes"].map(|key| service[key].as_array());
        let [others, configs, volumes] = lists.map(|list| list.into_iter().flatten());
        for other in others {
            at(services, &format!("/{}", text(other, "")));
        }
        for config in configs {
            at(&compose, &format!("/configs/{}", text(config, "/source")));
        }
        for volume in volumes {
            let file = text(volume, "").split(':').next().unwrap();
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
            assert!(folder.join(file).exists(), "{name} has no {file}");
        }
    }

    let listens = list(services, "/sandbox/command").last();
    let (_, port) = text(listens.unwrap(), "").split_once(':').unwrap();
    let shown = config.effective.shown();
    assert_eq!(text(shown, "/upstream/url"), format!("http://sandbox:{port}"));
    let redis = text(shown, "/shared/url").strip_prefix("redis://").unwrap();
    at(services, &format!("/{}", redis.split(':').next().unwrap()));
    let scraped = parse(text(&compose, "/configs/prometheus/content")).unwrap();
    let scraped = at(&scraped[0], "/scrape_configs/0/static_configs/0/targets");
    let targets = ["gateway", "replica"].map(|name| format!("{name}:{}", ports[1]));
    assert_eq!(scraped, &serde_json::json!(targets));
}
