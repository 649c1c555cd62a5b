provider "google" {
  project = "acme-ml-dev"
  region  = "europe-west1"
}

resource "google_compute_network" "ml" {
  project                 = "acme-ml-dev"
  name                    = "ml"
  auto_create_subnetworks = false
}

# Each instance of the service has two addresses of it while a new revision takes over.
resource "google_compute_subnetwork" "mlflow" {
  project                  = "acme-ml-dev"
  name                     = "mlflow"
  region                   = "europe-west1"
  network                  = google_compute_network.ml.id
  ip_cidr_range            = "10.26.0.0/26"
  private_ip_google_access = true
}

# From this range Google takes 256 addresses for each region and engine.
resource "google_compute_global_address" "google" {
  project       = "acme-ml-dev"
  name          = "google-services"
  network       = google_compute_network.ml.id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  address       = "10.27.0.0"
  prefix_length = 20
}

# Google refuses to delete it for days after the last database: Terraform lets go of it instead.
resource "google_service_networking_connection" "google" {
  network                 = google_compute_network.ml.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.google.name]
  deletion_policy         = "ABANDON"
}

output "network" {
  value       = { vpc = google_compute_network.ml.id, subnet = google_compute_subnetwork.mlflow.id }
  description = "The module's variable of that name."
}
