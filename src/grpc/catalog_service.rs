//! `CatalogService`: products and explicit offers.

use std::collections::BTreeSet;
use std::sync::Arc;

use tonic::{Request, Response, Status, Streaming};

use super::batches::{BATCH_LEN_MAX, BatchEntries, StreamTally, check_batch_len};
use super::convert::explicit_offers::{explicit_offer_from_wire, explicit_offer_to_wire};
use super::convert::products::{product_from_wire, product_to_wire};
use super::convert::violations::Violations;
use super::convert::warnings::warnings_to_wire;
use super::generated::tactful::v1 as wire;
use super::generated::tactful::v1::catalog_service_server::CatalogService;
use super::pagination::{PageRequest, write_token};
use super::status;
use crate::domain::ids::{OfferId, ProductId};
use crate::use_cases::app::App;
use crate::use_cases::batch_entry::EntryOutcome;
use crate::use_cases::catalog::{delete_product, publish_catalog, upsert_products};
use crate::use_cases::explicit_offers::{
    ExplicitOfferFault, check_offer, delete_offer, get_offer, list_offers, upsert_offers,
};
use crate::use_cases::lint::{LINTED_PRODUCTS_MAX, lint_offers, lint_products};

pub(crate) struct CatalogRpc {
    app: Arc<App>,
}

impl CatalogRpc {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    /// Upserts the valid products of a batch, and adds their ids to those to be linted. Returns one result for each entry.
    async fn upsert(
        &self,
        products: Vec<wire::Product>,
        linted: &mut Vec<ProductId>,
    ) -> Result<Vec<wire::EntryResult>, Status> {
        let entries = BatchEntries::read("products", products, product_from_wire);
        let changed = upsert_products(&self.app, &entries.valid).await.map_err(status::store)?;
        let left = LINTED_PRODUCTS_MAX.saturating_sub(linted.len());
        linted.extend(entries.valid.iter().take(left).map(|product| product.id.clone()));
        let recorded = |changed| if changed { EntryOutcome::New } else { EntryOutcome::Duplicate };
        Ok(entries.results(changed.into_iter().map(recorded).collect()))
    }

    async fn publish(&self) -> Result<(), Status> {
        publish_catalog(&self.app).await.map_err(status::store)
    }

    async fn upsert_stream(
        &self,
        mut messages: Streaming<wire::StreamProductsRequest>,
        tally: &mut StreamTally,
        linted: &mut Vec<ProductId>,
    ) -> Result<(), Status> {
        while let Some(wire::StreamProductsRequest { products }) = messages.message().await? {
            if products.is_empty() {
                continue;
            }
            check_batch_len("products", products.len(), BATCH_LEN_MAX)?;
            for result in self.upsert(products, linted).await? {
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
        check_batch_len("products", products.len(), BATCH_LEN_MAX)?;
        let mut linted = Vec::new();
        let results = self.upsert(products, &mut linted).await?;
        self.publish().await?;
        let warnings = warnings_to_wire(lint_products(&self.app, linted).await);
        Ok(Response::new(wire::BatchUpsertProductsResponse { results, warnings }))
    }

    async fn stream_products(
        &self,
        request: Request<Streaming<wire::StreamProductsRequest>>,
    ) -> Result<Response<wire::StreamProductsResponse>, Status> {
        let mut tally = StreamTally::default();
        let mut linted = Vec::new();
        let result = self.upsert_stream(request.into_inner(), &mut tally, &mut linted).await;
        // Products received before a stream broke are stored, so they are published.
        self.publish().await?;
        result?;
        let StreamTally { recorded: upserted, duplicates: unchanged, rejected, reused_ids: _, too_old: _, rejections } =
            tally;
        let warnings = warnings_to_wire(lint_products(&self.app, linted).await);
        Ok(Response::new(wire::StreamProductsResponse { upserted, unchanged, rejected, rejections, warnings }))
    }

    async fn get_product(
        &self,
        request: Request<wire::GetProductRequest>,
    ) -> Result<Response<wire::GetProductResponse>, Status> {
        let id = product_id(request.into_inner().product_id)?;
        let product = self.app.catalog().get(&id).cloned().ok_or_else(product_not_found)?;
        Ok(Response::new(wire::GetProductResponse { product: Some(product_to_wire(product)) }))
    }

    async fn list_products(
        &self,
        request: Request<wire::ListProductsRequest>,
    ) -> Result<Response<wire::ListProductsResponse>, Status> {
        let wire::ListProductsRequest { page_size, page_token } = request.into_inner();
        let PageRequest { size, after } = PageRequest::read(page_size, &page_token, ProductId::new)?;
        let catalog = self.app.catalog();
        let products = catalog.products();
        let first = after.map_or(0, |after| products.partition_point(|product| product.id <= after));
        let page: Vec<wire::Product> = products[first..].iter().take(size).cloned().map(product_to_wire).collect();
        let next = first + page.len();
        let next_page_token = match next.checked_sub(1) {
            Some(last) if next < products.len() => write_token(products[last].id.as_str()),
            _ => String::new(),
        };
        Ok(Response::new(wire::ListProductsResponse { products: page, next_page_token }))
    }

    async fn delete_product(
        &self,
        request: Request<wire::DeleteProductRequest>,
    ) -> Result<Response<wire::DeleteProductResponse>, Status> {
        let id = product_id(request.into_inner().product_id)?;
        if delete_product(&self.app, &id).await.map_err(status::store)? {
            Ok(Response::new(wire::DeleteProductResponse {}))
        } else {
            Err(product_not_found())
        }
    }

    async fn batch_upsert_offers(
        &self,
        request: Request<wire::BatchUpsertOffersRequest>,
    ) -> Result<Response<wire::BatchUpsertOffersResponse>, Status> {
        let wire::BatchUpsertOffersRequest { offers } = request.into_inner();
        check_batch_len("offers", offers.len(), BATCH_LEN_MAX)?;
        let entries = BatchEntries::read("offers", offers, |path, message| {
            let offer = explicit_offer_from_wire(path, message)?;
            let mut violations = Violations::default();
            for ExplicitOfferFault { field, problem } in check_offer(&self.app, &offer) {
                violations.add(format!("{path}.{field}"), problem);
            }
            violations.or(Some(offer))
        });
        let changed = upsert_offers(&self.app, &entries.valid).await.map_err(status::explicit_offers)?;
        let products: BTreeSet<ProductId> = entries.valid.iter().map(|offer| offer.product.clone()).collect();
        let warnings = warnings_to_wire(lint_offers(&self.app, products.into_iter().collect()).await);
        let recorded = |changed| if changed { EntryOutcome::New } else { EntryOutcome::Duplicate };
        let results = entries.results(changed.into_iter().map(recorded).collect());
        Ok(Response::new(wire::BatchUpsertOffersResponse { results, warnings }))
    }

    async fn get_offer(
        &self,
        request: Request<wire::GetOfferRequest>,
    ) -> Result<Response<wire::GetOfferResponse>, Status> {
        let id = offer_id(request.into_inner().offer_id)?;
        let offer = get_offer(&self.app, &id).await.map_err(status::store)?.ok_or_else(offer_not_found)?;
        Ok(Response::new(wire::GetOfferResponse { offer: Some(explicit_offer_to_wire(offer)) }))
    }

    async fn list_offers(
        &self,
        request: Request<wire::ListOffersRequest>,
    ) -> Result<Response<wire::ListOffersResponse>, Status> {
        let wire::ListOffersRequest { page_size, page_token } = request.into_inner();
        let PageRequest { size, after } = PageRequest::read(page_size, &page_token, OfferId::new)?;
        let (page, is_more) = list_offers(&self.app, after.as_ref(), size).await.map_err(status::store)?;
        let last = page.last().filter(|_| is_more).map(|last| write_token(last.offer.id.as_str()));
        let offers = page.into_iter().map(explicit_offer_to_wire).collect();
        Ok(Response::new(wire::ListOffersResponse { offers, next_page_token: last.unwrap_or_default() }))
    }

    async fn delete_offer(
        &self,
        request: Request<wire::DeleteOfferRequest>,
    ) -> Result<Response<wire::DeleteOfferResponse>, Status> {
        let id = offer_id(request.into_inner().offer_id)?;
        if delete_offer(&self.app, &id).await.map_err(status::store)? {
            Ok(Response::new(wire::DeleteOfferResponse {}))
        } else {
            Err(offer_not_found())
        }
    }
}

#[allow(clippy::result_large_err, reason = "every method answers with a Status")]
fn offer_id(text: String) -> Result<OfferId, Status> {
    OfferId::new(text).map_err(|invalid| status::invalid_field("offer_id", invalid))
}

fn offer_not_found() -> Status {
    status::not_found("OFFER_NOT_FOUND", "there is no such explicit offer")
}

#[allow(clippy::result_large_err, reason = "every method answers with a Status")]
fn product_id(text: String) -> Result<ProductId, Status> {
    ProductId::new(text).map_err(|invalid| status::invalid_field("product_id", invalid))
}

fn product_not_found() -> Status {
    status::not_found("PRODUCT_NOT_FOUND", "there is no such product")
}
