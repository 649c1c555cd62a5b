# Everything at rest is under a key of your own. Who has the key withdraws all data by withdrawing one grant.
resource "google_kms_key_ring" "ml" {
  project  = "acme-ml-dev"
  name     = "ml"
  location = "europe-west1"
}

# Keys and rings cannot be deleted, and a destroyed key's data are lost: keep this part in a state of its own, and
# add `lifecycle { prevent_destroy = true }`, once it holds data.
resource "google_kms_crypto_key" "mlflow" {
  name            = "mlflow"
  key_ring        = google_kms_key_ring.ml.id
  rotation_period = "7776000s"
}

# Before the first apply, once per project, the agents that nothing else has made yet:
#   gcloud beta services identity create --service=sqladmin.googleapis.com --project=acme-ml-dev
#   gcloud beta services identity create --service=secretmanager.googleapis.com --project=acme-ml-dev
#   gcloud storage service-agent --project=acme-ml-dev
# https://cloud.google.com/iam/docs/service-agents
resource "google_kms_crypto_key_iam_member" "agents" {
  for_each = toset([
    "gcp-sa-cloud-sql",
    "gcp-sa-secretmanager",
    "gs-project-accounts",
    "serverless-robot-prod",
  ])

  crypto_key_id = google_kms_crypto_key.mlflow.id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:service-123456789012@${each.key}.iam.gserviceaccount.com"
}

module "mlflow" {
  source = "../.."

  project_id     = "acme-ml-dev"
  project_number = "123456789012"
  region         = "europe-west1"

  encryption = { kms_key = google_kms_crypto_key.mlflow.id }
  service = {
    image = "europe-west1-docker.pkg.dev/acme-ml-dev/mlflow/mlflow:3.17.2"
  }
  access = {
    oauth_client_id = "123456789012-abcdef.apps.googleusercontent.com"
    email_domains   = ["example.com"]
  }
  oauth_client_secret = var.oauth_client_secret

  depends_on = [google_kms_crypto_key_iam_member.agents]
}

output "tracking_uri" {
  value       = module.mlflow.tracking_uri
  description = "Open it in a browser, or export it as MLFLOW_TRACKING_URI."
}
