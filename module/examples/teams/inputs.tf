variable "oauth_client_secrets" {
  type        = map(string)
  description = "Secret of each team's OAuth client, as JSON in TF_VAR_oauth_client_secrets."
  ephemeral   = true
}

provider "google" {
  project = "acme-ml-dev"
  region  = "europe-west1"
}
