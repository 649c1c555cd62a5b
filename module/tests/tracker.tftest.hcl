# What a caller can count on. `terraform test` applies the module, so it wants a project for tests, or the local cloud:
# python -m localcloud exec -- terraform test

variables {
  project_id     = "acme-ml-dev"
  project_number = "123456789012"
  region         = "europe-west1"
  service        = { image = "europe-west1-docker.pkg.dev/acme-ml-dev/mlflow/mlflow:3.17.2" }
  access = {
    oauth_client_id = "123456789012-abcdef.apps.googleusercontent.com"
    email_domains   = ["example.com"]
  }
  oauth_client_secret = "GOCSPX-of-nobody"
}

provider "google" {
  project = "acme-ml-dev"
  region  = "europe-west1"
}

run "enable_apis" {
  module {
    source = "./tests/setup"
  }
}

run "dev_can_be_thrown_away" {
  assert {
    condition     = output.url == "https://mlflow-123456789012.europe-west1.run.app"
    error_message = "The URL is not the one that Cloud Run gives."
  }
  assert {
    condition     = output.redirect_uri == "${output.url}/oauth2/callback"
    error_message = "The redirect URI is not below the URL."
  }
  assert {
    condition     = google_storage_bucket.artifacts.force_destroy && !google_sql_database_instance.tracking.deletion_protection
    error_message = "dev is protected."
  }
  assert {
    condition     = google_storage_bucket.artifacts.public_access_prevention == "enforced"
    error_message = "The bucket could be made public."
  }
  assert {
    condition     = google_sql_database_instance.tracking.settings[0].ip_configuration[0].ssl_mode == "TRUSTED_CLIENT_CERTIFICATE_REQUIRED"
    error_message = "A password alone opens the database."
  }
}

run "prod_is_protected_and_pins_its_image" {
  command = plan
  # Known after an apply alone, which is a failure to a test of a plan.
  expect_failures = [check.newest_revision_serves]
  variables {
    name    = "prod"
    profile = "prod"
    service = { image = "europe-west1-docker.pkg.dev/acme-ml-dev/mlflow/mlflow@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  }
  assert {
    condition     = !google_storage_bucket.artifacts.force_destroy && google_sql_database_instance.tracking.deletion_protection
    error_message = "prod can be thrown away."
  }
  assert {
    condition     = google_sql_database_instance.tracking.settings[0].availability_type == "REGIONAL"
    error_message = "prod has no standby."
  }
}

run "prod_refuses_a_tag" {
  command = plan
  variables {
    profile = "prod"
  }
  expect_failures = [var.service]
}

run "nobody_is_not_everybody" {
  command = plan
  variables {
    access = { oauth_client_id = "123456789012-abcdef.apps.googleusercontent.com" }
  }
  expect_failures = [var.access]
}

run "a_public_mail_domain_is_refused" {
  command = plan
  variables {
    access = {
      oauth_client_id = "123456789012-abcdef.apps.googleusercontent.com"
      email_domains   = ["gmail.com"]
    }
  }
  expect_failures = [var.access]
}
