provider "google" {
  project = "acme-ml-dev"
  region  = "europe-west1"
}
