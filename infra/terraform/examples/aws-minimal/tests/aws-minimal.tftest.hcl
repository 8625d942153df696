mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { region = "eu-central-1" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/example" }
  }

  mock_resource "aws_eks_cluster" {
    defaults = {
      name                  = "muster"
      endpoint              = "https://example.eks.amazonaws.com"
      certificate_authority = [{ data = "Y2VydGlmaWNhdGU=" }]
    }
  }

  mock_resource "aws_db_instance" {
    defaults = {
      address            = "muster.example.eu-central-1.rds.amazonaws.com"
      master_user_secret = [{ secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-1", kms_key_id = "key", secret_status = "active" }]
    }
  }

  mock_resource "aws_eks_node_group" {
    defaults = {
      resources = [{ autoscaling_groups = [{ name = "group" }], remote_access_security_group_id = "" }]
    }
  }

  mock_resource "aws_elasticache_replication_group" {
    defaults = { primary_endpoint_address = "muster.cache.amazonaws.com" }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::example-muster-objects" }
  }
}

mock_provider "helm" {}
mock_provider "random" {}

variables {
  bucket              = "example-muster-objects"
  public_access_cidrs = ["203.0.113.0/24"]
  emails              = ["platform@example.com"]
  image               = "registry.example/muster:0.1.0"
  cuda_image          = "registry.example/muster-cuda:0.1.0"
  database_ca_pem     = "-----BEGIN CERTIFICATE-----"
}

run "a_trial_is_planned_as_a_whole" {
  assert {
    condition     = output.bucket == "example-muster-objects"
    error_message = "the bucket must be the given one"
  }
}

run "what_is_no_region_is_refused" {
  command = plan

  variables {
    region = "Frankfurt"
  }

  expect_failures = [var.region]
}
