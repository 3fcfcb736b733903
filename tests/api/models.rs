//! `ModelService`.

use tactful::grpc::generated::tactful::v1 as wire;
use tonic::Code;

use crate::harness::{Api, HandClock, NOW, at, bought, cross_sell, on_disk, reason};

#[tokio::test]
async fn without_history_there_is_no_model_and_it_is_said() {
    let api = Api::start().await;
    let none = api.models().get_model(wire::GetModelRequest {}).await.expect_err("no model");
    assert_eq!((none.code(), reason(&none).as_str()), (Code::NotFound, "MODEL_NOT_FOUND"));
    let nothing = api.models().train_model(wire::TrainModelRequest {}).await.expect_err("no history");
    assert_eq!((nothing.code(), reason(&nothing).as_str()), (Code::FailedPrecondition, "TRAINING_NOT_POSSIBLE"));
}

#[tokio::test]
async fn a_trained_model_is_served_at_once_and_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let api = Api::start_with(on_disk(directory.path()), HandClock::new()).await;
    api.fill().await;
    let pairs = (0..30).flat_map(|number| {
        let whom = format!("customer-{number}");
        [bought("1", &whom, "line", 20), bought("2", &whom, "caller-id", 10)]
    });
    api.record(pairs.collect()).await;
    api.sell_to_ann_and_bob().await;
    let trained = api.models().train_model(wire::TrainModelRequest {}).await.expect("trained").into_inner();
    let model = trained.model.expect("told");
    assert_eq!((model.version, model.customers, model.purchases, model.train_time), (1, 32, 62, at(NOW)));

    let answer = api.offers().cross_sell(cross_sell("ann")).await.expect("an answer").into_inner();
    assert_eq!((answer.offers[0].product_id.as_str(), answer.model_version), ("caller-id", 1));
    let reason = &answer.offers[0].reasons[0];
    assert_eq!(
        (reason.code.as_str(), reason.text.as_str()),
        ("BOUGHT_TOGETHER", "bought by 30 of 31 customers with Telephone line")
    );

    let again = api.models().train_model(wire::TrainModelRequest {}).await.expect("trained").into_inner();
    assert_eq!(again.model.expect("told").version, 2);
    api.stop().await.expect("stops");
    let api = Api::start_with(on_disk(directory.path()), HandClock::new()).await;
    let kept = api.models().get_model(wire::GetModelRequest {}).await.expect("kept").into_inner().model.expect("told");
    assert_eq!((kept.version, kept.purchases), (2, 62));
    api.stop().await.expect("stops");
}
