# Two trackers in one project: every name starts with the module's `name`, so nothing collides.
locals {
  image  = "europe-west1-docker.pkg.dev/acme-ml-dev/mlflow/mlflow:3.17.2"
  access = { oauth_client_id = "123456789012-abcdef.apps.googleusercontent.com", email_domains = ["example.com"] }
}

module "research" {
  source = "../.."

  name                = "research"
  project_id          = "acme-ml-dev"
  project_number      = "123456789012"
  region              = "europe-west1"
  service             = { image = local.image }
  access              = local.access
  oauth_client_secret = var.oauth_client_secret
}

module "production" {
  source = "../.."

  name                = "production"
  project_id          = "acme-ml-dev"
  project_number      = "123456789012"
  region              = "europe-west1"
  service             = { image = local.image }
  access              = local.access
  oauth_client_secret = var.oauth_client_secret
}

output "redirect_uris" {
  value       = [module.research.redirect_uri, module.production.redirect_uri]
  description = "What to register with the OAuth client."
}
