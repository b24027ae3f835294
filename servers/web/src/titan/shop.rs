//! The shop itself: products with stock, carts, orders, and the odds of things going wrong. No HTTP; randomness and time
//! are arguments.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use serde::Serialize;

/// A product.
#[derive(Clone, Debug, Serialize)]
pub struct Product {
    /// Number from 1.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Category.
    pub category: &'static str,
    /// Price in cents.
    pub price_cents: u32,
    /// Pieces left.
    pub stock: u32,
}

/// An order and where it stands.
#[derive(Clone, Debug, Serialize)]
pub struct Order {
    /// Number from 1.
    pub id: u64,
    /// Who ordered.
    pub user: String,
    /// Product and count.
    pub items: Vec<(u32, u32)>,
    /// Sum in cents.
    pub total_cents: u64,
    /// `placed`, `paid` or `failed`
    pub status: &'static str,
}

/// Why an order could not be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The cart is empty.
    EmptyCart,
    /// Somebody else took the last pieces.
    OutOfStock {
        /// The product.
        product: u32,
        /// Pieces wanted.
        wanted: u32,
        /// Pieces left.
        left: u32,
    },
}

/// What is wrong at the moment, by the switch of `/admin/fault`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultKind {
    /// Nothing.
    #[default]
    None,
    /// Any request may fail with 500.
    Errors,
    /// Everything takes several times as long.
    Slow,
    /// The payment gateway times out.
    Payment,
    /// The database has no connections left.
    Database,
}

impl FaultKind {
    /// By the word of the switch.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "none" | "off" => Self::None,
            "errors" | "error" => Self::Errors,
            "slow" => Self::Slow,
            "payment" => Self::Payment,
            "database" | "db" => Self::Database,
            _ => return None,
        })
    }
}

const CATEGORIES: [(&str, &[&str]); 6] = [
    ("books", &["Atlas", "Novel", "Cookbook", "Dictionary", "Comic"]),
    ("garden", &["Spade", "Hose", "Lantern", "Seed Box", "Rake"]),
    ("kitchen", &["Kettle", "Pan", "Knife", "Whisk", "Bowl"]),
    ("music", &["Ukulele", "Metronome", "Strings", "Drum Pad", "Tuner"]),
    ("office", &["Notebook", "Fountain Pen", "Lamp", "Stapler", "Desk Mat"]),
    ("outdoor", &["Tent", "Compass", "Backpack", "Stove", "Headlamp"]),
];
const ADJECTIVES: [&str; 2] = ["Classic", "Pocket"];
/// A sold-out product comes back with this many pieces.
const RESTOCK: u32 = 40;
/// Carts and orders kept; the oldest make room.
const MAX_KEPT: usize = 5_000;

/// The shop's state.
#[derive(Debug)]
pub struct Shop {
    products: Mutex<BTreeMap<u32, Product>>,
    carts: Mutex<HashMap<String, Vec<(u32, u32)>>>,
    orders: Mutex<BTreeMap<u64, Order>>,
}

impl Shop {
    /// A shop with its shelves filled.
    pub fn new(rng: &mut Rng) -> Self {
        let mut products = BTreeMap::new();
        for (category, names) in CATEGORIES {
            for name in names {
                for adjective in ADJECTIVES {
                    let id = products.len() as u32 + 1;
                    let price_cents = rng.u32(3..120) * 100 - 1;
                    let name = format!("{adjective} {name}");
                    products.insert(id, Product { id, name, category, price_cents, stock: rng.u32(10..80) });
                }
            }
        }
        Self { products: Mutex::new(products), carts: Mutex::default(), orders: Mutex::default() }
    }

    /// Products, of one category when it is named.
    pub fn products(&self, category: Option<&str>) -> Vec<Product> {
        let products = self.products.lock();
        products.values().filter(|p| category.is_none_or(|wanted| p.category == wanted)).cloned().collect()
    }

    /// One product.
    pub fn product(&self, id: u32) -> Option<Product> {
        self.products.lock().get(&id).cloned()
    }

    /// Products whose name holds the text, in any case.
    pub fn search(&self, text: &str) -> Vec<Product> {
        let text = text.to_lowercase();
        self.products.lock().values().filter(|p| p.name.to_lowercase().contains(&text)).cloned().collect()
    }

    /// What is in a user's cart.
    pub fn cart(&self, user: &str) -> Vec<(u32, u32)> {
        self.carts.lock().get(user).cloned().unwrap_or_default()
    }

    /// Puts a product into a cart; false when there is no such product.
    pub fn add(&self, user: &str, product: u32, count: u32) -> bool {
        if !self.products.lock().contains_key(&product) {
            return false;
        }
        let mut carts = self.carts.lock();
        if carts.len() >= MAX_KEPT {
            carts.clear();
        }
        let cart = carts.entry(user.to_owned()).or_default();
        match cart.iter_mut().find(|(id, _)| *id == product) {
            Some((_, have)) => *have = (*have + count).min(99),
            None => cart.push((product, count.min(99))),
        }
        true
    }

    /// Empties a cart.
    pub fn empty(&self, user: &str) {
        self.carts.lock().remove(user);
    }

    /// Turns a cart into an order and takes its pieces off the shelf.
    ///
    /// # Errors
    /// When the cart is empty or a product is sold out; the shelf is then filled again for the next customer.
    pub fn order(&self, user: &str) -> Result<Order, Refusal> {
        let items = self.cart(user);
        if items.is_empty() {
            return Err(Refusal::EmptyCart);
        }
        let mut products = self.products.lock();
        let mut total = 0;
        for (id, count) in &items {
            let Some(product) = products.get_mut(id) else { continue };
            if product.stock < *count {
                let refusal = Refusal::OutOfStock { product: *id, wanted: *count, left: product.stock };
                product.stock = RESTOCK;
                return Err(refusal);
            }
            total += u64::from(product.price_cents) * u64::from(*count);
        }
        for (id, count) in &items {
            if let Some(product) = products.get_mut(id) {
                product.stock -= count;
            }
        }
        drop(products);
        self.empty(user);
        let mut orders = self.orders.lock();
        while orders.len() >= MAX_KEPT {
            orders.pop_first();
        }
        let id = orders.last_key_value().map_or(1, |(id, _)| id + 1);
        let order = Order { id, user: user.to_owned(), items, total_cents: total, status: "placed" };
        orders.insert(id, order.clone());
        Ok(order)
    }

    /// One order.
    pub fn find_order(&self, id: u64) -> Option<Order> {
        self.orders.lock().get(&id).cloned()
    }

    /// Notes how a payment ended.
    pub fn set_status(&self, id: u64, status: &'static str) {
        if let Some(order) = self.orders.lock().get_mut(&id) {
            order.status = status;
        }
    }
}

/// A log-normal duration: `median` is what half of the calls stay below, `spread` how long the tail is (0.3 short, 1 long).
/// Cut at thirty times the median.
pub fn latency(rng: &mut Rng, median: Duration, spread: f64) -> Duration {
    // Box and Muller's normal deviate.
    let (u, v) = (rng.f64().max(1e-12), rng.f64());
    let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
    median.mul_f64((spread * normal).exp().clamp(0.05, 30.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_take_stock_and_conflicts_are_refused() {
        let shop = Shop::new(&mut Rng::with_seed(1));
        assert_eq!(shop.products(None).len(), 60);
        assert_eq!(shop.search("KETTLE").len(), 2);
        assert_eq!(shop.order("kim").unwrap_err(), Refusal::EmptyCart);
        let before = shop.product(1).unwrap();
        assert!(shop.add("kim", 1, 2) && !shop.add("kim", 999, 1));
        let order = shop.order("kim").unwrap();
        assert_eq!((order.id, order.total_cents), (1, u64::from(before.price_cents) * 2));
        assert_eq!(shop.product(1).unwrap().stock, before.stock - 2);
        assert!(shop.cart("kim").is_empty());
        shop.add("kim", 1, 99);
        let refused = shop.order("kim").unwrap_err();
        assert_eq!(refused, Refusal::OutOfStock { product: 1, wanted: 99, left: before.stock - 2 });
        assert_eq!(shop.product(1).unwrap().stock, RESTOCK);
        shop.set_status(1, "paid");
        assert_eq!(shop.find_order(1).unwrap().status, "paid");
    }

    #[test]
    fn latencies_lie_around_their_median() {
        let mut rng = Rng::with_seed(7);
        let mut all: Vec<_> = (0..2001).map(|_| latency(&mut rng, Duration::from_millis(10), 0.5)).collect();
        all.sort();
        assert!((8..12).contains(&all[1000].as_millis()), "{:?}", all[1000]);
        assert!(all[2000] < Duration::from_millis(300) && all[1980] > Duration::from_millis(20));
    }
}
