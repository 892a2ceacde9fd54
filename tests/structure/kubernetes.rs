//! The manifests agree with one another and with the configuration of the pods.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use serde_json::{Value, json};

use crate::{
    deploy::shipped,
    yaml::{at, configuration, documents, list, parse, text, texts},
};

const FOLDERS: [&str; 4] = ["base", "monitoring", "shared", "trace"];

const MIB: u64 = 1024 * 1024;

/// The files of a folder, but for its kustomization.
fn files(folder: &str) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes");
    let entries = fs::read_dir(root.join(folder)).expect("it is a folder");
    entries
        .map(|entry| entry.expect("it is read").file_name())
        .map(|name| name.into_string().expect("its name is text"))
        .filter(|name| name != "kustomization.yaml")
        .collect()
}

fn kustomization(folder: &str) -> Value {
    documents(&format!("kubernetes/{folder}/kustomization.yaml")).remove(0)
}

/// The objects of these folders.
fn objects(folders: &[&str]) -> Vec<Value> {
    let in_folder = |folder: &&str| {
        let files = files(folder).into_iter();
        let files = files.filter(|name| name.ends_with(".yaml"));
        let names: Vec<_> = files
            .map(|name| format!("kubernetes/{folder}/{name}"))
            .collect();
        names.into_iter().flat_map(|name| documents(&name))
    };
    folders.iter().flat_map(in_folder).collect()
}

fn of_kind<'o>(objects: &'o [Value], kind: &str) -> Vec<&'o Value> {
    objects.iter().filter(|it| it["kind"] == kind).collect()
}

fn deployment() -> Value {
    documents("kubernetes/base/deployment.yaml").remove(0)
}

fn container(deployment: &Value) -> &Value {
    at(deployment, "/spec/template/spec/containers/0")
}

/// Whether what selects `selector` selects what has these labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let mut selector = selector.as_object().expect("labels").iter();
    selector.all(|(name, value)| labels.get(name) == Some(value))
}

#[test]
fn a_kustomization_names_the_files_beside_it() {
    for folder in FOLDERS {
        let kustomization = kustomization(folder);
        let resources = texts(&kustomization, "/resources");
        let (others, own): (Vec<&str>, Vec<&str>) =
            resources.iter().partition(|name| name.starts_with("../"));
        let generated = kustomization.pointer("/configMapGenerator/0/files");
        let generated = generated.and_then(Value::as_array).into_iter().flatten();
        let named = own.into_iter().chain(generated.map(|it| text(it, "")));
        assert_eq!(named.map(str::to_owned).collect::<BTreeSet<_>>(), files(folder), "{folder}");
        assert!(others.iter().all(|other| FOLDERS.contains(&&other[3..])), "{others:?}");
    }
}

#[test]
fn what_selects_pods_selects_the_gateways() {
    let objects = objects(&FOLDERS);
    let deployment = deployment();
    let labels = at(&deployment, "/spec/template/metadata/labels");
    let mut selectors = vec![at(
        &deployment,
        "/spec/template/spec/topologySpreadConstraints/0/labelSelector/matchLabels",
    )];
    for (kind, count, pointer) in [
        ("Deployment", 1, "/spec/selector/matchLabels"),
        ("Service", 2, "/spec/selector"),
        ("PodDisruptionBudget", 1, "/spec/selector/matchLabels"),
        ("NetworkPolicy", 3, "/spec/podSelector/matchLabels"),
    ] {
        let objects = of_kind(&objects, kind);
        assert_eq!(objects.len(), count, "{kind}");
        selectors.extend(objects.into_iter().map(|object| at(object, pointer)));
    }
    for selector in selectors {
        assert!(selects(selector, labels), "{selector} does not select {labels}");
    }

    let monitors = of_kind(&objects, "ServiceMonitor");
    let services = of_kind(&objects, "Service");
    let wanted = at(monitors[0], "/spec/selector/matchLabels");
    let watched: Vec<_> = services
        .into_iter()
        .filter(|service| selects(wanted, at(service, "/metadata/labels")))
        .collect();
    assert_eq!(watched.len(), 1, "it watches the admin listener alone");
    assert_eq!(at(watched[0], "/spec/ports/0/name"), at(monitors[0], "/spec/endpoints/0/port"));
}

#[test]
fn ports_and_probes_are_those_of_the_listeners() {
    let config = configuration(&shipped("kubernetes/base/vingate.toml")).restart_only;
    let deployment = deployment();
    let container = container(&deployment);
    assert_eq!(
        at(container, "/ports"),
        &json!([
            { "name": "http", "containerPort": config.server.listen.port() },
            { "name": "admin", "containerPort": config.admin.port() },
        ])
    );
    for address in [config.server.listen, config.admin] {
        assert!(address.ip().is_unspecified(), "nobody reaches {address}");
    }
    for (probe, path) in [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
        let asked = at(container, &format!("/{probe}/httpGet"));
        assert_eq!(asked, &json!({ "path": path, "port": "admin" }), "{probe}");
    }
    let objects = objects(&["base"]);
    let mut named: Vec<_> = of_kind(&objects, "Service")
        .into_iter()
        .map(|service| text(service, "/spec/ports/0/targetPort"))
        .collect();
    for rule in list(of_kind(&objects, "NetworkPolicy")[0], "/spec/ingress") {
        named.push(text(rule, "/ports/0/port"));
    }
    assert_eq!(named, ["http", "admin", "http", "admin"]);
}

#[test]
fn files_are_where_the_configuration_looks_for_them() {
    let toml = shipped("kubernetes/base/vingate.toml");
    let deployment = deployment();
    let container = container(&deployment);
    let pod = at(&deployment, "/spec/template/spec");
    let mounted = |kind: &str| {
        let volumes = list(pod, "/volumes").iter();
        let volume = volumes.into_iter().find(|volume| volume[kind].is_object());
        let volume = volume.unwrap_or_else(|| panic!("no volume is a {kind}"));
        let mut mounts = list(container, "/volumeMounts").iter();
        let mount = mounts.find(|mount| mount["name"] == volume["name"]);
        (&volume[kind], text(mount.expect("it is mounted"), "/mountPath"))
    };
    let kustomization = kustomization("base");
    let (config, folder) = mounted("configMap");
    assert_eq!(config["name"], kustomization["configMapGenerator"][0]["name"]);
    let file = format!("ENV VINGATE_CONFIG={folder}/vingate.toml\n");
    assert!(shipped("Dockerfile").contains(&file), "the image looks for no {file}");
    let (secret, folder) = mounted("secret");
    assert_eq!(secret["secretName"], "vingate");
    let told = shipped("kubernetes/base/kustomization.yaml");
    let named: Vec<_> = toml.split("{ file = \"").skip(1).collect();
    assert!(named.len() > 1, "found the files");
    for path in named.iter().filter_map(|rest| rest.split('"').next()) {
        let name = path.strip_prefix(&format!("{folder}/"));
        let made = format!("--from-file={}", name.unwrap_or_else(|| panic!("{path} is no secret")));
        assert!(told.contains(&made), "nobody is told of {made}");
    }
    assert_eq!(container["image"], kustomization["images"][0]["name"]);
}

#[test]
fn pods_have_memory_and_time() {
    let config = configuration(&shipped("kubernetes/base/vingate.toml")).restart_only;
    let mebibytes = |value: &Value| {
        let count = text(value, "").strip_suffix("Mi").expect("it is in Mi");
        count.parse::<u64>().unwrap() * MIB
    };
    // As the README says.
    let needed = config.cache.capacity / 10 * 11 + 200 * MIB;
    let deployment = deployment();
    let resources = at(container(&deployment), "/resources");
    assert_eq!(at(resources, "/requests/memory"), at(resources, "/limits/memory"));
    assert!(mebibytes(at(resources, "/limits/memory")) >= needed);
    let patches = kustomization("shared");
    let patches = parse(text(&patches, "/patches/0/patch")).unwrap().remove(0);
    let patches = list(&patches, "");
    assert_eq!(patches.len(), 2);
    for patch in patches {
        at(&deployment, text(patch, "/path"));
        assert!(mebibytes(at(patch, "/value")) >= needed + 64 * MIB);
    }
    let grace = at(&deployment, "/spec/template/spec/terminationGracePeriodSeconds");
    let grace = Duration::from_secs(grace.as_u64().unwrap());
    let drains = config.server.drain_delay + config.server.drain_timeout;
    assert!(grace >= drains + Duration::from_secs(12));
}
