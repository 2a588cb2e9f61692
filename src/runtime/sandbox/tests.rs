use super::*;
use crate::config::Config;

fn loaded(toml: &str) -> Loaded {
    Loaded::built_in(toml_edit::de::from_str::<Config>(toml).unwrap())
}

#[test]
fn every_named_path_is_open_and_nothing_beside_it() {
    let pipeline = |source: &str| format!("[[pipeline]]\nname = \"p\"\nmodel = \"m\"\nsource = {source}\n");
    let check = |toml: &str, reads: &[&str], devices: &[&str], closed: &[&str]| {
        let needed = needs(&loaded(toml), &|_| None);
        let has = |list: &[PathBuf], path: &str| list.iter().any(|root| Path::new(path).starts_with(root));
        for path in reads {
            assert!(has(&needed.read, path), "{path} in {:?} of {toml}", needed.read);
        }
        for path in devices {
            assert!(has(&needed.devices, path), "{path} in {:?} of {toml}", needed.devices);
        }
        for path in closed {
            let all = [&needed.read, &needed.devices, &needed.write];
            assert!(!all.iter().any(|list| has(list, path)), "{path} is open to {toml}");
        }
    };
    check(
        "",
        &["/etc/leptond/leptond.toml", "/usr/bin/ffmpeg"],
        &["/dev/vcio"],
        &["/home/pi/x", "/dev/video0", "/tmp/x"],
    );
    check("[mqtt]\npassword_file = \"/srv/a/pw\"", &["/srv/a/pw"], &[], &["/srv/b"]);
    check(
        "[mqtt.tls]\nca_file = \"/srv/a/ca.pem\"\nkey_file = \"/srv/b/k\"",
        &["/srv/a/x", "/srv/b/k"],
        &[],
        &["/srv/c"],
    );
    let writes = |requests: &str| {
        let mut loaded = loaded(&format!("[mqtt]\nrequests = {requests}"));
        loaded.path = Some("/srv/c/leptond.toml".into());
        needs(&loaded, &|_| None).write.contains(&PathBuf::from("/srv/c"))
    };
    assert!(writes("[\"config/set\"]") && !writes("\"all\""), "the configuration, where requests may change it");
    check("[models]\ndirs = [\"/srv/m\"]", &["/srv/m/digits/model.onnx"], &[], &["/srv/n"]);
    for (path, inside, outside) in [
        ("/srv/p/*.jpg", "/srv/p/1.jpg", "/srv/q/1.jpg"),
        ("/srv/p/a*/x.jpg", "/srv/p/ab/x.jpg", "/srv/q"),
        ("/srv/p/one.jpg", "/srv/p/one.jpg", "/srv/q"),
    ] {
        check(&pipeline(&format!("{{ type = \"files\", path = \"{path}\" }}")), &[inside], &[], &[outside]);
    }
    check(&pipeline("{ type = \"v4l2\" }"), &[], &["/dev/video7"], &["/home/pi"]);
    check(
        &pipeline("{ type = \"sensor\", kind = \"csv\", path = \"/srv/p/a.csv\" }"),
        &["/srv/p/a.csv"],
        &[],
        &["/dev/video0"],
    );
    check(
        &pipeline("{ type = \"rpicam\", program = \"/srv/bin/vid\", extra_args = [\"--tuning-file=/srv/t/x.json\"] }"),
        &["/srv/bin/vid", "/srv/t/x.json"],
        &["/dev/dma_heap/linux,cma"],
        &["/srv/u"],
    );
    for url in ["/srv/v/film.mp4", "file:///srv/v/film.mp4"] {
        check(&pipeline(&format!("{{ type = \"rtsp\", url = \"{url}\" }}")), &["/srv/v/film.mp4"], &[], &["/srv/w"]);
    }
}

#[test]
fn a_reload_may_name_what_is_open() {
    let env: Env<'_> = &|_| None;
    let source = |path: &str| {
        loaded(&format!(
            "[[pipeline]]\nname = \"p\"\nmodel = \"m\"\nsource = {{ type = \"files\", path = \"{path}\" }}\n"
        ))
    };
    let given = Given { allowed: Some(needs(&source("/srv/p/1.jpg"), env)), said: String::new() };
    assert_eq!(given.check(&source("/srv/p/2.jpg"), env), Ok(()));
    let refused = given.check(&source("/srv/q/1.jpg"), env).unwrap_err();
    assert!(refused.starts_with("/srv/q is out of reach since the start (landlock); restart leptond"), "{refused}");
    let camera = loaded("[[pipeline]]\nname = \"p\"\nmodel = \"m\"\nsource = { type = \"v4l2\" }\n");
    assert!(given.check(&camera, env).unwrap_err().starts_with("/dev is out of reach"));
    let open = Given { allowed: None, said: String::new() };
    assert_eq!(open.check(&camera, env), Ok(()));
}

#[test]
fn state_has_one_place_the_configured_one_then_the_services_then_the_users() {
    let check = |toml: &str, env: &[(&str, &str)], expected: Option<&str>| {
        let given = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        let config = loaded(toml).config;
        let dir = crate::model::autotune::state_dir(&config.node.state_dir, &given);
        assert_eq!(dir.as_deref(), expected.map(Path::new), "{toml} {env:?}");
        let writes = needs(&loaded(toml), &given).write;
        assert!(dir.is_none_or(|dir| writes.contains(&dir)), "{writes:?} for {toml} {env:?}");
    };
    let service = ("STATE_DIRECTORY", "/var/lib/leptond:/var/lib/more");
    let (cache, home) = (("XDG_CACHE_HOME", "/c"), ("HOME", "/h"));
    check("[node]\nstate_dir = \"/srv/state\"", &[service, cache, home], Some("/srv/state"));
    check("", &[service, cache, home], Some("/var/lib/leptond"));
    check("", &[("STATE_DIRECTORY", ""), cache, home], Some("/c/leptond"));
    check("", &[home], Some("/h/.cache/leptond"));
    check("", &[], None);
}
