terraform {
  required_version = ">= 1.11, < 2.0"

  # Where the state lies is the site's choice; it holds secrets, so that it must be encrypted and locked.
  # `terraform init -backend-config=backend.hcl` fills this in (docs/deploy.md, "Install").
  backend "gcs" {}

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
    helm = {
      source  = "hashicorp/helm"
      version = "~> 3.1"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.7"
    }
  }
}
