//! Windows and alerts as JSON: what went in comes out.

use waytrace_model::monitor::{Alert, HostWindow};

use super::client::get;
use super::server::{loopback, start, target, window};

#[test]
fn windows_come_out_as_they_went_in() {
    let server = start(loopback());
    let published: Vec<_> = (0..5).map(|index| window(index, vec![target("web", 3)])).collect();
    published.iter().for_each(|window| server.state.publish(window.clone()));
    let read = |path: &str| -> Vec<HostWindow> {
        serde_json::from_value(get(server.address, path).json()["windows"].clone()).unwrap()
    };
    assert_eq!(read("/api/v1/windows"), [HostWindow::clone(&published[4])]);
    assert_eq!(
        read("/api/v1/windows?last=2"),
        [HostWindow::clone(&published[3]), HostWindow::clone(&published[4])]
    );
    assert_eq!(read("/api/v1/windows?last=180").len(), 5);
    for bad in ["last=0", "last=181", "last=x", "last=", "first=1", "last=1&last=2"] {
        let reply = get(server.address, &format!("/api/v1/windows?{bad}"));
        assert_eq!(reply.code, 400, "{bad}");
    }
    assert_eq!(
        get(server.address, "/api/v1/windows?last=0").text(),
        "last: must be a whole number from 1 to 180\n"
    );
}

#[test]
fn the_overview_has_rows_and_their_past() {
    let server = start(loopback());
    assert_eq!(get(server.address, "/api/v1/overview").json()["index"], serde_json::Value::Null);
    for index in 0..4 {
        server.state.publish(window(index, vec![target("web", u32::try_from(index).unwrap())]));
    }
    let view = get(server.address, "/api/v1/overview?last=3").json();
    assert_eq!((view["index"].as_u64(), view["missing"][0].as_str()), (Some(3), Some("database")));
    let cpu = view["columns"].as_array().unwrap().iter().position(|name| name == "cpu_ns").unwrap();
    assert_eq!(view["targets"][0]["values"][cpu], 3e8);
    let past: Vec<_> = view["targets"][0]["trail"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| point[0].as_f64().unwrap())
        .collect();
    assert_eq!(past, [1e8, 2e8, 3e8]);
    let llc =
        view["columns"].as_array().unwrap().iter().position(|name| name == "llc_occupancy_bytes").unwrap();
    assert!(view["targets"][0]["values"][llc].is_null(), "absent is not zero");
}

#[test]
fn one_target_is_told_whole() {
    let server = start(loopback());
    server.state.publish(window(0, vec![target("a b/ü", 2)]));
    server.state.set_alert(Alert { rule: "leak".into(), target: "a b/ü".into(), ..Alert::default() });
    let detail = get(server.address, "/api/v1/target?name=a%20b%2F%C3%BC").json();
    assert_eq!(detail["window"]["sites"][0]["name"], "cache_insert (cache.c:120)");
    assert_eq!(detail["alerts"][0]["rule"], "leak");
    assert_eq!(get(server.address, "/api/v1/target?name=other").code, 404);
    assert_eq!(get(server.address, "/api/v1/target").code, 400);
    assert_eq!(get(server.address, "/api/v1/target?name=%ff").code, 400);
    assert_eq!(get(server.address, "/api/v1/alerts").json()["alerts"].as_array().unwrap().len(), 1);
}
