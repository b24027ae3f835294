//! The shop's HTTP side: routes, delays, failures, logs, metrics.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{ConnectInfo, MatchedPath, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use fastrand::Rng;
use kit::Shutdown;
use kit::metrics::{Counter, DEFAULT_BUCKETS, Gauge, Histogram, Registry, Vector};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::TitanConfig;
use super::logfile::{LogFiles, Stream};
use super::shop::{FaultKind, Refusal, Shop, latency};

/// Connections of the pretended database.
const POOL: usize = 20;
/// A request gives up waiting for one after this.
const POOL_TIMEOUT: Duration = Duration::from_millis(800);
/// Longest time a fault may be switched on.
const MAX_FAULT: Duration = Duration::from_secs(3600);

/// The application; clones are the same.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    shop: Shop,
    rng: Mutex<Rng>,
    delay_factor: f64,
    pool: Semaphore,
    fault: Mutex<Fault>,
    logs: LogFiles,
    started: Instant,
    request_id: AtomicU64,
    metrics: Metrics,
}

#[derive(Clone, Copy, Default)]
struct Fault {
    kind: FaultKind,
    /// Share of the requests that it hits.
    rate: f64,
    until: Option<Instant>,
}

struct Metrics {
    registry: Registry,
    requests: Vector<Counter>,
    durations: Vector<Histogram>,
    in_progress: Gauge,
    orders: Vector<Counter>,
}

impl Metrics {
    fn new(logs: &LogFiles) -> Self {
        let registry = Registry::new();
        registry.process_metrics();
        registry.build_info("titan", &[("version", env!("CARGO_PKG_VERSION"))]);
        let orders = registry.counter_vec("titan_orders_total", "Orders by how they ended.", &["status"]);
        for status in ["placed", "paid", "failed"] {
            orders.with(&[status]);
        }
        let dropped = logs.clone();
        registry.counter_fn(
            "titan_log_lines_dropped_total",
            "Log lines that could not be written in time.",
            move || dropped.dropped() as f64,
        );
        Self {
            requests: registry.counter_vec(
                "http_requests_total",
                "Total number of HTTP requests.",
                &["method", "endpoint", "status"],
            ),
            durations: registry.histogram_vec(
                "http_request_duration_seconds",
                "HTTP request latency.",
                &DEFAULT_BUCKETS,
                &["method", "endpoint"],
            ),
            in_progress: registry.gauge("http_requests_in_progress", "HTTP requests being served."),
            orders,
            registry,
        }
    }
}

/// A failure on its way to the client and into the error log.
struct Failure {
    status: StatusCode,
    logger: &'static str,
    message: &'static str,
    details: Value,
}

type Answer = Result<Response<Body>, Failure>;

impl App {
    /// An application that logs to these files.
    pub fn new(config: &TitanConfig, logs: LogFiles) -> Self {
        let mut rng = if config.seed == 0 { Rng::new() } else { Rng::with_seed(config.seed) };
        Self(Arc::new(Inner {
            shop: Shop::new(&mut rng),
            rng: Mutex::new(rng),
            delay_factor: config.delay_factor.max(0.0),
            pool: Semaphore::new(POOL),
            fault: Mutex::default(),
            metrics: Metrics::new(&logs),
            logs,
            started: Instant::now(),
            request_id: AtomicU64::new(1),
        }))
    }

    /// Writes a line to `info.log`.
    pub fn info(&self, event: &str, fields: &[(&str, &str)]) {
        self.log_info("info", event, fields);
    }

    fn log_info(&self, level: &str, event: &str, fields: &[(&str, &str)]) {
        let mut line = format!("ts={} level={level} msg=", kit::time::Rfc3339(kit::time::now_ms()));
        // Writing to a string cannot fail.
        let _ = kit::log::logfmt_value(&mut line, event);
        for (name, value) in fields {
            let _ = write!(line, " {name}=");
            let _ = kit::log::logfmt_value(&mut line, value);
        }
        self.0.logs.write(Stream::Info, line);
    }

    fn log_error(&self, failure: &Failure, context: &Context) {
        let level = if failure.status.is_server_error() { "error" } else { "warn" };
        let mut line = json!({
            "ts": kit::time::Rfc3339(kit::time::now_ms()).to_string(),
            "level": level,
            "logger": failure.logger,
            "msg": failure.message,
            "method": context.method.as_str(),
            "path": context.path,
            "status": failure.status.as_u16(),
            "user": context.user,
            "request_id": context.id,
        });
        if let (Some(line), Some(details)) = (line.as_object_mut(), failure.details.as_object()) {
            line.extend(details.clone());
        }
        self.0.logs.write(Stream::Error, line.to_string());
    }

    /// Says every minute that it is alive.
    pub(super) async fn heartbeat(self, shutdown: Shutdown) {
        while shutdown.sleep(Duration::from_secs(60)).await {
            let uptime = self.0.started.elapsed().as_secs().to_string();
            let free = self.0.pool.available_permits().to_string();
            let fields = [("uptime_s", uptime.as_str()), ("db_connections_free", &free)];
            self.log_info("debug", "heartbeat", &fields);
        }
    }

    fn random<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.0.rng.lock())
    }

    fn fault(&self) -> Fault {
        let mut fault = self.0.fault.lock();
        if fault.until.is_some_and(|until| Instant::now() >= until) {
            *fault = Fault::default();
        }
        *fault
    }

    /// Whether the fault of this kind is on and hits this request.
    fn struck(&self, kind: FaultKind) -> bool {
        let fault = self.fault();
        fault.kind == kind && self.random(|rng| rng.f64()) < fault.rate
    }

    async fn work(&self, median_ms: f64, spread: f64) {
        let slow = if self.struck(FaultKind::Slow) { 6.0 } else { 1.0 };
        let median = Duration::from_secs_f64(median_ms / 1000.0 * self.0.delay_factor * slow);
        if !median.is_zero() {
            let pause = self.random(|rng| latency(rng, median, spread));
            tokio::time::sleep(pause).await;
        }
    }

    /// Work that holds a database connection.
    async fn database(&self, median_ms: f64) -> Result<(), Failure> {
        let exhausted = || Failure {
            status: StatusCode::SERVICE_UNAVAILABLE,
            logger: "db",
            message: "connection pool exhausted",
            details: json!({"pool_size": POOL, "waited_ms": POOL_TIMEOUT.as_millis() as u64, "error": "QueuePool limit reached, connection timed out"}),
        };
        if self.struck(FaultKind::Database) {
            self.work(300.0, 0.3).await;
            return Err(exhausted());
        }
        let permit = tokio::time::timeout(POOL_TIMEOUT, self.0.pool.acquire()).await;
        let Ok(Ok(_permit)) = permit else { return Err(exhausted()) };
        self.work(median_ms, 0.5).await;
        Ok(())
    }
}

/// What is known about a request from its start.
#[derive(Clone)]
struct Context {
    id: String,
    method: Method,
    path: String,
    user: String,
}

/// All routes of the shop.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/api/products", get(products))
        .route("/api/products/{id}", get(product))
        .route("/api/search", get(search))
        .route("/api/recommendations", get(recommendations))
        .route("/api/login", post(login))
        .route("/api/logout", post(logout))
        .route("/api/cart", get(cart).post(add_to_cart))
        .route("/api/cart/{item}", delete(empty_cart))
        .route("/api/orders", post(place_order))
        .route("/api/orders/{id}", get(order))
        .route("/api/checkout", post(checkout))
        .route("/admin/fault", get(show_fault).post(set_fault))
        .fallback(not_found)
        .layer(from_fn_with_state(app.clone(), observe))
        .with_state(app)
}

/// Around every request: metrics, access log, error log, and the fault that may strike anywhere.
async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response<Body> {
    let start = Instant::now();
    let _in_progress = app.0.metrics.in_progress.track();
    let route = request.extensions().get::<MatchedPath>().map_or("", |matched| matched.as_str()).to_owned();
    let (agent, referer, forwarded) = {
        let headers = request.headers();
        let forwarded = header::HeaderName::from_static("x-forwarded-for");
        (shown(headers, header::USER_AGENT), shown(headers, header::REFERER), shown(headers, forwarded))
    };
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_string());
    let address = match forwarded.as_str() {
        "-" => peer.unwrap_or_else(|| "-".into()),
        list => list.split(',').next().unwrap_or("-").trim().replace(' ', ""),
    };
    let context = Context {
        id: format!("{:08x}", app.0.request_id.fetch_add(1, Ordering::Relaxed)),
        method: request.method().clone(),
        path: request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        user: user_of(request.headers()).unwrap_or_else(|| "-".into()),
    };
    request.extensions_mut().insert(context.clone());
    let protected = matches!(route.as_str(), "/metrics" | "/health" | "/admin/fault" | "/");
    let response = if !protected && app.struck(FaultKind::Errors) {
        let failure = Failure {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            logger: "app",
            message: "unhandled exception",
            details: json!({"exception": "KeyError", "error": "'session'"}),
        };
        app.fail(&failure, &context)
    } else {
        next.run(request).await
    };
    let elapsed = start.elapsed();
    let status = response.status();
    let endpoint = if route.is_empty() { "unmatched" } else { &route };
    app.0.metrics.requests.with(&[context.method.as_str(), endpoint, status.as_str()]).inc();
    app.0.metrics.durations.with(&[context.method.as_str(), endpoint]).observe_duration(elapsed);
    let size = hyper_size(&response);
    let when = clf_time(kit::time::now_ms());
    let line = format!(
        "{address} - {user} [{when}] \"{method} {path} HTTP/1.1\" {code} {size} \"{referer}\" \"{agent}\" {seconds:.3}",
        user = context.user,
        method = context.method,
        path = context.path.replace('"', "%22"),
        code = status.as_u16(),
        seconds = elapsed.as_secs_f64(),
    );
    app.0.logs.write(Stream::Access, line);
    response
}

/// A header as the access log shows it: quotes and control characters would break the line for whoever reads it.
fn shown(headers: &HeaderMap, name: header::HeaderName) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-");
    value.chars().map(|c| if c.is_control() || c == '"' { '?' } else { c }).take(300).collect()
}

fn hyper_size(response: &Response<Body>) -> u64 {
    use axum::body::HttpBody;
    response.body().size_hint().exact().unwrap_or(0)
}

/// `23/Nov/2026:01:02:03 +0000`
fn clf_time(ms: i64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, seconds) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000) / 1000);
    let (year, month, day) = kit::time::civil(days);
    let month = MONTHS.get(month as usize - 1).copied().unwrap_or("Jan");
    format!("{day:02}/{month}/{year}:{:02}:{:02}:{:02} +0000", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The user of the session cookie.
fn user_of(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    let user = cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix("session="))?;
    let plain = !user.is_empty() && user.len() <= 40 && user.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    plain.then(|| user.to_owned())
}

impl App {
    fn fail(&self, failure: &Failure, context: &Context) -> Response<Body> {
        self.log_error(failure, context);
        let body = Json(json!({"error": failure.message, "request_id": context.id}));
        (failure.status, body).into_response()
    }

    fn finish(&self, answer: Answer, context: &Context) -> Response<Body> {
        answer.unwrap_or_else(|failure| self.fail(&failure, context))
    }
}

fn refuse(status: StatusCode, logger: &'static str, message: &'static str, details: Value) -> Failure {
    Failure { status, logger, message, details }
}

type Ctx = axum::Extension<Context>;

async fn page(State(app): State<App>) -> Html<String> {
    let products = app.0.shop.products(None);
    let mut rows = String::new();
    for product in products.iter().step_by(5) {
        let price = f64::from(product.price_cents) / 100.0;
        // Writing to a string cannot fail.
        let _ = write!(
            rows,
            "<tr><td><a href=\"/api/products/{id}\">{name}</a></td><td>{category}</td><td>{price:.2}</td><td>{stock}</td></tr>",
            id = product.id,
            name = product.name,
            category = product.category,
            stock = product.stock,
        );
    }
    Html(format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Titan</title><style>body{{font:16px/1.5 \
         system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}}td,th{{text-align:left;padding:.2rem 1rem .2rem 0}}\
         </style></head><body><h1>Titan</h1><p>A demo shop. It has <a href=\"/api/products\">{count} products</a>, a \
         <a href=\"/health\">health check</a>, <a href=\"/metrics\">metrics</a>, and a switch for trouble at \
         <code>POST /admin/fault?kind=errors|slow|payment|database|none&amp;seconds=60&amp;rate=0.5</code> (now: {fault:?}).</p>\
         <table><tr><th>Product</th><th>Category</th><th>Price</th><th>Stock</th></tr>{rows}</table></body></html>",
        count = products.len(),
        fault = app.fault().kind,
    ))
}

async fn health(State(app): State<App>) -> Json<Value> {
    Json(json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": app.0.started.elapsed().as_secs(),
        "fault": app.fault().kind,
    }))
}

async fn metrics(State(app): State<App>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
    let (content_type, page) = kit::metrics::scrape_page(&app.0.metrics.registry, accept);
    ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], page)
}

#[derive(Deserialize)]
struct ListQuery {
    category: Option<String>,
    q: Option<String>,
}

async fn products(State(app): State<App>, ctx: Ctx, Query(query): Query<ListQuery>) -> Response<Body> {
    let answer = async {
        app.database(12.0).await?;
        Ok(Json(app.0.shop.products(query.category.as_deref())).into_response())
    };
    app.finish(answer.await, &ctx)
}

async fn product(State(app): State<App>, ctx: Ctx, Path(id): Path<String>) -> Response<Body> {
    let answer = async {
        app.database(5.0).await?;
        let product = id.parse().ok().and_then(|id| app.0.shop.product(id));
        match product {
            Some(product) => Ok(Json(product).into_response()),
            None => Err(refuse(StatusCode::NOT_FOUND, "catalog", "no such product", json!({"product": id}))),
        }
    };
    app.finish(answer.await, &ctx)
}

async fn search(State(app): State<App>, ctx: Ctx, Query(query): Query<ListQuery>) -> Response<Body> {
    let answer = async {
        let text = query.q.unwrap_or_default();
        if text.len() < 2 {
            let details = json!({"query": text});
            return Err(refuse(StatusCode::BAD_REQUEST, "search", "query too short", details));
        }
        app.database(8.0).await?;
        app.work(25.0, 0.8).await;
        let found = app.0.shop.search(&text);
        app.info("search", &[("query", &text), ("hits", &found.len().to_string()), ("user", &ctx.user)]);
        Ok(Json(found).into_response())
    };
    app.finish(answer.await, &ctx)
}

async fn recommendations(State(app): State<App>, ctx: Ctx) -> Response<Body> {
    let answer = async {
        app.work(40.0, 0.9).await;
        let all = app.0.shop.products(None);
        let picked: Vec<_> = app.random(|rng| (0..5).filter_map(|_| rng.choice(&all).cloned()).collect());
        Ok(Json(picked).into_response())
    };
    app.finish(answer.await, &ctx)
}

#[derive(Deserialize)]
struct Login {
    user: String,
    password: String,
}

async fn login(
    State(app): State<App>,
    ctx: Ctx,
    body: Result<Json<Login>, axum::extract::rejection::JsonRejection>,
) -> Response<Body> {
    let answer = async {
        let Ok(Json(login)) = body else {
            return Err(refuse(StatusCode::BAD_REQUEST, "auth", "malformed login request", json!({})));
        };
        app.database(15.0).await?;
        // As slow as a password hash should be.
        app.work(60.0, 0.2).await;
        let plain = login.user.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !login.user.is_empty();
        if !plain || login.password != "demo" || login.user.len() > 40 {
            let user: String = login.user.chars().filter(|c| !c.is_control()).take(40).collect();
            return Err(refuse(StatusCode::UNAUTHORIZED, "auth", "wrong user or password", json!({"login": user})));
        }
        app.info("login", &[("user", &login.user)]);
        let cookie = format!("session={}; Path=/; HttpOnly; SameSite=Lax", login.user);
        Ok(([(header::SET_COOKIE, cookie)], Json(json!({"user": login.user}))).into_response())
    };
    app.finish(answer.await, &ctx)
}

async fn logout(State(app): State<App>, ctx: Ctx) -> Response<Body> {
    app.info("logout", &[("user", &ctx.user)]);
    ([(header::SET_COOKIE, "session=; Path=/; Max-Age=0")], Json(json!({}))).into_response()
}

fn signed_in(context: &Context) -> Result<&str, Failure> {
    match context.user.as_str() {
        "-" => Err(refuse(StatusCode::UNAUTHORIZED, "auth", "not signed in", json!({}))),
        user => Ok(user),
    }
}

async fn cart(State(app): State<App>, ctx: Ctx) -> Response<Body> {
    let answer = async {
        let user = signed_in(&ctx)?;
        app.database(4.0).await?;
        Ok(Json(app.0.shop.cart(user)).into_response())
    };
    app.finish(answer.await, &ctx)
}

#[derive(Deserialize)]
struct Item {
    product: u32,
    #[serde(default = "one")]
    count: u32,
}

fn one() -> u32 {
    1
}

async fn add_to_cart(
    State(app): State<App>,
    ctx: Ctx,
    body: Result<Json<Item>, axum::extract::rejection::JsonRejection>,
) -> Response<Body> {
    let answer = async {
        let user = signed_in(&ctx)?;
        let Ok(Json(item)) = body else {
            return Err(refuse(StatusCode::BAD_REQUEST, "cart", "malformed item", json!({})));
        };
        app.database(9.0).await?;
        if !app.0.shop.add(user, item.product, item.count.max(1)) {
            let details = json!({"product": item.product});
            return Err(refuse(StatusCode::NOT_FOUND, "cart", "no such product", details));
        }
        app.info("cart updated", &[("user", user), ("product", &item.product.to_string())]);
        Ok((StatusCode::CREATED, Json(app.0.shop.cart(user))).into_response())
    };
    app.finish(answer.await, &ctx)
}

async fn empty_cart(State(app): State<App>, ctx: Ctx, Path(_item): Path<String>) -> Response<Body> {
    let answer = async {
        let user = signed_in(&ctx)?;
        app.database(5.0).await?;
        app.0.shop.empty(user);
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    app.finish(answer.await, &ctx)
}

async fn place_order(State(app): State<App>, ctx: Ctx) -> Response<Body> {
    let answer = async {
        let user = signed_in(&ctx)?;
        app.database(22.0).await?;
        match app.0.shop.order(user) {
            Ok(order) => {
                app.0.metrics.orders.with(&["placed"]).inc();
                let (id, total) = (order.id.to_string(), order.total_cents.to_string());
                app.info("order placed", &[("user", user), ("order_id", &id), ("total_cents", &total)]);
                Ok((StatusCode::CREATED, Json(order)).into_response())
            }
            Err(Refusal::EmptyCart) => {
                Err(refuse(StatusCode::BAD_REQUEST, "orders", "cart is empty", json!({"user": user})))
            }
            Err(Refusal::OutOfStock { product, wanted, left }) => {
                app.0.metrics.orders.with(&["failed"]).inc();
                let details =
                    json!({"product": product, "wanted": wanted, "left": left, "error": "optimistic lock failed"});
                Err(refuse(StatusCode::CONFLICT, "orders", "stock conflict", details))
            }
        }
    };
    app.finish(answer.await, &ctx)
}

async fn order(State(app): State<App>, ctx: Ctx, Path(id): Path<String>) -> Response<Body> {
    let answer = async {
        let user = signed_in(&ctx)?;
        app.database(7.0).await?;
        let found = id.parse().ok().and_then(|id| app.0.shop.find_order(id)).filter(|order| order.user == user);
        match found {
            Some(order) => Ok(Json(order).into_response()),
            None => Err(refuse(StatusCode::NOT_FOUND, "orders", "no such order", json!({"order": id}))),
        }
    };
    app.finish(answer.await, &ctx)
}

#[derive(Deserialize)]
struct Checkout {
    order: u64,
}

async fn checkout(
    State(app): State<App>,
    ctx: Ctx,
    body: Result<Json<Checkout>, axum::extract::rejection::JsonRejection>,
) -> Response<Body> {
    let answer = async {
        let user = signed_in(&ctx)?;
        let Ok(Json(checkout)) = body else {
            return Err(refuse(StatusCode::BAD_REQUEST, "checkout", "malformed checkout", json!({})));
        };
        app.database(14.0).await?;
        let Some(order) = app.0.shop.find_order(checkout.order).filter(|order| order.user == user) else {
            let details = json!({"order": checkout.order});
            return Err(refuse(StatusCode::NOT_FOUND, "checkout", "no such order", details));
        };
        let order_id = order.id.to_string();
        // The gateway is the slowest part, and times out about once in a hundred payments.
        let timed_out = app.struck(FaultKind::Payment) || app.random(|rng| rng.f64()) < 0.01;
        if timed_out {
            app.work(1500.0, 0.1).await;
            app.0.metrics.orders.with(&["failed"]).inc();
            app.0.shop.set_status(order.id, "failed");
            let details = json!({"order_id": order.id, "gateway": "paywave", "timeout_ms": 1500,
                "error": "ReadTimeout: gateway.paywave.example did not answer", "retryable": true});
            return Err(refuse(StatusCode::GATEWAY_TIMEOUT, "payment", "payment gateway timeout", details));
        }
        app.work(180.0, 0.6).await;
        if app.random(|rng| rng.f64()) < 0.02 {
            app.0.metrics.orders.with(&["failed"]).inc();
            app.0.shop.set_status(order.id, "failed");
            let details = json!({"order_id": order.id, "gateway": "paywave", "decline_code": "insufficient_funds"});
            return Err(refuse(StatusCode::PAYMENT_REQUIRED, "payment", "card declined", details));
        }
        app.0.metrics.orders.with(&["paid"]).inc();
        app.0.shop.set_status(order.id, "paid");
        let total = order.total_cents.to_string();
        app.info("order paid", &[("user", user), ("order_id", &order_id), ("total_cents", &total)]);
        Ok(Json(json!({"order": order.id, "status": "paid"})).into_response())
    };
    app.finish(answer.await, &ctx)
}

async fn show_fault(State(app): State<App>) -> Json<Value> {
    let fault = app.fault();
    let left = fault.until.map(|until| until.saturating_duration_since(Instant::now()).as_secs());
    Json(json!({"kind": fault.kind, "rate": fault.rate, "seconds_left": left}))
}

#[derive(Deserialize)]
struct FaultQuery {
    kind: String,
    seconds: Option<u64>,
    rate: Option<f64>,
}

async fn set_fault(State(app): State<App>, Query(query): Query<FaultQuery>) -> Response<Body> {
    let Some(kind) = FaultKind::parse(&query.kind) else {
        let known = "unknown kind (known: none, errors, slow, payment, database)";
        return (StatusCode::BAD_REQUEST, Json(json!({"error": known}))).into_response();
    };
    let time = Duration::from_secs(query.seconds.unwrap_or(60)).min(MAX_FAULT);
    let rate = query.rate.unwrap_or(0.5).clamp(0.0, 1.0);
    *app.0.fault.lock() = match kind {
        FaultKind::None => Fault::default(),
        kind => Fault { kind, rate, until: Some(Instant::now() + time) },
    };
    app.log_info("warn", "fault switched", &[("kind", &query.kind), ("seconds", &time.as_secs().to_string())]);
    show_fault(State(app)).await.into_response()
}

async fn not_found(State(app): State<App>, ctx: Ctx) -> Response<Body> {
    let failure = refuse(StatusCode::NOT_FOUND, "router", "no such page", json!({}));
    app.fail(&failure, &ctx)
}
