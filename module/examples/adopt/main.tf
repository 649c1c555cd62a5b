# Takes over what was made by hand: the names are those that exist, the rest becomes what the module says. Nothing is
# destroyed. New secrets get other names, and the database user gets a new password.
module "mlflow" {
  source = "../.."

  project_id     = "acme-ml-dev"
  project_number = "123456789012"
  region         = "europe-west1" # also of the bucket and the instance: another one would replace them

  names = {
    instance        = "mlflow-instance"
    service         = "mlflow-tracking"
    service_account = "mlflow-runner"
  }
  bucket = {
    name          = "acme-mlflow-artifacts"
    force_destroy = false
  }
  database = {
    version             = "15" # the instance's; upgrade it later, in a step of its own
    tier                = "db-custom-1-3840"
    deletion_protection = true
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
