"""The environments that the tests plan and apply: overrides of environments/demo.toml, and changes that users make."""

from __future__ import annotations

DIGEST = "a" * 64
_IMAGE = "europe-west1-docker.pkg.dev/mlflow-demo/mlflow/mlflow@sha256:"

VARIANTS: dict[str, dict[str, str]] = {
    "dev": {},
    "prod": {
        "profile": "prod",
        "service__image": f"{_IMAGE}{DIGEST}",
        "service__public_url": "https://mlflow.example.com",
        "state__bucket": "mlflow-demo-tfstate",
    },
    "mysql": {"database__engine": "mysql", "database__version": "8.4"},
    "maximal": {
        "access__email_domains": '["example.com", "example.org"]',
        "access__emails": '["guest@partner.example"]',
        "access__extra_audiences": '["https://mlflow.example.com"]',
        "access__service_accounts": '["training@mlflow-demo.iam.gserviceaccount.com"]',
        "bucket__delete_noncurrent_after_days": "30",
        "database__disk_gb": "100",
        "database__high_availability": "true",
        "database__point_in_time_recovery": "true",
        "database__tier": "db-custom-2-7680",
        "service__cpu": "2",
        "service__env": '{"LOG_FORMAT" = "json", "TEMPLATE" = "${not} %{interpolated}"}',
        "service__max_instances": "2",
        "service__memory": "2Gi",
        "service__min_instances": "1",
        "service__public_url": "https://mlflow.example.com",
        "state__bucket": "mlflow-demo-tfstate",
    },
}

# What a user changes on a running system, each in one line of the settings file.
CHANGES: dict[str, dict[str, str]] = {
    "tier_up": {"database__tier": "db-custom-2-7680"},
    "disk_up": {"database__disk_gb": "200"},
    "region_change": {"region": "europe-west4"},
    "domain_added": {"access__email_domains": '["example.com", "example.org"]'},
    "image_changed": {"service__image": f"{_IMAGE}{'b' * 64}"},
    "database_rotation": {"database__rotation": "2"},
    "sign_in_rotation": {"access__sign_in_rotation": "2"},
}
