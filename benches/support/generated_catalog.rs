//! Generated products and pseudo-random numbers: the same in every run.

use tactful::domain::ids::{LadderId, ProductId};
use tactful::domain::money::{Currency, Money};
use tactful::domain::product::{LadderPosition, Product};

/// Number of products in a category.
pub const CATEGORY_LEN: u64 = 25;

/// Product of a category; one category in five has a ladder of three products.
pub fn generated_product(number: u64, id: ProductId, price: Money) -> Product {
    let (category, index) = (number / CATEGORY_LEN, number % CATEGORY_LEN);
    let ladder_position = (category.is_multiple_of(5) && index < 3).then(|| LadderPosition {
        ladder: LadderId::new(format!("ladder-{category}")).expect("a valid id"),
        tier: index as u32 + 1,
    });
    Product {
        category: vec![format!("category {category}")],
        price: Some(price),
        ladder_position,
        ..Product::new(id, format!("Product {number} of category {category}"))
    }
}

/// Price of a product in pence: 1 to 21 pounds.
pub fn pence(product: u64, salt: u64) -> u64 {
    100 + mix(product, salt) % 2_000
}

pub fn money(pence: u64) -> Money {
    let currency = Currency::new("GBP").expect("a currency");
    Money::new(currency, (pence / 100) as i64, (pence % 100) as i32 * 10_000_000).expect("a price")
}

/// Hashes a number (the finalizer of `SplitMix64`).
pub fn mix(number: u64, salt: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(salt.wrapping_mul(0xd6e8_feb8_6659_fd93));
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
