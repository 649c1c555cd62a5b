"""The image's additions to MLflow and oauth2-proxy, so that one Cloud Run container can run both."""
