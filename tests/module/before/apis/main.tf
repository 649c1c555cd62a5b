# What a platform team has done before: the APIs are on.
variable "apis" {
  type        = list(string)
  description = "What modules/apis names, and the registry's own."
}

locals {
  enabled = {
    for pair in setproduct(["acme-ml-dev", "acme-ml-prod"], var.apis) :
    join("/", pair) => { project = pair[0], service = pair[1] }
  }
}

resource "google_project_service" "enabled" {
  for_each           = local.enabled
  project            = each.value.project
  service            = each.value.service
  disable_on_destroy = false
}

# And there is a repository with the image.
resource "google_artifact_registry_repository" "images" {
  for_each      = toset(["acme-ml-dev", "acme-ml-prod"])
  project       = each.value
  location      = "europe-west1"
  repository_id = "mlflow"
  format        = "DOCKER"
  depends_on    = [google_project_service.enabled]
}
