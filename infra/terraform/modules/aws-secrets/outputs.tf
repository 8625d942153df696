output "name" {
  description = "The secret's name, once it has its values."
  value       = aws_secretsmanager_secret.this.name
  depends_on  = [aws_secretsmanager_secret_version.this]
}

output "access" {
  description = "What whoever reads it must be allowed: statements for aws-identity."
  value = [
    { actions = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"], resources = [aws_secretsmanager_secret.this.arn] },
    { actions = ["kms:Decrypt"], resources = [aws_kms_key.this.arn] },
  ]
}
