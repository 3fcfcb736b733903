#!/usr/bin/env python3
"""Gets offers for a customer from a tactful server, and reports that they were shown.

    python3 examples/python/get_offers.py ada-local-line [127.0.0.1:50051]
"""

import pathlib
import subprocess
import sys
import tempfile
import uuid

import grpc

EXAMPLES = pathlib.Path(__file__).resolve().parents[1]
PROTOS = EXAMPLES.parent / "proto"
DEADLINE_SECONDS = 0.5


def generated():
    """The modules generated from the protos. Your service would generate them once, when it is built."""
    folder = tempfile.mkdtemp()
    files = [str(path) for path in PROTOS.rglob("*.proto")]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", f"--python_out={folder}"]
    subprocess.run([*command, f"--grpc_python_out={folder}", *files], check=True)
    sys.path.insert(0, folder)
    from tactful.v1 import feedback_service_pb2, feedback_service_pb2_grpc, offer_service_pb2, offer_service_pb2_grpc

    return offer_service_pb2, offer_service_pb2_grpc, feedback_service_pb2, feedback_service_pb2_grpc


def main(customer, address="127.0.0.1:50051"):
    offers, offer_services, feedback, feedback_services = generated()
    options = [("grpc.service_config", (EXAMPLES / "service-config.json").read_text())]
    with grpc.insecure_channel(address, options=options) as channel:
        request = offers.CrossSellRequest(customer_id=customer, channel="web", request_id=str(uuid.uuid4()))
        try:
            response = offer_services.OfferServiceStub(channel).CrossSell(request, timeout=DEADLINE_SECONDS)
        except grpc.RpcError as error:
            # The page is shown without offers.
            print(f"no offers: {error.code().name}: {error.details()}", file=sys.stderr)
            return 1
        print(response.message)
        for offer in response.offers:
            print(f"{offer.rank}. {offer.title}: {'; '.join(reason.text for reason in offer.reasons)}")
        shown = [
            feedback.OfferOutcome(
                customer_id=customer,
                decision_id=response.decision_id,
                offer_id=offer.offer_id,
                kind=feedback.OUTCOME_KIND_SHOWN,
            )
            for offer in response.offers
        ]
        if shown:
            outcomes = feedback.RecordOutcomesRequest(outcomes=shown)
            feedback_services.FeedbackServiceStub(channel).RecordOutcomes(outcomes, timeout=DEADLINE_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
