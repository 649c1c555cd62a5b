# A bucket, an instance and an account that others have made.
provider "google" {
  project = "acme-ml-dev"
  region  = "europe-west1"
}

resource "google_storage_bucket" "shared" {
  name                        = "acme-ml-dev-shared"
  location                    = "europe-west1"
  uniform_bucket_level_access = true
}

resource "google_sql_database_instance" "shared" {
  name                = "shared"
  database_version    = "POSTGRES_17"
  deletion_protection = false
  settings {
    tier    = "db-custom-2-7680"
    edition = "ENTERPRISE"
    database_flags {
      name  = "cloudsql.iam_authentication"
      value = "on"
    }
  }
}

resource "google_service_account" "tracking" {
  account_id = "tracking"
}
