# The database has an address in a VPC network alone; service and jobs reach it from a subnet. Apply network/ first, in a
# state of its own: Google holds on to parts of a network for hours or days after what used them is gone.
module "mlflow" {
  source = "../.."

  project_id     = "acme-ml-dev"
  project_number = "123456789012"
  region         = "europe-west1"

  network = {
    vpc    = "projects/acme-ml-dev/global/networks/ml"
    subnet = "projects/acme-ml-dev/regions/europe-west1/subnetworks/mlflow"
  }
  service = {
    image = "europe-west1-docker.pkg.dev/acme-ml-dev/mlflow/mlflow:3.17.2"
  }
  access = {
    oauth_client_id = "123456789012-abcdef.apps.googleusercontent.com"
    email_domains   = ["example.com"]
  }
  oauth_client_secret = var.oauth_client_secret
}

output "tracking_uri" {
  value       = module.mlflow.tracking_uri
  description = "Open it in a browser, or export it as MLFLOW_TRACKING_URI."
}
