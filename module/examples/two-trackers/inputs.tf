variable "oauth_client_secret" {
  type        = string
  description = "Secret of the OAuth client, which has both redirect URIs: TF_VAR_oauth_client_secret."
  ephemeral   = true
}

provider "google" {
  project = "acme-ml-dev"
  region  = "europe-west1"
}
