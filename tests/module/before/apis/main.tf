# What a platform team has done before: the APIs are on.
locals {
  apis = ["iam", "run", "secretmanager", "sqladmin", "storage", "cloudresourcemanager"]
  enabled = {
    for pair in setproduct(["acme-ml-dev", "acme-ml-prod"], local.apis) :
    join("/", pair) => { project = pair[0], service = "${pair[1]}.googleapis.com" }
  }
}

resource "google_project_service" "enabled" {
  for_each           = local.enabled
  project            = each.value.project
  service            = each.value.service
  disable_on_destroy = false
}
