use kit::client::{Client, Request, Response};
use serde_json::{Value, json};

use super::*;

struct Shop {
    base: String,
    client: Client,
    dir: tempfile::TempDir,
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<Result<(), RunError>>,
}

async fn start() -> Shop {
    let dir = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = TitanConfig {
        listen: free.to_string(),
        log_dir: dir.path().join("logs"),
        seed: 3,
        delay_factor: 0.0,
        ..TitanConfig::default()
    };
    let shutdown = Shutdown::new();
    let task = tokio::spawn(run(config, shutdown.clone()));
    let client = Client::new(&Default::default(), "test/1").unwrap();
    let base = format!("http://{free}");
    while client.send(Request::get(format!("{base}/health"))).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Shop { base, client, dir, shutdown, task }
}

impl Shop {
    async fn send(&self, method: &str, path: &str, user: &str, body: Value) -> Response {
        let mut request = Request::post(format!("{}{path}", self.base), "application/json", body.to_string());
        request.method = method.parse().unwrap();
        if !user.is_empty() {
            let cookie = format!("session={user}").parse().unwrap();
            request = request.header(axum::http::header::COOKIE, cookie);
        }
        self.client.send(request).await.unwrap()
    }

    async fn stop(self) -> [String; 3] {
        self.shutdown.trigger();
        self.task.await.unwrap().unwrap();
        ["access.log", "error.log", "info.log"]
            .map(|name| std::fs::read_to_string(self.dir.path().join("logs").join(name)).unwrap())
    }
}

#[tokio::test]
async fn a_customer_buys_and_everything_is_seen() {
    let shop = start().await;
    let body = json!({"user": "kim", "password": "demo"});
    let login = shop.send("POST", "/api/login", "", body).await;
    assert!(login.header("set-cookie").unwrap().starts_with("session=kim;"));
    assert_eq!(shop.send("POST", "/api/login", "", json!({"user": "kim", "password": "x"})).await.status, 401);
    let products: Value = serde_json::from_slice(&shop.send("GET", "/api/products", "", json!({})).await.body).unwrap();
    assert_eq!(products.as_array().unwrap().len(), 60);
    assert_eq!(shop.send("GET", "/api/products/7", "", json!({})).await.status, 200);
    assert_eq!(shop.send("GET", "/api/products/x\"y", "", json!({})).await.status, 404);
    assert_eq!(shop.send("GET", "/api/search?q=te", "", json!({})).await.status, 200);
    assert_eq!(shop.send("POST", "/api/cart", "", json!({"product": 1})).await.status, 401);
    assert_eq!(shop.send("POST", "/api/cart", "kim", json!({"product": 1, "count": 2})).await.status, 201);
    let order: Value = serde_json::from_slice(&shop.send("POST", "/api/orders", "kim", json!({})).await.body).unwrap();
    let paid = shop.send("POST", "/api/checkout", "kim", json!({"order": order["id"]})).await;
    assert!([200, 402, 504].contains(&paid.status.as_u16()), "{}", paid.status);
    assert_eq!(shop.send("GET", "/api/orders/1", "bob", json!({})).await.status, 404);

    let page = shop.send("GET", "/metrics", "", json!({})).await;
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    for want in [
        r#"http_requests_total{method="GET",endpoint="/api/products/{id}",status="200"} 1"#,
        r#"http_requests_total{method="POST",endpoint="/api/login",status="401"} 1"#,
        r#"http_request_duration_seconds_count{method="POST",endpoint="/api/orders"} 1"#,
        r#"titan_orders_total{status="placed"} 1"#,
        "# TYPE http_requests_in_progress gauge",
        "titan_build_info{version=",
        "process_resident_memory_bytes ",
    ] {
        assert!(page.contains(want), "{want} is missing in\n{page}");
    }
    let [access, error, info] = shop.stop().await;
    let line = access.lines().find(|line| line.contains("POST /api/orders")).unwrap();
    let shape = line.split('"').collect::<Vec<_>>();
    assert!(line.starts_with("127.0.0.1 - kim [") && shape[1] == "POST /api/orders HTTP/1.1", "{line}");
    assert!(shape[2].starts_with(" 201 ") && shape[5] == "test/1", "{line}");
    for line in error.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["msg"].is_string() && line["level"].is_string() && line["status"].is_number());
    }
    assert!(error.contains("wrong user or password") && error.contains("no such product"));
    assert!(info.contains("level=info msg=\"order placed\" user=kim order_id=1"), "{info}");
}

#[tokio::test]
async fn faults_come_and_go() {
    let shop = start().await;
    let set = async |query: &str| shop.send("POST", &format!("/admin/fault?{query}"), "", json!({})).await;
    assert_eq!(set("kind=nope").await.status, 400);
    for (kind, path, want, message) in [
        ("errors", "/api/products", 500, "unhandled exception"),
        ("database", "/api/products", 503, "connection pool exhausted"),
    ] {
        assert_eq!(set(&format!("kind={kind}&rate=1&seconds=60")).await.status, 200);
        let answer = shop.send("GET", path, "", json!({})).await;
        assert_eq!(answer.status.as_u16(), want);
        assert!(String::from_utf8_lossy(&answer.body).contains(message));
        assert_eq!(shop.send("GET", "/metrics", "", json!({})).await.status, 200);
        set("kind=none").await;
        assert_eq!(shop.send("GET", path, "", json!({})).await.status, 200);
    }
    set("kind=payment&rate=1").await;
    shop.send("POST", "/api/cart", "kim", json!({"product": 3})).await;
    shop.send("POST", "/api/orders", "kim", json!({})).await;
    assert_eq!(shop.send("POST", "/api/checkout", "kim", json!({"order": 1})).await.status, 504);
    set("kind=errors&rate=1&seconds=0").await;
    assert_eq!(shop.send("GET", "/api/products", "", json!({})).await.status, 200);
    let page = shop.send("GET", "/", "", json!({})).await;
    assert!(String::from_utf8_lossy(&page.body).contains("<h1>Titan</h1>"));
    let [_, error, _] = shop.stop().await;
    assert!(error.contains(r#""gateway":"paywave""#) && error.contains(r#""pool_size":20"#), "{error}");
}
