variable "oauth_client_secret" {
  type        = string
  description = "Secret of the OAuth client: TF_VAR_oauth_client_secret, at plan and at apply."
  ephemeral   = true
}

provider "google" {
  project = "acme-ml-dev"
  region  = "europe-west1"
}
