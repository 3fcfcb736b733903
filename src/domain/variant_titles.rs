//! Variants by title: the same title but for a colour or size behind a separator.
//!
//! Deliberately conservative: a product that is wrongly taken for a variant is withheld from customers who have the other one.

use std::collections::BTreeMap;

use super::money::Money;
use super::product::Product;

/// Separators of the part of a title that names the variant, besides parentheses at the end.
const SEPARATORS: [&str; 6] = [" - ", " – ", " — ", " | ", " / ", ", "];
const COLOURS: [&str; 62] = [
    "amber",
    "anthracite",
    "apricot",
    "aqua",
    "beige",
    "black",
    "blue",
    "bronze",
    "brown",
    "burgundy",
    "charcoal",
    "chrome",
    "clear",
    "copper",
    "coral",
    "cream",
    "cyan",
    "emerald",
    "fuchsia",
    "gold",
    "golden",
    "graphite",
    "gray",
    "green",
    "grey",
    "indigo",
    "ivory",
    "khaki",
    "lavender",
    "lemon",
    "lilac",
    "lime",
    "magenta",
    "maroon",
    "mauve",
    "mint",
    "multicolor",
    "multicolour",
    "mustard",
    "natural",
    "navy",
    "ochre",
    "olive",
    "orange",
    "peach",
    "pink",
    "plum",
    "purple",
    "red",
    "rose",
    "rust",
    "sand",
    "silver",
    "tan",
    "teal",
    "transparent",
    "turquoise",
    "violet",
    "white",
    "wine",
    "yellow",
    "magnolia",
];
const SIZES: [&str; 25] = [
    "xxs",
    "xs",
    "s",
    "m",
    "l",
    "xl",
    "xxl",
    "xxxl",
    "2xs",
    "2xl",
    "3xl",
    "4xl",
    "5xl",
    "small",
    "medium",
    "large",
    "x-small",
    "x-large",
    "xx-large",
    "extra-small",
    "extra-large",
    "petite",
    "tall",
    "regular",
    "one-size",
];
/// Words that qualify a colour or size, and are none by themselves.
const QUALIFIERS: [&str; 19] = [
    "and", "&", "bright", "dark", "deep", "extra", "forest", "heather", "light", "matt", "matte", "glossy", "metallic",
    "midnight", "ocean", "pale", "royal", "sky", "off",
];
/// Words before the number of a size.
const SIZE_NUMBER_PREFIXES: [&str; 5] = ["size", "eu", "uk", "us", "gr"];

/// Products that are variants of each other by their titles, category and price, as indices of `products`; each list has at
/// least two. Products with an item group or on a ladder are left out.
pub fn variants_by_title(products: &[Product]) -> Vec<Vec<usize>> {
    let mut by_base: BTreeMap<_, Vec<(String, usize)>> = BTreeMap::new();
    for (index, product) in products.iter().enumerate() {
        if product.item_group.is_some() || product.ladder_position.is_some() {
            continue;
        }
        if let Some((base, variant)) = split_variant(&product.title).filter(|_| product.price.is_some()) {
            let price = product.price.map_or(0, Money::total_nanos);
            let currency = product.price.map_or_else(String::new, |price| price.currency().to_string());
            by_base.entry((base, product.category.as_slice(), price, currency)).or_default().push((variant, index));
        }
    }
    let has_distinct = |variants: &Vec<(String, usize)>| variants.iter().any(|(variant, _)| *variant != variants[0].0);
    let groups = by_base.into_values().filter(has_distinct);
    groups.map(|variants| variants.into_iter().map(|(_, index)| index).collect()).collect()
}

/// Splits a title into the part that all variants share and the colour or size, both in lower case.
fn split_variant(title: &str) -> Option<(String, String)> {
    let title = title.trim().to_lowercase();
    let in_parentheses = title.strip_suffix(')').and_then(|open| open.rsplit_once('('));
    let (base, variant) = in_parentheses.or_else(|| {
        let separator = SEPARATORS.into_iter().filter_map(|separator| Some((title.rfind(separator)?, separator)));
        let (at, separator) = separator.max_by_key(|(at, _)| *at)?;
        Some((&title[..at], &title[at + separator.len()..]))
    })?;
    let (base, variant) = (base.trim(), variant.trim());
    (base.chars().any(char::is_alphabetic) && is_variant(variant)).then(|| (base.to_owned(), variant.to_owned()))
}

/// True for a text of nothing but colours and sizes.
fn is_variant(text: &str) -> bool {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c == '/' || c == ',').filter(|word| !word.is_empty()).collect();
    let names_variant = |word: &str| COLOURS.contains(&word) || SIZES.contains(&word);
    let has_variant = words
        .iter()
        .any(|word| names_variant(word) || word.split('-').any(names_variant) || SIZE_NUMBER_PREFIXES.contains(word));
    let is_size_number = |index: usize| {
        let is_number = words[index].chars().all(|c| c.is_ascii_digit() || c == '.');
        is_number && index > 0 && SIZE_NUMBER_PREFIXES.contains(&words[index - 1])
    };
    let is_prefix = |index: usize| SIZE_NUMBER_PREFIXES.contains(&words[index]) && index + 1 < words.len();
    let is_known = |index: usize| {
        let word = words[index];
        let parts_are_known =
            || word.contains('-') && word.split('-').all(|part| names_variant(part) || QUALIFIERS.contains(&part));
        names_variant(word)
            || QUALIFIERS.contains(&word)
            || parts_are_known()
            || is_prefix(index)
            || is_size_number(index)
    };
    has_variant && (0..words.len()).all(is_known)
}

#[cfg(test)]
mod tests {
    use super::super::ids::{ItemGroupId, ProductId};
    use super::super::money::Currency;
    use super::*;

    fn product(title: &str, price: &str) -> Product {
        let price = Money::parse(price, Currency::new("USD").expect("a code")).ok();
        Product { price, ..Product::new(ProductId::new("p").expect("a valid id"), title) }
    }

    /// Broken by: any text behind a separator taken for a variant; titles without a separator; a number without the word size.
    #[test]
    fn titles_that_differ_by_a_colour_or_size_are_variants() {
        for (one, other, expected) in [
            ("Hoodie - Red", "Hoodie - Green", true),
            ("Hoodie – Navy / XL", "hoodie – navy / S", true),
            ("Mug (dark blue)", "Mug (white)", true),
            ("Kettle, red", "Kettle, black", true),
            ("Kettle, red", "Kettle, blue-grey", true),
            ("Boot - size 42", "Boot - EU 44", true),
            ("Hoodie - Red", "Hoodie - Red", false),
            ("Hoodie - Red", "Cap - Red", false),
            ("Hoodie Red", "Hoodie Green", false),
            ("Poster - Paris", "Poster - London", false),
            ("Support - Email", "Support - Phone", false),
            ("Coffee filters, 100", "Coffee filters, 200", false),
            ("Coffee beans, one pound", "Coffee beans, two pounds", false),
            ("Mixer, 5 quarts", "Mixer, 7 quarts", false),
            ("Wine - light and extra", "Wine - dark", false),
            (" - Red", " - Green", false),
        ] {
            let found = variants_by_title(&[product(one, "45"), product(other, "45")]);
            assert_eq!(found, if expected { vec![vec![0, 1]] } else { Vec::new() }, "{one} and {other}");
        }
    }

    /// Broken by: variants of another price, category, declared group or ladder.
    #[test]
    fn variants_have_one_price_and_category_and_declare_no_group() {
        let red = || product("Hoodie - Red", "45");
        let group = ItemGroupId::new("hoodie").ok();
        for (name, other) in [
            ("price", product("Hoodie - Blue", "46")),
            ("no price", Product { price: None, ..product("Hoodie - Blue", "45") }),
            ("category", Product { category: vec!["Clothing".into()], ..product("Hoodie - Blue", "45") }),
            ("group", Product { item_group: group, ..product("Hoodie - Blue", "45") }),
        ] {
            assert_eq!(variants_by_title(&[red(), other]), Vec::<Vec<usize>>::new(), "{name}");
        }
    }
}
