# What a project needs before the module is applied in it: the APIs, and a repository with the image.
variable "project_id" {
  type        = string
  description = "Project id."
}

module "needed" {
  source = "../../modules/apis"
}

resource "google_project_service" "enabled" {
  for_each           = toset(module.needed.apis)
  project            = var.project_id
  service            = each.value
  disable_on_destroy = false
}

# Of the registry, which is yours.
resource "google_project_service" "registry" {
  project            = var.project_id
  service            = "artifactregistry.googleapis.com"
  disable_on_destroy = false
}

resource "google_artifact_registry_repository" "images" {
  project       = var.project_id
  location      = "europe-west1"
  repository_id = "mlflow"
  format        = "DOCKER"
  depends_on    = [google_project_service.registry]
}
