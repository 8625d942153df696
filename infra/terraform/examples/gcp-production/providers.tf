provider "google" {
  project = var.project
  region  = var.region
  # Budgets are billed to a project, too.
  user_project_override = true
  billing_project       = var.project
}

data "google_client_config" "current" {}

provider "helm" {
  kubernetes = {
    host                   = module.cluster.endpoint
    cluster_ca_certificate = module.cluster.ca_certificate
    token                  = data.google_client_config.current.access_token
  }
}
