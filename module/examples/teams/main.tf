# A tracker for each team, each with people of its own.
locals {
  teams = {
    forecasting = { emails = ["ada@example.com", "grace@example.com"], tier = "db-custom-2-7680" }
    vision      = { emails = ["edsger@example.com"], tier = "db-custom-1-3840" }
  }
}

module "mlflow" {
  source   = "../.."
  for_each = local.teams

  name           = each.key
  project_id     = "acme-ml-dev"
  project_number = "123456789012"
  region         = "europe-west1"
  labels         = { team = each.key }

  database = { tier = each.value.tier }
  service  = { image = "europe-west1-docker.pkg.dev/acme-ml-dev/mlflow/mlflow:3.17.2" }
  access = {
    oauth_client_id  = "123456789012-abcdef.apps.googleusercontent.com"
    emails           = each.value.emails
    artifact_writers = { for email in each.value.emails : email => "user:${email}" }
  }
  oauth_client_secret = var.oauth_client_secrets[each.key]
}

output "tracking_uris" {
  value       = { for team, tracker in module.mlflow : team => tracker.tracking_uri }
  description = "Where each team finds its tracker."
}
