# The bucket, the instance and the account are there before: only what runs on them is made, and the grants to it.
module "mlflow" {
  source = "../../modules/service"

  project_id     = "acme-ml-dev"
  project_number = "123456789012"
  region         = "europe-west1"

  bucket_name           = "acme-ml-dev-shared"
  service_account_email = "tracking@acme-ml-dev.iam.gserviceaccount.com"
  database = {
    connection_name = "acme-ml-dev:europe-west1:shared"
    name            = "mlflow_research" # others have theirs in the same instance
    user            = "mlflow_research"
  }
  service = {
    image = "europe-west1-docker.pkg.dev/acme-ml-dev/mlflow/mlflow:3.17.2"
  }
  access = {
    oauth_client_id  = "123456789012-abcdef.apps.googleusercontent.com"
    email_domains    = ["example.com"]
    artifact_writers = { data-science = "group:data-science@example.com" }
  }
  oauth_client_secret = var.oauth_client_secret
}
