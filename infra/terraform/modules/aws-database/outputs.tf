output "host" {
  description = "Name of the server."
  value       = aws_db_instance.this.address
}

output "secret_name" {
  description = "The secret of Secrets Manager that holds username and password, as RDS keeps it."
  value       = aws_db_instance.this.master_user_secret[0].secret_arn
}

output "secret_access" {
  description = "What whoever reads that secret must be allowed: statements for aws-identity."
  value = [
    { actions = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"], resources = [aws_db_instance.this.master_user_secret[0].secret_arn] },
    { actions = ["kms:Decrypt"], resources = [aws_kms_key.this.arn] },
  ]
}
