# Everything that a production deployment may want to say.
module "mlflow" {
  source = "../.."

  profile        = "prod"
  name           = "ml-tracking"
  project_id     = "acme-ml-prod"
  project_number = "123456789012"
  region         = "europe-west1"
  labels         = { team = "ml-platform" }

  database = {
    version                = "17"
    tier                   = "db-custom-2-7680"
    disk_gb                = 100
    high_availability      = true
    backups                = true
    backup_retention       = 30
    point_in_time_recovery = true
    deletion_protection    = var.deletion_protection
    maintenance_day        = 6
    maintenance_hour       = 3
    serving_instance       = ""     # a clone, while the own instance is looked at
    login                  = "both" # a step on the way to "iam": the runbook leads there
    rotation               = 1
  }
  bucket = {
    name                         = "acme-ml-prod-models"
    versioning                   = true
    delete_noncurrent_after_days = 90
    soft_delete_days             = 30
    force_destroy                = !var.deletion_protection
  }
  service = {
    image           = "europe-west1-docker.pkg.dev/acme-ml-prod/mlflow/mlflow@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    cpu             = "2"
    memory          = "2Gi"
    min_instances   = 1
    max_instances   = 10
    concurrency     = 100
    timeout_seconds = 600
    ingress         = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
    env             = { MLFLOW_LOGGING_LEVEL = "INFO" }
    artifact_roots  = ["gs://acme-ml-shared/models"]
    artifact_links  = true
    webhooks        = true
    public_url      = "https://mlflow.example.com"
  }
  access = {
    oauth_client_id      = "123456789012-abcdef.apps.googleusercontent.com"
    email_domains        = ["example.com"]
    emails               = ["ada@example.org"]
    service_accounts     = ["trainer@acme-ml-prod.iam.gserviceaccount.com"]
    extra_audiences      = ["https://mlflow.internal.example.com"]
    gcloud_tokens        = false
    invoker_iam_disabled = true
    artifact_writers     = { data-science = "group:data-science@example.com" }
    sign_in_rotation     = 1
  }
  permissions = {
    enabled = true
    default = "READ"
    admins  = ["ada@example.org"]
    readers = ["auditor@example.com"]
    teams   = { vision = ["ada@example.org"], speech = ["grace@example.com"] }
  }
  jobs = {
    enabled                 = true
    gc_schedule             = "0 3 * * 0"
    gc_older_than_days      = 30
    archive_schedule        = "0 4 * * *"
    archive_older_than_days = 90
    time_zone               = "Europe/Berlin"
    timeout_seconds         = 3600
  }
  monitoring = {
    enabled          = true
    emails           = { oncall = "oncall@example.com" }
    p95_milliseconds = 2000
    uptime_check     = false
  }
  oauth_client_secret = var.oauth_client_secret
}

output "mlflow" {
  value       = module.mlflow
  description = "All outputs of the module; none is a secret."
}
