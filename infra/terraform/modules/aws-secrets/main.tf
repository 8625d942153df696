data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

resource "aws_kms_key" "this" {
  description         = "Encrypts the secret ${var.name}"
  enable_key_rotation = true
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "kms:*"
      Resource  = "*"
      Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root" }
    }]
  })
}

# Signs lease tokens. A new one makes leases that are out void, and no answer.
resource "random_password" "lease" {
  length  = 64
  special = false
}

# Seals the secrets of webhooks in the database. Lost with them, they have to be made anew.
resource "random_password" "encryption" {
  length  = 64
  special = false
}

resource "aws_secretsmanager_secret" "this" {
  #checkov:skip=CKV2_AWS_57:A new lease secret makes leases that are out void, so that it changes with an upgrade, not by the clock
  name                    = var.name
  description             = "What Muster's processes must know and nobody else"
  kms_key_id              = aws_kms_key.this.arn
  recovery_window_in_days = var.recovery_days
}

resource "aws_secretsmanager_secret_version" "this" {
  secret_id = aws_secretsmanager_secret.this.id
  secret_string = jsonencode({
    database_host  = var.database_host
    encryption_key = random_password.encryption.result
    lease_secret   = random_password.lease.result
    redis_password = var.redis_password
  })
}
