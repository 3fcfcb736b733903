#!/usr/bin/env bash
# Gets offers for a customer from a tactful server, with grpcurl:
#     examples/get_offers.sh ada-local-line [127.0.0.1:50051]
set -euo pipefail

customer=$1
server=${2:-127.0.0.1:50051}
request_id=$(cat /proc/sys/kernel/random/uuid)

# The deadline is half a second. A retry with the same request_id would get the same response.
"${GRPCURL:-grpcurl}" -plaintext -max-time 0.5 \
    -d "{\"customer_id\": \"$customer\", \"channel\": \"web\", \"request_id\": \"$request_id\"}" \
    "$server" tactful.v1.OfferService/CrossSell
