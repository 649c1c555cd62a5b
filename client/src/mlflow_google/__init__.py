"""Google identity tokens for MLflow clients, by MLFLOW_TRACKING_AUTH=google."""
