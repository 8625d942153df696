terraform {
  required_version = ">= 1.11, < 2.0"

  # Where the state lies is the site's choice; it holds secrets, so that it must be encrypted and locked.
  # `terraform init -backend-config=backend.hcl` fills this in (docs/deploy.md, "Install").
  backend "s3" {}

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.25"
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
