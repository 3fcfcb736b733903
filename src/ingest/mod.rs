//! Rows of files become domain values, by a mapping that says what the columns of the file mean.
//!
//! Files are CSV or JSON Lines, plain or gzipped, read as a stream in constant memory. What the caller gets is one
//! [`row::Row`] for each row of the file: accepted, filtered out by the mapping, or rejected with every reason at once.
//! Nothing is dropped silently; a file that cannot be read on is an error after the rows before it.
//!
//! Deliberately not here: no network and no store, no judgement across rows (a product that requires an unknown one, an
//! event before its customer), and no outcomes of offers, which only the server's own feedback call accepts.
//!
//! ```
//! use tactful::domain::time::Timestamp;
//! use tactful::ingest::mapping::Mapping;
//! use tactful::ingest::read;
//! use tactful::ingest::row::Row;
//! use tactful::ingest::source::Source;
//!
//! let file = "sku,name\nphone,Telephone line\nmail,Voice mail\n,Nameless\n";
//! let mapping = Mapping::from_toml("[columns]\nproduct_id = 'sku'\ntitle = 'name'").unwrap();
//! let now = Timestamp::from_unix_ms(1_700_000_000_000).unwrap();
//!
//! let source = Source::from_reader("products.csv", file.as_bytes(), None).unwrap();
//! for row in read::products(source, &mapping, now).unwrap() {
//!     match row.unwrap() {
//!         Row::Accepted { value, .. } => assert_eq!(value.category.len(), 0),
//!         Row::Filtered { .. } => unreachable!("the mapping has no filter"),
//!         Row::Rejected(rejection) => {
//!             assert_eq!(rejection.to_string(), "products.csv:4: `product_id` (column `sku`): is missing");
//!         }
//!     }
//! }
//! ```

pub mod error;
pub mod mapping;
pub mod read;
pub mod row;
pub mod source;

mod cells;
mod column;
mod csv_rows;
mod customer_row;
mod event_row;
mod fields;
mod filter;
mod json_rows;
mod kind;
mod layout;
mod lines;
mod numbers;
mod product_row;
mod row_ids;
mod section;
mod template;
mod time_rule;
