variable "deletion_protection" {
  type        = bool
  description = "Set it to false and apply before all of it is to be destroyed."
  default     = true
}

variable "oauth_client_secret" {
  type        = string
  description = "Secret of the OAuth client: TF_VAR_oauth_client_secret, at plan and at apply."
  ephemeral   = true
}

provider "google" {
  project = "acme-ml-prod"
  region  = "europe-west1"
}
