//! `CatalogService`: what is sold.

use std::sync::Arc;

use tonic::{Request, Response, Status, Streaming};

use super::convert::products::{product_from_wire, product_to_wire};
use super::convert::violations::Violations;
use super::feedback_service::{BATCH_MAX, Entries, Tally, check_batch};
use super::generated::tactful::v1 as wire;
use super::generated::tactful::v1::catalog_service_server::CatalogService;
use super::status;
use crate::domain::ids::ProductId;
use crate::use_cases::keep_catalog::{delete_product, publish_catalog, upsert_products};
use crate::use_cases::recorded::Recorded;
use crate::use_cases::tactful::Tactful;

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1000;
/// The first byte of a page token: its format.
const TOKEN_FORMAT: u8 = 1;

/// Serves `CatalogService`.
pub struct CatalogRpc {
    tactful: Arc<Tactful>,
}

impl CatalogRpc {
    /// A service of this system.
    #[must_use]
    pub fn new(tactful: Arc<Tactful>) -> Self {
        Self { tactful }
    }

    async fn upsert(&self, products: Vec<wire::Product>) -> Result<Vec<wire::EntryResult>, Status> {
        let entries = Entries::read("products", products, product_from_wire);
        let changed = upsert_products(&self.tactful, &entries.good).await.map_err(status::store)?;
        let recorded = |changed| if changed { Recorded::New } else { Recorded::Duplicate };
        Ok(entries.results(changed.into_iter().map(recorded).collect()))
    }

    async fn publish(&self) -> Result<(), Status> {
        publish_catalog(&self.tactful).await.map_err(status::store)
    }

    async fn take_stream(
        &self,
        mut parts: Streaming<wire::StreamProductsRequest>,
        tally: &mut Tally,
    ) -> Result<(), Status> {
        while let Some(wire::StreamProductsRequest { products }) = parts.message().await? {
            if products.is_empty() {
                continue;
            }
            check_batch("products", products.len(), BATCH_MAX)?;
            for result in self.upsert(products).await? {
                tally.count(result);
            }
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl CatalogService for CatalogRpc {
    async fn batch_upsert_products(
        &self,
        request: Request<wire::BatchUpsertProductsRequest>,
    ) -> Result<Response<wire::BatchUpsertProductsResponse>, Status> {
        let wire::BatchUpsertProductsRequest { products } = request.into_inner();
        check_batch("products", products.len(), BATCH_MAX)?;
        let results = self.upsert(products).await?;
        self.publish().await?;
        Ok(Response::new(wire::BatchUpsertProductsResponse { results }))
    }

    async fn stream_products(
        &self,
        request: Request<Streaming<wire::StreamProductsRequest>>,
    ) -> Result<Response<wire::StreamProductsResponse>, Status> {
        let mut tally = Tally::default();
        let taken = self.take_stream(request.into_inner(), &mut tally).await;
        // What came before a stream broke is stored, so it is served.
        self.publish().await?;
        taken?;
        let Tally { taken: upserted, duplicates: unchanged, rejected, rejections } = tally;
        Ok(Response::new(wire::StreamProductsResponse { upserted, unchanged, rejected, rejections }))
    }

    async fn get_product(
        &self,
        request: Request<wire::GetProductRequest>,
    ) -> Result<Response<wire::GetProductResponse>, Status> {
        let id = product_id(request.into_inner().product_id)?;
        let product = self.tactful.catalog().get(&id).cloned().ok_or_else(product_not_found)?;
        Ok(Response::new(wire::GetProductResponse { product: Some(product_to_wire(product)) }))
    }

    async fn list_products(
        &self,
        request: Request<wire::ListProductsRequest>,
    ) -> Result<Response<wire::ListProductsResponse>, Status> {
        let wire::ListProductsRequest { page_size, page_token } = request.into_inner();
        let mut violations = Violations::default();
        let page_size = match usize::try_from(page_size) {
            Ok(0) => PAGE_DEFAULT,
            Ok(size) => size.min(PAGE_MAX),
            Err(_) => {
                violations.add("page_size", "must not be negative");
                0
            }
        };
        let after = read_token(&page_token);
        if after.is_none() && !page_token.is_empty() {
            violations.add("page_token", "must be the next_page_token of an earlier answer");
        }
        violations.check().map_err(|violations| status::invalid(&violations))?;
        let catalog = self.tactful.catalog();
        let products = catalog.products();
        let first = after.map_or(0, |after| products.partition_point(|product| product.id <= after));
        let page: Vec<wire::Product> = products[first..].iter().take(page_size).cloned().map(product_to_wire).collect();
        let next = first + page.len();
        let next_page_token = match next.checked_sub(1) {
            Some(last) if next < products.len() => write_token(&products[last].id),
            _ => String::new(),
        };
        Ok(Response::new(wire::ListProductsResponse { products: page, next_page_token }))
    }

    async fn delete_product(
        &self,
        request: Request<wire::DeleteProductRequest>,
    ) -> Result<Response<wire::DeleteProductResponse>, Status> {
        let id = product_id(request.into_inner().product_id)?;
        if delete_product(&self.tactful, &id).await.map_err(status::store)? {
            Ok(Response::new(wire::DeleteProductResponse {}))
        } else {
            Err(product_not_found())
        }
    }
}

#[allow(clippy::result_large_err, reason = "every method answers with a Status")]
fn product_id(text: String) -> Result<ProductId, Status> {
    ProductId::new(text).map_err(|invalid| status::invalid_field("product_id", invalid))
}

fn product_not_found() -> Status {
    status::not_found("PRODUCT_NOT_FOUND", "there is no such product")
}

/// The last product of a page in hexadecimal, with a checksum so that a mangled token is told from a product id.
fn write_token(last: &ProductId) -> String {
    let mut bytes = vec![TOKEN_FORMAT];
    bytes.extend(last.as_str().bytes());
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes.iter().fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"))
}

fn read_token(token: &str) -> Option<ProductId> {
    let digits = token.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.len() > 4 * PAGE_MAX || !token.is_ascii() {
        return None;
    }
    let pairs = digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    let bytes: Vec<u8> = pairs.collect::<Option<_>>()?;
    let (body, checksum) = bytes.split_last_chunk::<4>()?;
    let (&format, id) = body.split_first()?;
    let is_ours = format == TOKEN_FORMAT && crc32fast::hash(body) == u32::from_le_bytes(*checksum);
    let id = String::from_utf8(id.to_vec()).ok()?;
    ProductId::new(id).ok().filter(|_| is_ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_a_mangled_one_is_not() {
        let last = ProductId::new("toaster/2").expect("a valid id");
        let token = write_token(&last);
        assert_eq!(read_token(&token), Some(last));
        for bad in ["", "zz", "00", "0", &token[2..], &format!("{token}00"), "é"] {
            assert_eq!(read_token(bad), None, "{bad}");
        }
    }
}
