#!/usr/bin/env bash
# Asks a tactful server what to offer a customer, with grpcurl:
#     examples/ask.sh ada-local-line [127.0.0.1:50051]
set -euo pipefail

customer=$1
server=${2:-127.0.0.1:50051}
request_id=$(cat /proc/sys/kernel/random/uuid)

# Within half a second, or not at all; again with the same request_id would be the same answer.
"${GRPCURL:-grpcurl}" -plaintext -max-time 0.5 \
    -d "{\"customer_id\": \"$customer\", \"channel\": \"web\", \"request_id\": \"$request_id\"}" \
    "$server" tactful.v1.OfferService/CrossSell
