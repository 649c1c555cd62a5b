# A domain and an edge of your own: an external load balancer with a certificate that Google renews, and Cloud Armor.
# Requests reach the service through it alone: its run.app address refuses what comes from outside.
locals {
  project = "acme-ml-dev"
  region  = "europe-west1"
}

variable "domain" {
  type        = string
  description = "Its A record must be the output `address`, or Google issues no certificate."
  default     = "mlflow.example.com"
}

variable "requests_per_minute" {
  type        = number
  description = "How many requests one address may send. A training sends some each second, and an office has one address."
  default     = 3000
}

module "mlflow" {
  source = "../.."

  project_id     = local.project
  project_number = "123456789012"
  region         = local.region

  service = {
    image      = "europe-west1-docker.pkg.dev/acme-ml-dev/mlflow/mlflow:3.17.2"
    public_url = "https://${var.domain}"
    ingress    = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
  }
  access = {
    oauth_client_id = "123456789012-abcdef.apps.googleusercontent.com"
    email_domains   = ["example.com"]
  }
  oauth_client_secret = var.oauth_client_secret
}

# https://cloud.google.com/load-balancing/docs/https/setting-up-https-serverless
resource "google_compute_region_network_endpoint_group" "mlflow" {
  name                  = "mlflow"
  region                = local.region
  network_endpoint_type = "SERVERLESS"
  cloud_run {
    service = module.mlflow.service_name
  }
}

resource "google_compute_backend_service" "mlflow" {
  name                  = "mlflow"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  security_policy       = google_compute_security_policy.mlflow.id
  backend {
    group = google_compute_region_network_endpoint_group.mlflow.id
  }
  log_config {
    enable      = true
    sample_rate = 1
  }
}

# Counts per address. The sign-in is behind it: a flood costs neither instances nor database connections. There are no
# signatures of attacks (checkov's CKV_GCP_73): a trace may quote one, and would be refused.
# https://cloud.google.com/armor/docs/rate-limiting-overview
resource "google_compute_security_policy" "mlflow" {
  name = "mlflow"
  rule {
    priority    = 1000
    action      = "throttle"
    description = "Slows down whoever sends too many requests."
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"
      rate_limit_threshold {
        count        = var.requests_per_minute
        interval_sec = 60
      }
    }
  }
  rule {
    priority    = 2147483647
    action      = "allow"
    description = "The default rule, which every policy has."
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}

resource "google_compute_global_address" "mlflow" {
  name = "mlflow"
}

# Another domain is another certificate: it is made, and named by the proxy, before the old one goes.
resource "google_compute_managed_ssl_certificate" "mlflow" {
  name = "mlflow-${substr(sha256(var.domain), 0, 8)}"
  managed {
    domains = [var.domain]
  }
  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_url_map" "mlflow" {
  name            = "mlflow"
  default_service = google_compute_backend_service.mlflow.id
}

resource "google_compute_target_https_proxy" "mlflow" {
  name             = "mlflow"
  url_map          = google_compute_url_map.mlflow.id
  ssl_certificates = [google_compute_managed_ssl_certificate.mlflow.id]
}

resource "google_compute_global_forwarding_rule" "https" {
  name                  = "mlflow-https"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.mlflow.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.mlflow.id
}

resource "google_compute_url_map" "redirect" {
  name = "mlflow-redirect"
  default_url_redirect {
    https_redirect         = true
    redirect_response_code = "MOVED_PERMANENTLY_DEFAULT"
    strip_query            = false
  }
}

resource "google_compute_target_http_proxy" "redirect" {
  name    = "mlflow-redirect"
  url_map = google_compute_url_map.redirect.id
}

resource "google_compute_global_forwarding_rule" "http" {
  name                  = "mlflow-http"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.mlflow.id
  port_range            = "80"
  target                = google_compute_target_http_proxy.redirect.id
}

output "address" {
  value       = google_compute_global_address.mlflow.address
  description = "What the domain's A record must be."
}

output "redirect_uri" {
  value       = module.mlflow.redirect_uri
  description = "What to register with the OAuth client."
}
