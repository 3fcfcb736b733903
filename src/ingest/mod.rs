//! Import of files: rows are converted to domain values through a mapping of their columns.
//!
//! Files are CSV or JSON Lines, plain or gzipped, and are streamed in constant memory. Each row of a file gives one
//! [`row_outcome::RowOutcome`]: accepted, filtered out by the mapping, or rejected with every fault at once. Nothing is dropped
//! silently; a read error is returned after the rows before it.
//!
//! Deliberately not here: no network and no store, no checks across rows (a product that requires an unknown one, an event before
//! its customer), and no outcomes of offers, which only the server's feedback call accepts.
//!
//! ```
//! use tactful::domain::time::Timestamp;
//! use tactful::ingest::mapping::Mapping;
//! use tactful::ingest::row_reader;
//! use tactful::ingest::row_outcome::RowOutcome;
//! use tactful::ingest::source::RowSource;
//!
//! let file = "sku,name\nphone,Telephone line\nmail,Voice mail\n,Nameless\n";
//! let mapping = Mapping::from_toml("[columns]\nproduct_id = 'sku'\ntitle = 'name'").unwrap();
//! let now = Timestamp::from_unix_ms(1_700_000_000_000).unwrap();
//!
//! let source = RowSource::from_reader("products.csv", file.as_bytes(), None).unwrap();
//! for row in row_reader::read_products(source, &mapping, now).unwrap() {
//!     match row.unwrap() {
//!         RowOutcome::Accepted { value, .. } => assert_eq!(value.category.len(), 0),
//!         RowOutcome::Filtered { .. } => unreachable!("the mapping has no filter"),
//!         RowOutcome::Rejected(rejected_row) => {
//!             assert_eq!(rejected_row.to_string(), "products.csv:4: `product_id` (column `sku`): is missing");
//!         }
//!     }
//! }
//! ```

pub mod mapping;
pub mod read_error;
pub mod row_outcome;
pub mod row_reader;
pub mod source;

mod canonical_column;
mod cell_values;
mod column_layout;
mod column_template;
mod consent_column;
mod csv_reader;
mod customer_row;
mod event_kind_rule;
mod event_row;
mod invalid_cell;
mod json_lines_reader;
mod line_reader;
mod mapping_table;
mod product_row;
mod raw_row;
mod row_fields;
mod row_filter;
mod row_id_generator;
mod time_rule;
