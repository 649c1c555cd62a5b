# What people make in the console when they follow an article: everything by hand, with the console's defaults.
provider "google" {
  project = "acme-ml-dev"
  region  = "europe-west1"
}

resource "google_storage_bucket" "mlflow" {
  name     = "acme-mlflow-artifacts"
  location = "europe-west1"
}

resource "google_sql_database_instance" "mlflow" {
  name             = "mlflow-instance"
  database_version = "POSTGRES_15"
  settings {
    tier      = "db-custom-1-3840"
    edition   = "ENTERPRISE"
    disk_type = "PD_SSD"
  }
}

resource "google_sql_database" "mlflow" {
  name     = "mlflow"
  instance = google_sql_database_instance.mlflow.name
}

resource "google_sql_user" "mlflow" {
  name     = "mlflow"
  instance = google_sql_database_instance.mlflow.name
  password = "typed-into-the-console"
}

resource "google_service_account" "mlflow" {
  account_id = "mlflow-runner"
}

resource "google_project_iam_member" "mlflow" {
  for_each = toset(["roles/cloudsql.client", "roles/storage.objectAdmin"])
  project  = "acme-ml-dev"
  role     = each.value
  member   = google_service_account.mlflow.member
}

resource "google_cloud_run_v2_service" "mlflow" {
  name                = "mlflow-tracking"
  location            = "europe-west1"
  deletion_protection = false
  template {
    service_account = google_service_account.mlflow.email
    containers {
      image = "europe-west1-docker.pkg.dev/acme-ml-dev/mlflow/mlflow:by-hand"
      env {
        name  = "DB_PASSWORD"
        value = "typed-into-the-console"
      }
    }
  }
  depends_on = [google_project_iam_member.mlflow]
}
