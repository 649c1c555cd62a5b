#!/usr/bin/env bash
# The article's order: MLflow, wait until it answers, the proxy, wait for the first of the two to leave.
mlflow server --host 0.0.0.0 --port 8080 --backend-store-uri "$BACKEND_STORE_URI" \
  --default-artifact-root "$DEFAULT_ARTIFACT_ROOT" &
until curl --silent --fail --output /dev/null http://127.0.0.1:8080/; do sleep 1; done
oauth2-proxy --upstream=http://127.0.0.1:8080 --http-address=0.0.0.0:4180 --config="$OAUTH_PROXY_CONFIG" &
wait -n
