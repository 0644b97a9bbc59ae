use super::*;

#[test]
fn the_file_beside_the_configuration_is_taken_at_the_start_and_overwrites_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let places = Places {
        config: directory.path().join("tombolo.toml"),
        config_is_named: true,
        state: directory.path().join("state"),
    };
    assert_eq!(at_start(&places), Ok(None));
    let ca = crate::config::authority::tests::certificate("ca", true);
    std::fs::create_dir(directory.path().join("certs")).unwrap();
    std::fs::write(directory.path().join("certs/remote-ca.pem"), ca).unwrap();
    let file = directory.path().join("federation.json");
    let json = r#"{"version":1,"peers":[{"name":"bn","address":"tak.example","port":9000,"ca_cert":"/ssl/remote-ca.pem"}]}"#;
    std::fs::write(&file, json).unwrap();
    let words = at_start(&places).unwrap().unwrap();
    assert!(words.ends_with("federation.json: added bn"), "{words}");
    let config = places.load_config().unwrap();
    assert_eq!(config.peers[0].address.as_deref(), Some("tak.example:9000"));
    std::fs::write(&file, json.replace("9000", "9001")).unwrap();
    assert_eq!(at_start(&places), Ok(None));
    assert_eq!(places.load_config().unwrap(), config);
    std::fs::write(&file, "{").unwrap();
    let broken = at_start(&places).unwrap_err();
    assert_eq!(broken.exit, Exit::Config);
    assert!(
        broken.message.contains("federation.json: line 1: not JSON"),
        "{broken}"
    );
}
