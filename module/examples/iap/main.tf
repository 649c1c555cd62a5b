# Google's Identity-Aware Proxy signs people in: there is no OAuth client, and groups get in. The proxy's own account exists
# once somebody asked for it: gcloud beta services identity create --service=iap.googleapis.com --project=acme-ml-dev
module "mlflow" {
  source = "../../modules/iap"

  project_id     = "acme-ml-dev"
  project_number = "123456789012"
  region         = "europe-west1"

  service = {
    image = "europe-west1-docker.pkg.dev/acme-ml-dev/mlflow/mlflow:3.17.2"
  }
  access = {
    emails           = ["ada@example.com"]
    service_accounts = ["trainer@acme-ml-prod.iam.gserviceaccount.com"]
    artifact_writers = { data-science = "group:data-science@example.com" }
  }
  iap = {
    groups = ["data-science@example.com"]
  }
}

output "tracking_uri" {
  value       = module.mlflow.tracking_uri
  description = "Open it in a browser."
}
